"""`@step` and `@pipeline`: ordinary functions that, called inside a pipeline, describe the work instead of doing it."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

import msgspec
from msgspec import structs

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import check_name
from homeostat.core.settings import Settings
from homeostat.core.workspace import Workspace
from homeostat.pipelines.graph import STEP, WORKSPACE, Graph, Node, Options
from homeostat.pipelines.model import Value

P = ParamSpec("P")
R = TypeVar("R")

Encode = Callable[[Any], Value]


class Future:
    """What a step will give. Hand it, or a part of it (`future["train"]`, `future[0]`), to another step.

    Its value is not there while the pipeline is being described, so it cannot be computed with or tested.
    """

    def __init__(self, step: str, parts: tuple[str, ...] = (), width: int | None = None) -> None:
        self._step, self._parts, self._width = step, parts, width

    def __getitem__(self, part: str | int) -> Future:
        return Future(self._step, (*self._parts, str(part)))

    def __iter__(self) -> Iterator[Future]:
        if self._width is None:
            raise InvalidInput(
                f"how many parts step '{self._step}' gives is not known before it has run",
                hint=f"annotate its result, such as `-> tuple[DataFrame, DataFrame]`, or take {self._step}[0]",
            )
        return (self[position] for position in range(self._width))

    def _too_early(self, *_: Any) -> Any:
        raise InvalidInput(
            f"the result of step '{self._step}' is used while the pipeline is still being described",
            hint="do the computing inside a step; a pipeline function only passes results on",
            step=self._step,
        )

    __bool__ = __int__ = __float__ = __len__ = __call__ = _too_early
    __add__ = __sub__ = __mul__ = __truediv__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _too_early

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._too_early()

    def __repr__(self) -> str:
        return f"Future({'.'.join((self._step, *self._parts))})"


class _Description:
    """The graph under construction, while a pipeline function runs."""

    def __init__(self, encode: Encode) -> None:
        self.encode = encode
        self.nodes: list[Node] = []
        self.functions: dict[str, Callable[..., Any]] = {}

    def add(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future:
        taken = {node.name for node in self.nodes}
        name, number = step.name, 2
        while name in taken:
            name, number = f"{step.name}-{number}", number + 1
        arguments = {key: self.value(value) for key, value in step.bind(args, kwargs).items()}
        self.nodes.append(Node(name=name, function=step.reference, arguments=arguments, options=step.options))
        self.functions[name] = step.function
        return Future(name, width=_width(step.function))

    def value(self, value: Any) -> Value:
        """`value` at rest, with futures inside it kept as what they are."""
        if isinstance(value, Future):
            return Value(codec=STEP, note=value._step, keys=list(value._parts))  # pyright: ignore[reportPrivateUsage]
        if isinstance(value, Workspace):  # whichever it is: a step opens the one its pipeline runs in
            return Value(codec=WORKSPACE)
        if type(value) in (list, tuple) and _holds_future(value):
            return Value(codec=type(value).__name__, items=[self.value(item) for item in value])
        if type(value) is dict and _holds_future(list(value.values())):
            return Value(codec="dict", keys=list(value), items=[self.value(item) for item in value.values()])
        return self.encode(value)


_description: ContextVar[_Description | None] = ContextVar("homeostat_pipeline", default=None)


class Step(Generic[P, R]):
    """A function that may be a step. Outside a pipeline, calling it calls the function."""

    def __init__(self, function: Callable[P, R], options: Options, name: str | None = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.name = check_name(name or function.__name__, "step name")

    @property
    def reference(self) -> str:
        """ "module:name" of the function; InvalidInput unless a child process could import it by that."""
        return reference_of(self.function, "step")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        open_description = _description.get()
        if open_description is None:
            return self.function(*args, **kwargs)
        return cast(R, open_description.add(self, args, kwargs))

    def options_with(self, **changes: Any) -> Step[P, R]:
        """The same step with other options for some calls: `train.options_with(timeout_s=600)(data)`."""
        try:
            options = structs.replace(self.options, **changes)
        except TypeError as error:
            raise InvalidInput(f"step '{self.name}': {error}", hint=_KNOWN_OPTIONS) from None
        return Step(self.function, _checked(options, self.name), self.name)

    def named(self, name: str) -> Step[P, R]:
        """The same step under another name, where one pipeline calls it more than once."""
        return Step(self.function, self.options, name)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults filled in, a workspace parameter left to be opened in the child."""
        signature = inspect.signature(self.function)
        for parameter in signature.parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise InvalidInput(
                    f"step '{self.name}' takes *{parameter.name}; a step's parameters have names",
                    hint="take a list or a dict instead",
                )
        try:
            bound = signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            raise InvalidInput(f"step '{self.name}': {error}") from None
        bound.apply_defaults()
        for name in workspace_parameters(self.function):
            if not isinstance(bound.arguments.setdefault(name, _SOMEWHERE), Workspace):
                raise InvalidInput(
                    f"step '{self.name}' takes the workspace as '{name}', not {bound.arguments[name]!r}",
                    hint="pass the pipeline's workspace on, or leave it out and give the others by name",
                )
        missing = [name for name in signature.parameters if name not in bound.arguments]
        if missing:
            raise InvalidInput(f"step '{self.name}' is called without {', '.join(missing)}", step=self.name)
        return {name: bound.arguments[name] for name in signature.parameters}


