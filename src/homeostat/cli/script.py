"""`homeostat run train.py lr=0.1`: a script that knows nothing of Homeostat, as a run or a batch of runs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from homeostat.cli.options import workspace_of
from homeostat.core.errors import InvalidInput

if TYPE_CHECKING:
    from homeostat.tracking.scripts.running import Plan, Ran


def add_script_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only scripts have."""
    group = parser.add_argument_group("scripts")
    group.add_argument("--experiment", default="default", help="the experiment of the run (default: default)")
    group.add_argument("--name", help="a name for the run")
    group.add_argument("--entry", default="main", help="the entry point of an MLproject (default: main)")
    group.add_argument("--trials", type=int, metavar="N", help="as many runs, drawn from what the flags offer")
    group.add_argument("--seed", type=int, default=0, help="what is drawn is the same for the same seed (default: 0)")
    group.add_argument("--needed", action="store_true", help="leave out what has run with these flags and sources")
    group.add_argument("--restart", metavar="RUN", help="run a run's script again as that run, as it was")
    group.add_argument("--show-flags", action="store_true", help="list the script's flags, run nothing")
    group.add_argument(
        "--flags-from", choices=("argparse", "click", "globals"), help="where flags are read (default: what is there)"
    )
    group.add_argument(
        "--scalars", action="append", metavar="KEY=REGEX", help="find metrics in the output by this; may be repeated"
    )
    group.add_argument("--no-scalars", action="store_true", help="take no metrics from the output")
    group.add_argument("--tensorboard", metavar="DIR", help="watch this folder for event files (default: here)")
    group.add_argument("--python", metavar="PROGRAM", help="another Python to run the script with")


def names_script(args: argparse.Namespace) -> bool:
    """Whether the arguments name a script, or something of a project file that does."""
    from homeostat.tracking.scripts.operations import operation_file

    what = args.what or ""
    return what.endswith(".py") or (bool(what) and operation_file(what, args.project) is not None)


def run_as_script(args: argparse.Namespace) -> int:
    """Do what the arguments ask for; 0 when every run finished."""
    from homeostat.tracking.scripts.asked import assignments, plan_for, restart, run_all
    from homeostat.tracking.scripts.operations import operation_file, plan_of_operation

    if args.restart:
        if args.what or args.parameters:
            raise InvalidInput("a restarted run keeps its flags", hint="for others, `homeostat run SCRIPT flag=value`")
        with workspace_of(args) as ws:
            return _told([restart(ws, args.restart)])
    patterns = None if args.no_scalars else args.scalars or []
    more: dict[str, Any] = {
        "via": args.flags_from, "extra": args.extra, "patterns": patterns, "python": args.python or "",
        "events": args.tensorboard or "", "experiment": args.experiment,
    }  # fmt: skip
    file = None if args.what.endswith(".py") else operation_file(args.what, args.project)
    if file is None:
        plan = plan_for(args.what, args.project, **more)
    else:
        plan = plan_of_operation(file, args.entry if file.name == "MLproject" else args.what, **more)
    if args.show_flags:
        return _show(plan)
    values = assignments(plan, args.parameters, args.trials, args.seed)
    with workspace_of(args) as ws:
        done = run_all(ws, plan, values, args.name, args.needed, _announce)
    return _told(done)


def _announce(values: dict[str, Any]) -> None:
    sys.stderr.write(f"— {' '.join(f'{name}={value}' for name, value in values.items())}\n")


def _told(done: list[Ran]) -> int:
    for one in done:
        sys.stderr.write(f"run {one.run_id} {'was there already' if one.skipped else one.status}\n")
    return next((one.exit_code or 1 for one in done if one.status != "finished"), 0)


def _show(plan: Plan) -> int:
    for flag in plan.flags:
        default = "required" if flag.required else "" if flag.default is None else f"{flag.default!r}"
        sys.stdout.write(f"  {flag.name:<24} {default:<16} {flag.via:<9} {flag.help}\n".rstrip() + "\n")
    sys.stdout.write(f"{len(plan.flags)} flags\n")
    return 0
