"""Parameters and tags of a run, within an open transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import Conflict, InvalidInput
from homeostat.tracking import store

PARAM_CHARS = 6000
_KEY_CHARS, _TAG_CHARS = 250, 8000


def checked_params(params: dict[str, Any]) -> dict[str, str]:
    """Parameters as they are kept. Raises InvalidInput."""
    return {check_key(key): _text(key, value, PARAM_CHARS, "parameter") for key, value in params.items()}


def checked_tags(tags: dict[str, Any]) -> dict[str, str]:
    """Tags as they are kept. Raises InvalidInput."""
    return {check_key(key): _text(key, value, _TAG_CHARS, "tag") for key, value in tags.items()}


def add_params(c: sa.Connection, run_id: str, seq: int, params: dict[str, Any]) -> None:
    """Insert parameters within the open transaction; Conflict when one has another value already."""
    if not params:
        return
    given = checked_params(params)
    there = c.execute(
        sa.select(store.param.c.key, store.param.c.value).where(
            store.param.c.run_seq == seq, store.param.c.key.in_(list(given))
        )
    )
    for key, value in there.all():
        if given.pop(key) != value:
            raise Conflict(
                f"parameter '{key}' of run {run_id} is {value!r} and does not change",
                hint="begin another run, or record what varies as a metric or a tag",
                run=run_id,
                parameter=key,
            )
    rows = [
        {"run_seq": seq, "key": key, "value": value, "number": number_of_text(value)} for key, value in given.items()
    ]
    if rows:
        c.execute(sa.insert(store.param), rows)


def add_tags(c: sa.Connection, seq: int, tags: dict[str, Any]) -> None:
    """Set tags within the open transaction."""
    rows = [{"run_seq": seq, "key": key, "value": value} for key, value in checked_tags(tags).items()]
    store.upsert(c, store.tag, rows, ["run_seq", "key"])


def drop_tag(c: sa.Connection, seq: int, key: str) -> bool:
    """Take a tag off within the open transaction; whether it was there."""
    gone = c.execute(sa.delete(store.tag).where(store.tag.c.run_seq == seq, store.tag.c.key == key))
    return gone.rowcount > 0


def check_key(key: str) -> str:
    """`key` if it may name a parameter, tag or metric."""
    if not key or len(key) > _KEY_CHARS or any(ord(char) < 32 for char in key):
        raise InvalidInput(f"{key[:80]!r} is not a key", hint=f"1 to {_KEY_CHARS} printable characters")
    return key


def _text(key: str, value: Any, limit: int, what: str) -> str:
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit or "\0" in text:
        raise InvalidInput(
            f"{what} '{key}' has {len(text)} characters",
            hint=f"at most {limit} and no NUL; keep longer text as an artifact",
        )
    return text


def number_of_text(text: str) -> float | None:
    """`text` as a number where it is one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None