class Pipeline(Generic[P, R]):
    """A function that calls steps. `run_pipeline` describes it, then runs it; a plain call runs the steps in place."""

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    @property
    def reference(self) -> str:
        """ "module:name", as `run_pipeline` takes it."""
        return reference_of(self.function, "pipeline")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


def describe(pipeline: Pipeline[..., Any], params: dict[str, Any], encode: Encode) -> _Described:
    """Run a pipeline function to learn its graph: no step runs. Parameters are converted to their annotations.

    Raises: InvalidInput for an unknown, missing or unfitting parameter, or a result used too early.
    """
    if _description.get() is not None:
        raise InvalidInput("a pipeline is being described already")
    arguments = _convert(pipeline, params)
    description = _Description(encode)
    token = _description.set(description)
    try:
        result = pipeline.function(**arguments)
        outputs = _outputs(result, description)
    finally:
        _description.reset(token)
    graph = Graph(pipeline=pipeline.reference, steps=description.nodes, outputs=outputs)
    return _Described(graph, description.functions)


class _Described(typing.NamedTuple):
    graph: Graph
    functions: dict[str, Callable[..., Any]]


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    cache: bool = True,
    retries: int = 0,
    retry_wait_s: float = 1.0,
    timeout_s: float | None = None,
    version: str = "",
    isolation: typing.Literal["fork", "spawn"] = "fork",
    name: str | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any
) -> Step[..., Any] | Callable[[Callable[..., Any]], Step[..., Any]]:
    """Make a function a step of pipelines.

    `cache`: an output made by the same code from the same arguments is used again. `retries`: how often a failed step
    is tried again, waiting `retry_wait_s` seconds before the first, twice that before the second, and so on, at most a
    minute. `timeout_s`: the step is ended after so many seconds and counts as failed. `version`: any text; changing it
    makes every earlier output stale. `isolation`: "spawn" starts a fresh interpreter for the step instead of a copy of
    a warm one.

    A step runs in a process of its own. It takes and gives data frames, arrays, JSON values, paths of files and folders
    (kept by content), lists and dicts of those, and anything that pickles. A parameter annotated `Workspace` is the
    open workspace.

    >>> @step(retries=1)
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(4)
    8
    """
    if function is not None:
        return Step(function, Options())
    given = _option_record(options, name or "")

    def mark(inner: Callable[..., Any]) -> Step[..., Any]:
        return Step(inner, given, name)

    return mark


def pipeline(function: Callable[P, R]) -> Pipeline[P, R]:
    """Make a function that calls steps a pipeline.

    Its parameters are plain JSON values with annotations; what it returns (a step's result, or a tuple or dict of
    them) are the pipeline's outputs. Loops and conditions on parameters are ordinary Python.
    """
    return Pipeline(function)


