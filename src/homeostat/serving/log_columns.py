"""Predictions that wait to become a frame of the log: columns that grow with every computed group.

A group is taken apart where it was answered: its requests' memory serves the next ones while it is still in the
processor's caches. The columns are finished by functions that know no rows.
"""

from __future__ import annotations

import array
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


def kind_of(loaded: LoadedVersion, payload: Any, outputs: Outputs | None, status: int) -> Hashable:
    """What groups of one batch have in common: version, status, and the shapes of a row's inputs and outputs."""
    contract = loaded.contract
    given = getattr(payload, "absent", None) if contract.asks else None
    if not contract.batchable:
        given = (given, *[tuple(tail) for _, _, tail, _ in contract.logged(payload)])
        tails = None if outputs is None else tuple([one.shape for one in outputs.arrays])
    else:
        tails = None if outputs is None else tuple([one.shape[1:] for one in outputs.arrays if one.ndim > 1])
    return loaded, status, given, tails


class Columns:
    """A batch in the making: groups of one kind, in their order."""

    __slots__ = (
        "_counts", "_ids", "_keys", "_logged", "_outputs", "_payloads", "_roles", "_sizes",
        "_specs", "_status", "_times", "_took", "loaded", "rows",
    )  # fmt: skip

    def __init__(self, loaded: LoadedVersion, outputs: Outputs | None, status: int) -> None:
        self.loaded = loaded
        self._status = status
        self._specs: list[TensorSpec] = [] if outputs is None else outputs.specs
        self.rows = 0
        # By request.
        self._ids: list[str] = []
        self._counts = array.array("I")
        self._roles: list[str] = []
        self._took = array.array("q")
        self._keys: list[list[Any] | None] = []
        self._times: list[bytes | None] = []
        # By group.
        self._sizes: list[int] = []
        self._logged = array.array("q")
        self._payloads: list[Any] = []
        self._outputs: list[list[tensors.Array]] = []

    def __len__(self) -> int:
        """The requests."""
        return len(self._ids)

    @property
    def answered(self) -> bool:
        """Whether these are answers, not failures."""
        return self._status == 200

    @property
    def latest(self) -> Any:
        """The payload of the last group."""
        return self._payloads[-1]

    def add(
        self,
        questions: list[Question],
        payload: Any,
        outputs: Outputs | None,
        ended_ns: int,
        shadow_ns: int,
        at_ms: int,
    ) -> int:
        """Append a group of the kind that the others are of (see `PredictionLog.add`), and tell its rows."""
        if len(questions) == 1:
            (one,) = questions
            rows = one.rows
            self._ids.append(one.id)
            self._counts.append(rows)
            self._roles.append(one.role)
            self._took.append(ended_ns - one.started_ns)
            self._keys.append(one.key)
            self._times.append(one.times)
        else:
            counts = [one.rows for one in questions]
            rows = sum(counts)
            self._ids += [one.id for one in questions]
            self._counts.extend(counts)
            self._roles += [one.role for one in questions]
            self._took.extend([ended_ns - one.started_ns for one in questions])
            self._keys += [one.key for one in questions]
            self._times += [one.times for one in questions]
        if shadow_ns >= 0:
            many = len(questions)
            self._roles[-many:] = ["shadow"] * many
            self._took[-many:] = array.array("q", [shadow_ns] * many)
        self.rows += rows
        self._sizes.append(len(questions))
        self._logged.append(at_ms)
        self._payloads.append(payload)
        if outputs is not None:
            self._outputs.append(outputs.arrays)
        return rows

    def batch(self) -> Batch:
        """What was added."""
        loaded = self.loaded
        took = np.clip(np.frombuffer(self._took, "<i8") // 1000, 0, 0xFFFFFFFF)
        logged = np.repeat(np.frombuffer(self._logged, "<i8"), self._sizes)
        return Batch(
            loaded.model, loaded.version, self._status, self._ids, self._counts.tobytes(),
            bytes(map(_ROLE_CODES.__getitem__, self._roles)), took.astype("<u4").tobytes(), logged.tobytes(),
            self._row_keys(), self._row_times(), self._inputs(), self._answers(),
        )  # fmt: skip

    def _row_keys(self) -> list[Any] | None:
        """A key for each row; None without any."""
        if not any(self._keys):
            return None
        found: list[Any] = []
        for given, rows in zip(self._keys, self._counts, strict=True):
            found += [None] * rows if given is None else given
        return found

    def _row_times(self) -> bytes | None:
        """A time for each row; None without any."""
        if not any(self._times):
            return None
        return b"".join([
            _NO_TIME * rows if given is None else given
            for given, rows in zip(self._times, self._counts, strict=True)
        ])  # fmt: skip

    def _inputs(self) -> list[Block]:
        contract, policy = self.loaded.contract, self.loaded.log_policy
        whole = [contract.merge(self._payloads)] if contract.batchable else self._payloads
        logged = [policy.shown(contract.logged(payload)) for payload in whole]
        return [
            Block(names, datatype, tail, data if len(logged) == 1 else b"".join([one[at][3] for one in logged]))
            for at, (names, datatype, tail, data) in enumerate(logged[0])
        ]

    def _answers(self) -> list[Block]:
        batchable, found = self.loaded.contract.batchable, self._outputs
        blocks: list[Block] = []
        for at, spec in enumerate(self._specs):
            tail = list(found[0][at].shape[1 if batchable else 0 :])
            parts = [arrays[at] for arrays in found]
            if batchable:
                data = tensors.to_bytes(spec.datatype, np.concatenate(parts))
            else:
                data = b"".join([tensors.to_bytes(spec.datatype, part) for part in parts])
            blocks.append(Block([spec.name], spec.datatype, tail, data))
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
