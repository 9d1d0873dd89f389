"""What the prediction log keeps of a computed group, and how groups become the columns of one batch.

A group is taken apart at once: its requests' memory serves the next ones while it is still in the processor's caches.
The columns of many groups are then joined by functions that know no rows.
"""

from __future__ import annotations

import array
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from homeostat.core.clock import now_ms
from homeostat.serving import tensors
from homeostat.serving.model import ROLES
from homeostat.serving.oip import Outputs
from homeostat.serving.question import Question
from homeostat.serving.spool import Batch, Block

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion

T = TypeVar("T")
_NO_TIME = (-(1 << 63)).to_bytes(8, "little", signed=True)
_ROLE_CODES = {role: code for code, role in enumerate(ROLES)}
_columns = attrgetter("id", "rows", "role", "started_ns", "key", "times")

# What the entries of one batch have in common: the version, the status, whether the model has answered, and what tells
# shapes apart that the version's signature leaves open.
Kind = tuple["LoadedVersion", int, bool, Any]
# A computed group: kind, when it ended (on the clock of the questions) and when that was (ms), the rows of all requests
# as payload and outputs (None: the model failed), and for each request its id, number of rows, role, beginning, keys
# and times of its rows. A bare tuple, so that many are turned into columns by `zip`.
LogEntry = tuple[
    Kind, int, int, Any, Outputs | None, tuple[str, ...], tuple[int, ...], tuple[str, ...], tuple[int, ...],
    tuple[list[Any] | None, ...], tuple[bytes | None, ...],
]  # fmt: skip


def entry_of(
    loaded: LoadedVersion, questions: list[Question], payload: Any, outputs: Outputs | None, ended_ns: int, status: int,
    shadow_ns: int = -1,
) -> LogEntry | None:  # fmt: skip
    """The part of a computed group that the deployment wants logged; None when nothing of it is.

    `shadow_ns` is what a shadow took for its answer: it, and not the questions' own, is their role and latency then.
    """
    policy = loaded.log_policy
    if policy.share < 1.0:
        kept = [policy.takes(question.id) for question in questions] if policy.share > 0 else []
        if not any(kept):
            return None
        if not all(kept):
            questions, payload, outputs = _thinned(loaded, kept, questions, payload, outputs)
    if len(questions) == 1:
        (one,) = questions
        ids, counts, roles, started = (one.id,), (one.rows,), (one.role,), (one.started_ns,)
        keys, times = (one.key,), (one.times,)
    else:
        ids, counts, roles, started, keys, times = zip(*map(_columns, questions), strict=True)
    if shadow_ns >= 0:
        roles, started = ("shadow",) * len(ids), (ended_ns - shadow_ns,) * len(ids)
    contract = loaded.contract
    given = getattr(payload, "absent", None) if contract.asks else None
    if not contract.batchable:
        given = (given, _shapes(loaded, payload, outputs))
    kind = (loaded, status, outputs is None, given)
    return kind, ended_ns, now_ms(), payload, outputs, ids, counts, roles, started, keys, times


def _thinned(
    loaded: LoadedVersion, kept: list[bool], questions: list[Question], payload: Any, outputs: Outputs | None
) -> tuple[list[Question], Any, Outputs | None]:
    # More than one question was joined: the contract is one whose payloads are rows.
    rows = np.repeat(np.array(kept), [question.rows for question in questions])
    if outputs is not None:
        outputs = Outputs(outputs.specs, [array[rows] for array in outputs.arrays])
    taken = [question for question, take in zip(questions, kept, strict=True) if take]
    return taken, loaded.contract.choose(payload, rows), outputs


def batches(entries: list[LogEntry]) -> Iterator[tuple[Batch, int]]:
    """The entries in as few batches as there are versions, statuses and shapes of rows, each with its rows."""
    alike: dict[Kind, list[LogEntry]] = {}
    for entry in entries:
        alike.setdefault(entry[0], []).append(entry)
    for group in alike.values():
        try:
            yield _batch(group)
        except ValueError:  # answers whose rows differ in shape cannot be joined
            if len(group) == 1:
                raise
            middle = len(group) // 2
            yield from batches(group[:middle])
            yield from batches(group[middle:])


def _batch(entries: list[LogEntry]) -> tuple[Batch, int]:
    """One batch of entries of one kind."""
    kinds, ended, logged, payloads, outputs, ids, counts, roles, started, keys, times = zip(*entries, strict=True)
    loaded, status = kinds[0][:2]
    requests = list(map(len, ids))
    names = list(_each(ids))
    rows = array.array("I", _each(counts))
    took = np.repeat(np.array(ended, "<i8"), requests) - np.fromiter(_each(started), "<i8", len(names))
    return Batch(
        loaded.model, loaded.version, status, names, rows.tobytes(), bytes(map(_ROLE_CODES.__getitem__, _each(roles))),
        np.clip(took // 1000, 0, 0xFFFFFFFF).astype("<u4").tobytes(),
        np.repeat(np.array(logged, "<i8"), requests).tobytes(),
        _keys(list(_each(keys)), rows), _times(list(_each(times)), rows),
        _inputs(loaded, payloads), _outputs(loaded, outputs),
    ), sum(rows)  # fmt: skip


def _each(groups: tuple[tuple[T, ...], ...]) -> Iterator[T]:
    return chain.from_iterable(groups)


def _keys(keys: list[list[Any] | None], counts: array.array[int]) -> list[Any] | None:
    """A key for each row; None without any."""
    if not any(keys):
        return None
    found: list[Any] = []
    for given, rows in zip(keys, counts, strict=True):
        found += [None] * rows if given is None else given
    return found


def _times(times: list[bytes | None], counts: array.array[int]) -> bytes | None:
    """A time for each row; None without any."""
    if not any(times):
        return None
    return b"".join([
        _NO_TIME * rows if given is None else given for given, rows in zip(times, counts, strict=True)
    ])  # fmt: skip


def _inputs(loaded: LoadedVersion, payloads: tuple[Any, ...]) -> list[Block]:
    contract, policy = loaded.contract, loaded.log_policy
    whole = [contract.merge(list(payloads))] if contract.batchable else payloads
    logged = [policy.shown(contract.logged(payload)) for payload in whole]
    return [
        Block(names, datatype, tail, data if len(logged) == 1 else b"".join([one[at][3] for one in logged]))
        for at, (names, datatype, tail, data) in enumerate(logged[0])
    ]


def _outputs(loaded: LoadedVersion, outputs: tuple[Outputs | None, ...]) -> list[Block]:
    found = [one for one in outputs if one is not None]
    batchable = loaded.contract.batchable
    blocks: list[Block] = []
    for at, spec in enumerate(found[0].specs if found else []):
        if batchable and len(found) > 1:
            data = tensors.to_bytes(spec.datatype, np.concatenate([one.arrays[at] for one in found]))
        else:
            data = b"".join([one.bytes_of(at) for one in found])
        blocks.append(Block([spec.name], spec.datatype, list(found[0].arrays[at].shape[1 if batchable else 0 :]), data))
    return blocks


def _shapes(loaded: LoadedVersion, payload: Any, outputs: Outputs | None) -> tuple[Any, ...]:
    """The shapes of the inputs and outputs of a request that is not joined with others."""
    given = tuple(tuple(tail) for _, _, tail, _ in loaded.contract.logged(payload))
    return given, None if outputs is None else tuple(array.shape for array in outputs.arrays)
