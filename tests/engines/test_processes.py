"""The executor on local processes: every promise of `core/executor.py`, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeostat.core.errors import Unavailable
from homeostat.core.executor import Job, Outcome
from homeostat.engines.processes import ProcessExecutor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    one = ProcessExecutor()
    yield one
    one.close()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(*arguments: str, name: str = "a", **more: object) -> Job:
        return Job(
            id=name, module="tests.engines.jobs", arguments=list(arguments), folder=str(tmp_path),
            log=str(tmp_path / f"{name}.log"), **more,
        )  # fmt: skip

    return make


def ended(executor: ProcessExecutor, name: str = "a") -> Outcome:
    (outcome,) = executor.wait([name], 60)
    return outcome


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
@pytest.mark.parametrize("code", [0, 7])
def test_a_job_tells_its_exit_code_and_writes_its_log(executor, job, tmp_path, isolation, code):
    executor.submit(job("exit", str(code), isolation=isolation))
    outcome = ended(executor)
    assert (outcome.cause, outcome.exit_code) == ("exited", code)
    assert outcome.peak_kb > 1000
    assert (tmp_path / "a.log").read_text() == "going\n"


@pytest.mark.parametrize("isolation", ["fork", "spawn"])
def test_a_job_has_its_folder_its_environment_and_no_input(executor, job, tmp_path, isolation):
    executor.submit(job("tell", isolation=isolation, environment={"COLOUR": "green"}))
    assert ended(executor).cause == "exited"
    assert (tmp_path / "a.log").read_text() == f"{tmp_path} green True {tmp_path}\nthreads 1 stdin ''\n"


def test_an_exception_is_in_the_log_and_gives_code_1(executor, job, tmp_path):
    executor.submit(job("raise"))
    outcome = ended(executor)
    assert (outcome.cause, outcome.exit_code) == ("exited", 1)
    assert "ValueError: on purpose" in (tmp_path / "a.log").read_text()


def test_cancelling_ends_a_job_with_what_it_started(executor, job, tmp_path):
    executor.submit(job("family", str(tmp_path / "pid")))
    soon((tmp_path / "pid").exists)
    child = int((tmp_path / "pid").read_text())
    executor.cancel("a")
    assert ended(executor).cause == "cancelled"
    soon(lambda: not is_running(child))


def test_a_killed_job_tells_the_signal(executor, job, tmp_path):
    executor.submit(job("hang", str(tmp_path / "pid")))
    soon((tmp_path / "pid").exists)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    outcome = ended(executor)
    assert (outcome.cause, outcome.signal) == ("killed", signal.SIGKILL)


def test_jobs_of_a_dead_launcher_are_lost_and_the_next_one_starts_another(executor, job, tmp_path):
    executor.submit(job("hang", str(tmp_path / "pid")))
    soon((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    assert executor._process is not None
    os.kill(executor._process.pid, signal.SIGKILL)
    assert ended(executor).cause == "lost"
    soon(lambda: not is_running(pid))
    executor.submit(job("exit", "3", name="b"))
    assert ended(executor, "b").exit_code == 3


def test_each_waiter_gets_its_own_jobs_and_waiting_ends(executor, job, tmp_path):
    executor.submit(job("hang", str(tmp_path / "pid")))
    executor.submit(job("exit", "1", name="b"))
    assert executor.wait(["b"], 60)[0].job == "b"
    assert executor.wait(["a"], 0.01) == []
    executor.cancel("a")
    assert ended(executor).cause == "cancelled"
    executor.cancel("a")  # it has ended: nothing happens


def test_no_job_outlives_a_killed_submitter(tmp_path):
    script = f"""
import time
from homeostat.core.executor import Job
from homeostat.engines.processes import ProcessExecutor
executor = ProcessExecutor()
for isolation in ("fork", "spawn"):
    path = {str(tmp_path)!r} + "/" + isolation
    executor.submit(Job(id=isolation, module="tests.engines.jobs", arguments=["hang", path],
                        folder={str(tmp_path)!r}, log=path + ".log", isolation=isolation))
time.sleep(600)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    submitter = subprocess.Popen([sys.executable, "-c", script], env=environment)
    soon(lambda: (tmp_path / "fork").exists() and (tmp_path / "spawn").exists())
    jobs = [int((tmp_path / name).read_text()) for name in ("fork", "spawn")]
    assert all(map(is_running, jobs))
    submitter.kill()
    submitter.wait()
    soon(lambda: not any(map(is_running, jobs)))


def test_a_closed_executor_takes_nothing(executor, job):
    executor.close()
    with pytest.raises(Unavailable, match="closed"):
        executor.submit(job("exit", "0"))
