from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.leases import table


def put(name: str):
    return lambda c: c.execute(sa.insert(table).values(name=name, owner="a", token=1, until_ms=0))


def names(ws: hs.Workspace) -> set[str]:
    return set(ws.db.read(lambda c: c.execute(sa.select(table.c.name)).scalars().all()))


def test_a_write_is_there_for_the_next_reader(any_ws: hs.Workspace):
    any_ws.db.write(put("one"))
    assert names(any_ws) == {"one"}


def test_a_failing_write_takes_only_itself_back(any_ws: hs.Workspace):
    def fail(c: sa.Connection) -> None:
        put("lost")(c)
        raise RuntimeError("stop")

    gate = threading.Event()
    outcomes: list[str] = []

    def slow(c: sa.Connection) -> None:
        gate.wait(10)
        put("slow")(c)

    def attempt(fn: object) -> None:
        try:
            any_ws.db.write(fn)  # type: ignore[arg-type]
            outcomes.append("kept")
        except RuntimeError:
            outcomes.append("failed")

    threads = [threading.Thread(target=attempt, args=(fn,)) for fn in (slow, put("before"), fail, put("after"))]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert names(any_ws) == {"slow", "before", "after"}
    assert sorted(outcomes) == ["failed", "kept", "kept", "kept"]


def test_a_write_inside_a_write_joins_it(any_ws: hs.Workspace):
    def outer(c: sa.Connection) -> None:
        any_ws.db.write(put("inner"))
        assert names(any_ws) == {"inner"}
        raise RuntimeError("take both back")

    with pytest.raises(RuntimeError, match="take both back"):
        any_ws.db.write(outer)
    assert names(any_ws) == set()


def test_eight_writers_lose_nothing(any_ws: hs.Workspace):
    threads = [
        threading.Thread(target=lambda i=i: [any_ws.db.write(put(f"{i}-{j}")) for j in range(25)]) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(any_ws)) == 200


def test_a_closed_workspace_says_so(tmp_path: Path):
    ws = hs.open(tmp_path)
    ws.db.write(put("x"))
    ws.close()
    with pytest.raises(hs.HomeostatError, match="is closed"):
        ws.db.write(put("y"))


def test_a_damaged_database_says_so(tmp_path: Path):
    (tmp_path / "homeostat.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(hs.HomeostatError, match="damaged") as caught:
        _ = hs.open(tmp_path).db
    assert caught.value.code == "corrupt"