def reference_of(function: Callable[..., Any], what: str) -> str:
    """ "module:name" of a function that can be imported by it; InvalidInput otherwise."""
    name = function.__qualname__
    if "<" in name or "." in name:
        raise InvalidInput(
            f"{what} '{name}' is defined inside another function or class",
            hint="move it to the top level of a module, so that another process can import it",
        )
    return f"{function.__module__}:{name}"


def workspace_parameters(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters annotated `Workspace` (as a class or as text)."""
    found: list[str] = []
    for name, note in inspect.get_annotations(function).items():
        text = note if isinstance(note, str) else ""
        if name != "return" and (note is Workspace or text.strip("'\" ").split(".")[-1] == "Workspace"):
            found.append(name)
    return found


class _Somewhere(Workspace):
    """Stands for the workspace of whoever runs the step, while a pipeline is being described."""

    def __init__(self) -> None:
        super().__init__("", Path(), Settings({}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise InvalidInput(
            "the workspace is used while the pipeline is still being described",
            hint="read and write inside a step; a pipeline function only passes results on",
        )

    db = blobs = leases = property(lambda self: self.__getattr__("db"))  # pyright: ignore


_SOMEWHERE = _Somewhere()
_KNOWN_OPTIONS = f"a step's options are {', '.join(field.name for field in structs.fields(Options))}, name"


def _option_record(options: dict[str, Any], name: str) -> Options:
    try:
        return _checked(Options(**options), name)
    except TypeError as error:
        raise InvalidInput(f"@step: {error}", hint=_KNOWN_OPTIONS) from None


def _checked(options: Options, name: str) -> Options:
    try:
        msgspec.convert(structs.asdict(options), Options)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"step '{name}': {error}", hint=_KNOWN_OPTIONS) from None
    if options.retries < 0 or options.retry_wait_s < 0 or (options.timeout_s is not None and options.timeout_s <= 0):
        raise InvalidInput(f"step '{name}': retries and times are not negative", hint="retries=2, timeout_s=600")
    if options.isolation not in ("fork", "spawn"):
        raise InvalidInput(f"step '{name}': isolation is 'fork' or 'spawn', not {options.isolation!r}")
    return options


def _convert(pipeline: Pipeline[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    signature = inspect.signature(pipeline.function)
    takes = [name for name in signature.parameters if name not in workspace_parameters(pipeline.function)]
    unknown = [name for name in params if name not in takes]
    if unknown:
        raise InvalidInput(
            f"pipeline '{pipeline.reference}' takes no parameter {', '.join(map(repr, unknown))}",
            hint=f"it takes {', '.join(takes) or 'none'}",
        )
    missing = [n for n in takes if n not in params and signature.parameters[n].default is inspect.Parameter.empty]
    if missing:
        raise InvalidInput(
            f"pipeline '{pipeline.reference}' needs {', '.join(missing)}",
            hint="give them as params={" + ", ".join(f"{name!r}: …" for name in missing) + "}",
        )
    hints = _hints(pipeline.function)
    converted: dict[str, Any] = dict.fromkeys(workspace_parameters(pipeline.function), _SOMEWHERE)
    for name, value in params.items():
        try:
            converted[name] = msgspec.convert(value, hints.get(name, Any))
        except msgspec.ValidationError as error:
            raise InvalidInput(f"pipeline '{pipeline.reference}', parameter '{name}': {error}") from None
        except TypeError:  # an annotation that msgspec has no notion of
            converted[name] = value
    return converted


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # annotations that only a type checker can follow
        return {}


def _width(function: Callable[..., Any]) -> int | None:
    result = _hints(function).get("return")
    if typing.get_origin(result) is not tuple or Ellipsis in typing.get_args(result):
        return None
    return len(typing.get_args(result))


def _holds_future(values: Any) -> bool:
    for value in values:
        if isinstance(value, Future):
            return True
        if type(value) in (list, tuple) and _holds_future(value):
            return True
        if type(value) is dict and _holds_future(list(value.values())):
            return True
    return False


def _outputs(result: Any, description: _Description) -> dict[str, Value]:
    if result is None:
        return {}
    if type(result) is dict:
        return {str(name): description.value(value) for name, value in result.items()}
    if type(result) in (list, tuple):
        return {str(position): description.value(value) for position, value in enumerate(result)}
    return {"result": description.value(result)}
