"""From a parsed request to the lane that answers it: the route, the check against the signature, mirrors."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.ids import new_id
from homeostat.serving.catalog import Catalog
from homeostat.serving.contract import first_key
from homeostat.serving.http1 import JSON, Exchange
from homeostat.serving.lane import Lane
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.oip import Outputs, WireRequest
from homeostat.serving.question import Form, Question, Waiting
from homeostat.serving.served import Served

OCTETS = b"application/octet-stream"


class RestForm:
    """The Open Inference Protocol's answer over HTTP: JSON, or JSON with binary tensors behind it."""

    def put(
        self, question: Question, waiting: Exchange, loaded: LoadedVersion, outputs: Outputs, start: int,
        stop: int | None,
    ) -> None:  # fmt: skip
        """See `Form.put`."""
        body, length = loaded.writer.write(question.id, question.role, question.wanted, outputs, start, stop)
        if length < 0:
            waiting.data = waiting.compose(200, JSON, body)
        else:
            waiting.data = waiting.compose(200, OCTETS, body, b"Inference-Header-Content-Length: %d\r\n" % length)


REST = RestForm()


class Asking:
    """Puts requests of any protocol into lanes. On the event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        # Ids that nobody chose: unique across processes by their prefix, cheap by their counter.
        self._prefix = new_id()
        self._numbers = itertools.count()

    def first(self, served: Served, version: str | None) -> Lane:
        """The lane whose contract a request is read by, before it is known which version answers: the champion's.

        Raises: Unavailable while nothing is loaded; NotFound for a version without a route.
        """
        table = served.table
        if table is None or version is not None:
            return self.catalog.lane(served, version)
        return table.champion

    def ask(
        self, served: Served, version: str | None, lane: Lane, request: WireRequest, body: bytes, at: int,
        waiting: Waiting, form: Form, started: int,
    ) -> None:  # fmt: skip
        """Have `request` answered in `form` by `lane` when a version is named, else by the version that the routes
        choose. Its binary tensors lie in `body` from `at` on.

        Raises: InvalidInput when it does not fit the signature.
        """
        table = served.table
        assert table is not None
        try:
            if request.parameters is not None and "content_type" in request.parameters:
                _spread(request)
            identity = request.id or f"{self._prefix}{next(self._numbers)}"
            sticky = identity
            if version is not None:
                role = "direct"
            elif table.only is not None:
                lane, role = table.only
            else:
                sticky = self._sticky(served, request, body, at, identity)
                lane, role = table.choose(sticky)
            loaded = lane.loaded
            accepted = loaded.contract.accept(request.inputs, body, at, served.known)
            if loaded.contract.asks:
                loaded.contract.bind(accepted.payload, request.params, request.parameters)
            wanted = loaded.writer.wanted(request)
        except InvalidInput as error:
            served.rejected += 1
            if version is None and table.only is None:  # another version might have taken it
                told = f"{error.message}; version {lane.loaded.version} was to answer"
                raise InvalidInput(told, hint=error.hint) from None
            raise
        question = Question(
            waiting, form, identity, role, accepted.rows, accepted.payload, accepted.key, accepted.times, wanted,
            started,
        )  # fmt: skip
        if request.parameters is not None:
            question.parameters = request.parameters
            if "timeout" in request.parameters:
                question.deadline_ns = started + 1000 * _microseconds(request.parameters["timeout"])
        if table.mirrored and role != "direct":
            if sticky is identity:
                sticky = self._sticky(served, request, body, at, identity)
            question.shadows = [shadow.loaded for shadow in table.shadows(sticky)]
            if question.shadows:
                question.mirror = (request, body, at)
        lane.put(question)

    def _sticky(self, served: Served, request: WireRequest, body: bytes, at: int, identity: str) -> str:
        """What the route is chosen by. A request without a key is routed by its id."""
        deployment = served.deployment
        if deployment is None or deployment.sticky == "request":
            return identity
        found = first_key(request.inputs, deployment.key, body, at)
        return identity if found is None else str(found)


def _spread(request: WireRequest) -> None:
    """The request's content type holds for every input that has none of its own."""
    content = request.parameters["content_type"] if request.parameters else None
    for wire in request.inputs:
        wire.parameters = {"content_type": content, **(wire.parameters or {})}


class _Own(msgspec.Struct):
    """What is looked at in a request whose model is away."""

    parameters: dict[str, Any] | None = None


def own_timeout_us(exchange: Exchange) -> int:
    """A held request's own time limit; 0 when it has none, or cannot be read yet."""
    if exchange.body and exchange.headers.get(b"content-encoding") is None:
        try:
            length = int(exchange.headers.get(b"inference-header-content-length") or len(exchange.body))
            found = msgspec.json.decode(exchange.body[: max(length, 0)], type=_Own).parameters
            return _microseconds(found["timeout"]) if found and "timeout" in found else 0
        except (msgspec.DecodeError, ValueError, InvalidInput):
            pass  # it will be told so when it is read in earnest
    return 0


def _microseconds(value: object) -> int:
    """A request's own time limit, as the protocol's servers count it."""
    if type(value) is not int or not 1 <= value <= 86_400_000_000:
        raise InvalidInput(f"the parameter 'timeout' is {str(value)[:40]!r}", hint="a whole number of microseconds")
    return value
