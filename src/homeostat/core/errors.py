"""The one error tree. HTTP status and exit code of every error are decided here and nowhere else.

HomeostatError                      500   1
├── InvalidInput (ValueError)       400   2   what was asked cannot be meant
├── Unauthenticated                 401   3   nobody is logged in
├── PermissionDenied                403   3   somebody is, but may not
├── NotFound (LookupError)          404   4   the thing named does not exist
├── Conflict                        409   5   the state has moved on since you looked
│   └── AlreadyExists               409   5   the name is taken
├── TooLarge                        413   2   over a limit
├── Refused                         422   6   understood, and a rule says no
├── TooManyRequests                 429   8   too often; `retry_after_s` says when again
├── MissingExtra (ImportError)      501   7   an optional dependency is not installed
├── Unavailable                     503   8   not now: a port in use, a lock held, a model loading
├── StorageFull                     507   9   no space left; reads go on
├── Corrupt                         500  10   stored bytes are not what was written
└── StepFailed                      500  11   the user's own code failed
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar


class HomeostatError(Exception):
    """Something Homeostat can explain: what, which one, why, and what to type next.

    `facts` carries the particulars (names, paths, limits) for programs; `hint` is the next thing to do.

    >>> error = NotFound("model 'x' is not registered", hint="homeostat registry list-models", model="x")
    >>> error.code, error.status, error.facts
    ('not_found', 404, {'model': 'x'})
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self).code, self.message, self.hint, self.facts)


class InvalidInput(HomeostatError, ValueError):
    code, status, exit_code = "invalid_input", 400, 2


class Unauthenticated(HomeostatError):
    code, status, exit_code = "unauthenticated", 401, 3


class PermissionDenied(HomeostatError):
    code, status, exit_code = "permission_denied", 403, 3


class NotFound(HomeostatError, LookupError):
    code, status, exit_code = "not_found", 404, 4


class Conflict(HomeostatError):
    code, status, exit_code = "conflict", 409, 5


class AlreadyExists(Conflict):
    code = "already_exists"


class TooLarge(HomeostatError):
    code, status, exit_code = "too_large", 413, 2


class Refused(HomeostatError):
    code, status, exit_code = "refused", 422, 6


class TooManyRequests(HomeostatError):
    code, status, exit_code = "too_many_requests", 429, 8


class MissingExtra(HomeostatError, ImportError):
    code, status, exit_code = "missing_extra", 501, 7


class Unavailable(HomeostatError):
    code, status, exit_code = "unavailable", 503, 8


class StorageFull(HomeostatError):
    code, status, exit_code = "storage_full", 507, 9


class Corrupt(HomeostatError):
    code, status, exit_code = "corrupt", 500, 10


class StepFailed(HomeostatError):
    code, status, exit_code = "step_failed", 500, 11


def _tree(root: type[HomeostatError]) -> dict[str, type[HomeostatError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


def from_code(code: str, message: str, hint: str = "", facts: dict[str, Any] | None = None) -> HomeostatError:
    """The error that a remote Homeostat named by `code`; an unknown code gives the root class.

    >>> type(from_code("conflict", "moved on")).__name__
    'Conflict'
    """
    kind = _tree(HomeostatError).get(code, HomeostatError)
    return kind(message, hint=hint, **(facts or {}))


def from_os(error: OSError) -> HomeostatError:
    """What the operating system refused, told as every other error is; for the outermost layers.

    >>> from_os(FileNotFoundError(2, "No such file or directory", "a.csv")).message
    'a.csv: No such file or directory'
    """
    name = "" if error.filename is None else str(error.filename)
    shown = name if len(name) <= 200 else f"{name[:60]}… ({len(name):,} characters)"
    said = f"{shown}: {error.strerror or error}" if shown else str(error.strerror or error)
    if error.errno == errno.ENAMETOOLONG:
        return InvalidInput(said, hint="use a shorter name")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(said, hint="make room; what was answered before is kept")
    return Unavailable(said)


def _rebuild(code: str, message: str, hint: str, facts: dict[str, Any]) -> HomeostatError:
    return from_code(code, message, hint, facts)
