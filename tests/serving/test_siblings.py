"""One process speaks for all on its port, and says so when it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeostat.core.errors import Unavailable
from homeostat.serving import siblings
from homeostat.serving.siblings import Siblings


def test_who_does_not_answer_is_left_out_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "ANSWER_S", 0.2)

    async def story() -> None:
        never = asyncio.Event()

        async def echo(question: str) -> bytes:
            return question.encode()

        async def silent(question: str) -> bytes:
            await never.wait()
            return b""

        all_of_them = [Siblings(tmp_path / "port", at, answer) for at, answer in enumerate((echo, echo, silent))]
        for one in all_of_them:
            await one.open()
        (tmp_path / "port" / "3.sock").touch()  # of one that has died
        assert await all_of_them[0].ask("hello") == {1: b"hello"}
        with pytest.raises(Unavailable, match="process 2 on this port does not answer"):
            await all_of_them[0].ask("hello", every=True)
        never.set()
        await all_of_them[2].close()
        assert await all_of_them[0].ask("hello", every=True) == {1: b"hello"}
        for one in all_of_them:
            await one.close()

    asyncio.run(asyncio.wait_for(story(), 60))
