"""`homeostat doctor`."""

from __future__ import annotations

import argparse
import os
import sys

from homeostat.cli.options import add_home, existing_workspace

_COLOURS = {"ok": "\x1b[32m", "warn": "\x1b[33m", "bad": "\x1b[31m"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_home(parser)
    parser.add_argument("--full", action="store_true", help="read every byte again instead of a sample")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """The exit code is 10 when something is bad, 0 otherwise."""
    from homeostat.core.doctor import examine
    from homeostat.core.errors import Corrupt
    from homeostat.core.records import to_json

    with existing_workspace(args) as ws:
        findings = examine(ws, args.full)
    if args.json:
        print(to_json(findings))
    else:
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        for finding in findings:
            paint, plain = (_COLOURS[finding.state], "\x1b[0m") if coloured else ("", "")
            print(f"{paint}{finding.state:<4}{plain} {finding.check:<9} {finding.message}")
            if finding.hint:
                print(f"{'':<14} → {finding.hint}")
    return Corrupt.exit_code if any(finding.state == "bad" for finding in findings) else 0
