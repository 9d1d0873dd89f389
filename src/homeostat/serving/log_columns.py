"""Predictions on their way into the log: groups of one kind become the columns of one frame.

The columns are made by functions that know no rows, a column of all requests at a time.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from homeostat.serving import tensors
from homeostat.serving.contract import TensorSpec
from homeostat.serving.model import ROLES
from homeostat.serving.oip import Outputs
from homeostat.serving.question import Question
from homeostat.serving.spool import Batch, Block

if TYPE_CHECKING:
    from homeostat.serving.loaded import LoadedVersion

_NO_TIME = (-(1 << 63)).to_bytes(8, "little", signed=True)
_ROLE_CODES = {role: code for code, role in enumerate(ROLES)}


# What was answered together: the version, its requests, their merged payload, the outputs as they are specified and as
# arrays (none of both: the model failed), when it ended (`perf_counter_ns`), the status, and what a shadow took for it
# (-1: they are its requests' own). A plain tuple, for one is made with every lone request.
Group = tuple["LoadedVersion", list[Question], Any, list[TensorSpec], list[tensors.Array], int, int, int]


def kind_of(group: Group) -> Hashable:
    """What groups of one batch have in common: version, status, whose answers they are, and the shapes of a row's
    inputs and outputs."""
    loaded, _, payload, _, arrays, _, status, shadow_ns = group
    contract = loaded.contract
    given = getattr(payload, "absent", None) if contract.asks else None
    if not contract.batchable:
        given = (given, *[tuple(tail) for _, _, tail, _ in contract.logged(payload)])
    skip = 1 if contract.batchable else 0
    return loaded, status, shadow_ns >= 0, given, tuple([one.shape[skip:] for one in arrays])


def is_plain(group: Group) -> bool:
    """Whether all groups that have this one's list of specifications, and are no shadow's, are of its kind: a number or
    a text for each row."""
    loaded, _, _, specs, _, _, _, shadow_ns = group
    contract = loaded.contract
    return contract.batchable and not contract.asks and shadow_ns < 0 and all(len(one.shape) == 1 for one in specs)


def batch_of(groups: list[Group], wall_ns: int) -> Batch:
    """Groups of one kind, in their order, as the log has them. `wall_ns` is what makes the nanoseconds that they ended
    at those since 1970."""
    loaded, _, _, specs, _, _, status, shadow_ns = groups[0]
    asked = [one for group in groups for one in group[1]]
    counts = [one.rows for one in asked]
    ended, took = np.array([group[5] for group in groups], "<i8"), np.array([group[7] for group in groups], "<i8")
    if len(asked) > len(groups):
        sizes = [len(group[1]) for group in groups]
        ended, took = np.repeat(ended, sizes), np.repeat(took, sizes)
    if shadow_ns >= 0:
        roles = bytes([_ROLE_CODES["shadow"]]) * len(asked)
    else:
        roles = bytes([_ROLE_CODES[one.role] for one in asked])
        took = ended - np.array([one.started_ns for one in asked], "<i8")
    return Batch(
        loaded.model, loaded.version, status, [one.id for one in asked], np.array(counts, "<u4").tobytes(), roles,
        (took // 1000).clip(0, 0xFFFFFFFF).astype("<u4").tobytes(), ((ended + wall_ns) // 1_000_000).tobytes(),
        _keys([one.key for one in asked], counts), _times([one.times for one in asked], counts),
        _inputs(loaded, [group[2] for group in groups]), _outputs(loaded, specs, [group[4] for group in groups]),
    )  # fmt: skip


def _keys(keys: list[list[Any] | None], counts: list[int]) -> list[Any] | None:
    """A key for each row; None without any."""
    if not any(keys):
        return None
    found: list[Any] = []
    for given, rows in zip(keys, counts, strict=True):
        found += [None] * rows if given is None else given
    return found


def _times(times: list[bytes | None], counts: list[int]) -> bytes | None:
    """A time for each row; None without any."""
    if not any(times):
        return None
    return b"".join([
        _NO_TIME * rows if given is None else given for given, rows in zip(times, counts, strict=True)
    ])  # fmt: skip


def _inputs(loaded: LoadedVersion, payloads: list[Any]) -> list[Block]:
    contract, policy = loaded.contract, loaded.log_policy
    whole = [contract.merge(payloads)] if contract.batchable else payloads
    logged = [policy.shown(contract.logged(payload)) for payload in whole]
    return [
        Block(names, datatype, tail, data if len(logged) == 1 else b"".join([one[at][3] for one in logged]))
        for at, (names, datatype, tail, data) in enumerate(logged[0])
    ]


def _outputs(loaded: LoadedVersion, specs: list[TensorSpec], answers: list[list[tensors.Array]]) -> list[Block]:
    batchable = loaded.contract.batchable
    blocks: list[Block] = []
    for at, spec in enumerate(specs):
        parts = [arrays[at] for arrays in answers]
        if batchable:
            data = tensors.to_bytes(spec.datatype, np.concatenate(parts))
        else:
            data = b"".join([tensors.to_bytes(spec.datatype, part) for part in parts])
        blocks.append(Block([spec.name], spec.datatype, list(parts[0].shape[1 if batchable else 0 :]), data))
    return blocks


def wanted(
    loaded: LoadedVersion, questions: list[Question], payload: Any, outputs: Outputs | None
) -> tuple[list[Question], Any, Outputs | None]:
    """The part of a group that the deployment wants logged; no questions when nothing of it is."""
    policy = loaded.log_policy
    kept = [policy.takes(question.id) for question in questions] if policy.share > 0 else []
    if not any(kept):
        return [], payload, outputs
    if all(kept):
        return questions, payload, outputs
    # More than one question was joined: the contract is one whose payloads are rows.
    rows = np.repeat(np.array(kept), [question.rows for question in questions])
    if outputs is not None:
        outputs = Outputs(outputs.specs, [array[rows] for array in outputs.arrays])
    taken = [question for question, take in zip(questions, kept, strict=True) if take]
    return taken, loaded.contract.choose(payload, rows), outputs
