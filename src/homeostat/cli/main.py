"""`homeostat`: parse first, import later. Errors become one message and an exit code."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence

from homeostat.core.errors import HomeostatError, InvalidInput, from_os
from homeostat.core.slices import SLICES
from homeostat.core.version import VERSION

# name: (module with `add_arguments(parser)` and `run(args)`, help). Modules load when their command is typed.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("homeostat.cli.up", "start the control plane and the data plane"),
    "serve": ("homeostat.cli.serving", "serve the models in a folder, without a workspace"),
    "package": ("homeostat.cli.packaging", "write a model as an image, without a daemon or a network"),
    "deploy": ("homeostat.cli.deploying", "write manifests that serve a model on Kubernetes or KServe"),
    "environment": ("homeostat.cli.environment", "make, list or erase the Python environments that models declare"),
    "demo": ("homeostat.cli.demo", "a year of real flights through the whole loop"),
    "plan": ("homeostat.cli.plan", "show what homeostat.yaml would change"),
    "apply": ("homeostat.cli.apply", "make it so"),
    "status": ("homeostat.cli.status", "every essential variable with its value, limit and state"),
    "why": ("homeostat.cli.why", "explain a decision, recomputed from its record"),
    "run": (
        "homeostat.cli.run",
        "run a script (train.py lr=0.1) or a pipeline (pipeline:train until=2013-03-01)",
    ),
    "sync": ("homeostat.cli.sync", "send runs that were logged offline, or left by a process that died"),
    "import": (
        "homeostat.cli.importing",
        "move in from MLflow, or models that other tools laid out in folders",
    ),
    "export": ("homeostat.cli.exporting", "move out to an MLflow server: runs, artifacts, models, aliases"),
    "doctor": ("homeostat.cli.doctor", "check a workspace"),
    "backup": ("homeostat.cli.backup", "copy a workspace to one file while it runs"),
    "gc": ("homeostat.cli.gc", "erase what was deleted long ago, and bytes that nothing names any more"),
    "restore": ("homeostat.cli.restore", "make a workspace from a backup"),
    "settings": ("homeostat.cli.settings", "every setting with its value"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except HomeostatError as error:
        _complain(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader has gone (`homeostat … | head`): that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UnicodeEncodeError as error:
        # Bytes of the command line that are no UTF-8: a file may be called so, nothing that is kept as text.
        _complain(InvalidInput(f"{error.object[:80]!r} is not text in UTF-8"))
        return InvalidInput.exit_code
    except OSError as error:
        told = from_os(error)
        _complain(told)
        return told.exit_code
    except KeyboardInterrupt:
        return 130


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"homeostat {VERSION}\n")
        return 0
    name, rest = words[0], words[1:]
    if name in COMMANDS:
        module = importlib.import_module(COMMANDS[name][0])
        parser = argparse.ArgumentParser(prog=f"homeostat {name}", description=COMMANDS[name][1])
        module.add_arguments(parser)
        if not getattr(module, "PASSES_ON", False):
            return int(module.run(parser.parse_args(rest)) or 0)
        # Words after a `--` are for what the command runs; before it, options and other words in any order.
        cut = rest.index("--") if "--" in rest else len(rest)
        args = parser.parse_intermixed_args(rest[:cut], argparse.Namespace(extra=rest[cut + 1 :]))
        return int(module.run(args) or 0)
    if name in SLICES:
        from homeostat.cli.verbs import run_verb

        return run_verb(name, rest)
    near = difflib.get_close_matches(name, [*COMMANDS, *SLICES], 1)
    raise InvalidInput(
        f"there is no command '{name}'", hint=f"did you mean `homeostat {near[0]}`?" if near else "homeostat --help"
    )


def overview() -> str:
    """The text of `homeostat --help`."""
    commands = "\n".join(f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items())
    return (
        "homeostat keeps models within the limits you declare\n\n"
        "usage: homeostat COMMAND [options]\n\n"
        f"{commands}\n\n"
        "and every verb of every room, with --help of its own:\n"
        f"  {', '.join(SLICES[:7])},\n  {', '.join(SLICES[7:])}\n\n"
        "The workspace is --home DIR|URL, or $HOMEOSTAT_HOME, or ./.homeostat.\n"
    )


def _complain(error: HomeostatError) -> None:
    red, plain = ("\x1b[31m", "\x1b[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    sys.stderr.write(f"{red}error{plain}: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  → {error.hint}\n")


if __name__ == "__main__":
    sys.exit(main())
