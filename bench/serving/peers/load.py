"""One load of the comparison, in a process of its own: the same request over and over.

    python -m bench.serving.peers.load HOST PORT PATH BODY_FILE --connections 64 --seconds 2 [--header "Name: value"]

Prints one line of JSON: requests per second, median and 99th percentile in milliseconds, answers that were not 200.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.load import Script, load, request


def repeated(what: bytes) -> Script:
    """`what`, again and again."""
    while True:
        yield what
        yield None


def main() -> None:
    """Run one load and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body", type=Path)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--header", action="append", default=[])
    args = parser.parse_args()
    what = request("POST", args.path, args.body.read_bytes(), tuple(args.header))
    scripts = [repeated(what) for _ in range(args.connections)]
    print(json.dumps(load((args.host, args.port), scripts, args.seconds)))


if __name__ == "__main__":
    main()
