"""Runs in the MLflow client's own environment: imports it once, then runs each script in a fork of itself.

Importing costs seconds of processor time, a fork costs milliseconds. One JSON line on standard input asks for one
script; one JSON line answers with its exit code.
"""

import json
import os
import runpy
import signal
import sys
import traceback

# What nearly every script uses; all of it is loaded before any thread exists, so that forking is safe.
import lightgbm  # noqa: F401
import mlflow
import mlflow.lightgbm
import mlflow.pyfunc
import mlflow.sklearn
import pandas  # noqa: F401
import sklearn.linear_model  # noqa: F401


def run(asked):
    """Become `asked["script"]`; never returns."""
    code = 1
    try:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(asked["folder"])
        os.environ.update(asked["environment"])
        sys.argv = [asked["script"]]
        signal.alarm(asked["timeout_s"])
        runpy.run_path(asked["script"], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # The hooks of a normal exit belong to the script: the client flushes its queues in them.
        import atexit

        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main():
    print(json.dumps({"version": mlflow.__version__}), flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


main()
