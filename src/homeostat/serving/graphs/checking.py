"""Whether a graph can be meant, and what it takes and gives: every step's inputs against what is there before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from homeostat.core.errors import InvalidInput
from homeostat.data import Table
from homeostat.features import FeatureView
from homeostat.registry import Field, Signature
from homeostat.serving.graphs.combining import mean_type, shared, takes, widest
from homeostat.serving.graphs.conditions import check_when
from homeostat.serving.graphs.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    Ensemble,
    Lookup,
    Member,
    Node,
    Scalar,
    Sequence,
    Splitter,
    Switch,
    When,
    children,
)

_OF_COLUMN = {
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "float32": "FP32", "float64": "FP64",
    "boolean": "BOOL", "string": "BYTES",
}  # fmt: skip


class Made(NamedTuple):
    """A column that a step has made, and the path of that step."""

    field: Field
    by: str


class Place(NamedTuple):
    """What is there where a node stands: the columns that steps have made, and the output of the step before it."""

    made: dict[str, Made]
    last: list[Made]


class Checked(NamedTuple):
    """A graph that can be meant. `places` and `outputs_of` are by path; `rowwise`: it answers row by row."""

    signature: Signature
    rowwise: bool
    places: dict[str, Place]
    outputs_of: dict[str, list[Field]]


def check_graph(
    graph: Node, signature_of: Callable[[Member], Signature], table_of: Callable[[str], Table],
    view_of: Callable[[Lookup], FeatureView],
) -> Checked:  # fmt: skip
    """What the graph takes and gives, by the signatures of its members, the columns of its tables and its views.

    Raises: InvalidInput, naming the node by its path, for what does not fit, is too deep or too large; what the
    functions raise.
    """
    _check_size(graph)
    checker = _Checker(signature_of, table_of, view_of)
    outputs = checker.visit(graph, Place({}, []), "graph")
    checker.settle_conditions()
    _check_names(outputs, "graph")
    inputs = list(checker.inputs.values())
    if not inputs:
        raise InvalidInput("graph: it takes nothing from the request", hint="a model in it has to have an input")
    if checker.routed_by_row and not checker.rowwise:
        raise InvalidInput(
            f"{checker.routed_by_row}: rows are shared out here, but a member takes the request as a whole",
            hint="a switch on a parameter, or a splitter by request, sends a request one way",
        )
    tensor = None
    if checker.tensors and not checker.columns_only and all(field.dtype != "BYTES" for field in inputs):
        tensor = checker.tensors[0] if len(set(checker.tensors)) == 1 else "features"
    signature = Signature(inputs=inputs, outputs=outputs, tensor=tensor)
    return Checked(signature, checker.rowwise, checker.places, checker.outputs_of)


def by_position(node: Member, signature: Signature, place: Place) -> bool:
    """Whether a member takes the one output of the step before it, whatever that is called."""
    if node.inputs or len(place.last) != 1:
        return False
    have = place.last[0].field
    tail = have.shape[1:]
    # A single column may be another than the one asked for by name; a matrix of the right width is hardly meant
    # otherwise.
    names = {field.name for field in signature.inputs}
    if have.name in names or (not tail and names & place.made.keys()):
        return False
    if signature.tensor is not None:
        width = len(signature.inputs)
        return have.dtype != "BYTES" and (tail == [width] or (width == 1 and not tail))
    (only, *others) = signature.inputs
    return not others and takes(have.dtype, only.dtype) and _same_tail(tail, only.shape[1:])


def _same_tail(have: list[int], want: list[int]) -> bool:
    return len(have) == len(want) and all(-1 in (a, b) or a == b for a, b in zip(have, want, strict=True))


def rowwise(signature: Signature) -> bool:
    """Whether a model answers row by row: everything that goes in and comes out has a first dimension that is free,
    and no other."""
    if signature.tensor is not None:
        return True
    free = [field.shape for field in signature.inputs]
    return all(shape[:1] == [-1] and -1 not in shape[1:] for shape in free) and all(
        field.shape[:1] == [-1] for field in signature.outputs
    )


class _Checker:
    """One walk over a graph. `inputs` are what it takes from the request, in the order of first use."""

    def __init__(
        self, signature_of: Callable[[Member], Signature], table_of: Callable[[str], Table],
        view_of: Callable[[Lookup], FeatureView],
    ) -> None:  # fmt: skip
        self._signature_of = signature_of
        self._table_of = table_of
        self._view_of = view_of
        self.inputs: dict[str, Field] = {}
        self._taken_by: dict[str, str] = {}
        self._used: set[str] = set()
        self._conditions: list[tuple[When, str]] = []
        self.places: dict[str, Place] = {}
        self.outputs_of: dict[str, list[Field]] = {}
        self.tensors: list[str] = []
        self.columns_only = False
        self.rowwise = True
        self.routed_by_row = ""

    def visit(self, node: Node, place: Place, path: str) -> list[Field]:
        """The outputs of a node that stands at `place`."""
        self.places[path] = place
        match node:
            case Member():
                found = self._member(node, place, path)
            case Sequence():
                found = self._sequence(node, place, path)
            case Ensemble():
                found = self._ensemble(node, place, path)
            case Switch():
                found = self._switch(node, place, path)
            case Splitter():
                found = self._splitter(node, place, path)
            case Lookup():
                raise InvalidInput(f"{path}: a lookup stands in a sequence, before the step that uses its columns")
        self.outputs_of[path] = found
        return found

    def settle_conditions(self) -> None:
        """Conditions on columns that no step makes: they are inputs, of their own where no member takes them."""
        for when, path in self._conditions:
            assert when.column is not None
            field = self.inputs.get(when.column)
            if field is None:
                field = Field(name=when.column, dtype=_type_of_value(when, path))
                self.inputs[when.column] = field
            check_when(when, field.dtype, path)

    def _member(self, node: Member, place: Place, path: str) -> list[Field]:
        signature = self._signature_of(node)
        where = f"{path}: model '{node.name}'"
        _check_renames(node.inputs, [field.name for field in signature.inputs], "input", where)
        _check_renames(node.outputs, [field.name for field in signature.outputs], "output", where)
        self.rowwise &= rowwise(signature)
        if by_position(node, signature, place):
            self._used.add(place.last[0].by)
        else:
            for field in signature.inputs:
                wanted = replace(field, name=node.inputs.get(field.name, field.name))
                matrix = signature.tensor is not None
                self._take(wanted, place, where, matrix)
                if wanted.name not in place.made:
                    self.columns_only |= not matrix
            if signature.tensor is not None:
                self.tensors.append(signature.tensor)
        return [replace(field, name=node.outputs.get(field.name, field.name)) for field in signature.outputs]

    def _take(self, wanted: Field, place: Place, where: str, matrix: bool = False) -> None:
        made = place.made.get(wanted.name)
        if made is None:
            self._need(wanted, where, matrix)
            return
        self._used.add(made.by)
        have = made.field
        fits = have.dtype != "BYTES" and wanted.dtype != "BYTES" if matrix else takes(have.dtype, wanted.dtype)
        if not fits or not _same_tail(have.shape[1:], wanted.shape[1:]):
            raise InvalidInput(
                f"{where} takes '{wanted.name}' as {wanted.dtype} of shape {wanted.shape}, "
                f"{made.by} gives {have.dtype} of shape {have.shape}",
                hint="rename one of them with `inputs` or `outputs` of the member, if they only share a name",
            )

    def _need(self, wanted: Field, where: str, matrix: bool) -> None:
        """Take `wanted` from the request."""
        known = self.inputs.get(wanted.name)
        if known is None:
            self.inputs[wanted.name] = wanted
            self._taken_by[wanted.name] = where
            return
        dtype = shared(known.dtype, wanted.dtype)
        if matrix and "BYTES" not in (known.dtype, wanted.dtype):
            dtype = known.dtype  # any number becomes one of 32 bits there
        if dtype is None or known.shape[1:] != wanted.shape[1:]:
            raise InvalidInput(
                f"{where} takes '{wanted.name}' as {wanted.dtype} of shape {wanted.shape}, "
                f"{self._taken_by[wanted.name].replace(':', ' with', 1)} as {known.dtype} of shape {known.shape}",
                hint="feed one of them from another column: `inputs` of the member",
            )
        self.inputs[wanted.name] = replace(known, dtype=dtype)

    def _sequence(self, node: Sequence, place: Place, path: str) -> list[Field]:
        if not node.steps:
            raise InvalidInput(f"{path}: a sequence has steps")
        made, last = dict(place.made), place.last
        outputs: list[Field] = []
        for at, step in enumerate(node.steps):
            where = f"{path}.steps[{at}]"
            if isinstance(step, Lookup) and at + 1 < len(node.steps):
                outputs = self._lookup(step, Place(made, last), where)
            else:
                outputs = self.visit(step, Place(made, last), where)
            _check_names(outputs, where)
            here = [Made(field, where) for field in outputs]
            made = {**made, **{one.field.name: one for one in here}}
            # What a lookup adds is taken by its name only.
            last = [] if isinstance(step, Lookup) else here
        for at in range(len(node.steps) - 1):
            where = f"{path}.steps[{at}]"
            if where not in self._used:
                names = ", ".join(f"'{field.name}'" for field in self.outputs_of[where])
                raise InvalidInput(
                    f"{where}: no later step takes what this one gives ({names[:200]})",
                    hint="name its output as the next step's input, with `outputs` of the member",
                )
        return outputs

    def _lookup(self, node: Lookup, place: Place, path: str) -> list[Field]:
        self.places[path] = place
        if bool(node.table) == bool(node.view):
            raise InvalidInput(f"{path}: a lookup names a table or a view")
        if node.view:
            view = self._view_of(node)
            table, key, columns = self._table_of(view.source), keys_of(view), node.columns or view.columns
            wanted = key
            for name in columns:
                if name not in view.columns:
                    raise InvalidInput(f"{path}: view '{node.view}' has no feature '{name[:80]}'",
                                       hint=f"it has {', '.join(view.columns[:20])}")  # fmt: skip
            if node.key or not key or len(set(columns)) != len(columns):
                raise InvalidInput(f"{path}: the view says by what its features are found, each is named once",
                                   hint="leave out `key`; a view without any key has no place here")  # fmt: skip
        else:
            table, key, columns = self._table_of(node.table), node.key, node.columns
            wanted = [*key, *columns]
            if not key or not columns or len(set(columns)) != len(columns):
                raise InvalidInput(f"{path}: a lookup names its key and the columns that it adds, each once")
        types = {column.name: column.type for column in table.columns}
        for name in wanted:
            if name not in types:
                raise InvalidInput(f"{path}: table '{table.name}' has no column '{name[:80]}'",
                                   hint=f"it has {', '.join(list(types)[:20])}")  # fmt: skip
        self._take_keys(key, types, place, path)
        if node.view:
            if odd := [name for name, value in node.defaults.items() if isinstance(value, str)]:
                raise InvalidInput(f"{path}: the default of '{odd[0]}' is a text, a feature is a number")
            found = [Field(name=name, dtype="FP32") for name in columns]
        else:
            found = [Field(name=name, dtype=_added(types[name], node.defaults.get(name), name, path))
                     for name in columns]  # fmt: skip
        if odd := [name for name in node.defaults if name not in columns]:
            raise InvalidInput(f"{path}: '{odd[0]}' has a default and is not among the columns")
        self.outputs_of[path] = found
        return found

    def _take_keys(self, key: list[str], types: dict[str, str], place: Place, path: str) -> None:
        for name in key:
            kind = _OF_COLUMN.get(types[name], "")
            if not kind.startswith(("INT", "BYTES")):
                raise InvalidInput(f"{path}: '{name}' is {types[name]}; a key is of whole numbers or texts")
            wanted = Field(name=name, dtype="BYTES" if kind == "BYTES" else "INT64")
            self._take(wanted, place, path)
            # In a matrix of 32-bit floats a number above 2^24 would not be the same any more.
            self.columns_only |= name not in place.made

    def _ensemble(self, node: Ensemble, place: Place, path: str) -> list[Field]:
        if not node.members:
            raise InvalidInput(f"{path}: an ensemble has members")
        _check_weights(node, path)
        found = [(name, child, self.visit(child, place, f"{path}.{name}")) for name, child in children(node)]
        if node.combine == "collect":
            outputs = [
                replace(field, name=collected_name(child, name, field.name))
                for name, child, out in found
                for field in out
            ]
            _check_names(outputs, path)
            return outputs
        aligned = _aligned([(f"{path}.{name}", out) for name, _, out in found])
        outputs: list[Field] = []
        for fields in aligned:
            kinds = [field.dtype for field in fields]
            texts = "BYTES" in kinds
            if node.combine == "vote":
                if any(kind.startswith(("FP", "BF")) for kind in kinds) or (texts and set(kinds) != {"BYTES"}):
                    raise InvalidInput(f"{path}: members vote on '{fields[0].name}' with {', '.join(kinds)}",
                                       hint="classes are whole numbers or texts; of scores take the mean")  # fmt: skip
                dtype = _widest_of(kinds, path)
            elif texts:
                raise InvalidInput(f"{path}: '{fields[0].name}' is text, which has no {node.combine}",
                                   hint='combine="vote"')  # fmt: skip
            else:
                dtype = mean_type(kinds) if node.combine == "mean" else _widest_of(kinds, path)
            outputs.append(replace(fields[0], dtype=dtype))
        return outputs

    def _switch(self, node: Switch, place: Place, path: str) -> list[Field]:
        if not node.cases:
            raise InvalidInput(f"{path}: a switch has cases")
        found = [(f"{path}.{name}", self.visit(child, place, f"{path}.{name}")) for name, child in children(node)]
        for at, case in enumerate(node.cases):
            where = f"{path}.cases[{at}]"
            if case.when.column is None:
                check_when(case.when, None, where)
                continue
            self.routed_by_row = path
            made = place.made.get(case.when.column)
            if made is None:
                check_when(case.when, None, where)
                self._conditions.append((case.when, where))
            else:
                self._used.add(made.by)
                check_when(case.when, made.field.dtype, where)
        return [replace(fields[0], dtype=_widest_of([f.dtype for f in fields], path)) for fields in _aligned(found)]

    def _splitter(self, node: Splitter, place: Place, path: str) -> list[Field]:
        weights = [share.weight for share in node.shares]
        if not weights or any(not 0 < weight <= 1 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
            raise InvalidInput(f"{path}: the weights {weights[:10]} are not shares that add up to 1")
        if node.sticky == "key":
            self.routed_by_row = path
        found = [(f"{path}.{name}", self.visit(child, place, f"{path}.{name}")) for name, child in children(node)]
        return [replace(fields[0], dtype=_widest_of([f.dtype for f in fields], path)) for fields in _aligned(found)]


def keys_of(view: FeatureView) -> list[str]:
    """The entity keys that a view's features are found by, each once."""
    return list(dict.fromkeys(name for feature in view.features for name in feature.key))


def collected_name(child: Node, label: str, output: str) -> str:
    """What "collect" calls an output: as the member renamed it, else MEMBER.OUTPUT."""
    if isinstance(child, Member):
        return output if output in child.outputs.values() else f"{child.name}.{output}"
    return f"{label}.{output}"


def _aligned(found: list[tuple[str, list[Field]]]) -> list[list[Field]]:
    """The outputs that belong together: by name, or the only ones of nodes that give one each."""
    first_path, first = found[0]
    single = all(len(outputs) == 1 for _, outputs in found)
    groups: list[list[Field]] = []
    for field in first:
        group = [field]
        for path, outputs in found[1:]:
            same = outputs[0] if single else next((one for one in outputs if one.name == field.name), None)
            if same is None or len(outputs) != len(first):
                raise InvalidInput(
                    f"{path} gives {_names(outputs)}, {first_path} gives {_names(first)}",
                    hint="they must give the same outputs; `outputs` of a member renames them",
                )
            if same.shape != field.shape:
                raise InvalidInput(
                    f"{path} gives '{same.name}' of shape {same.shape}, "
                    f"{first_path} '{field.name}' of shape {field.shape}"
                )
            group.append(same)
        groups.append(group)
    return groups


def _widest_of(kinds: list[str], path: str) -> str:
    found = kinds[0]
    for kind in kinds[1:]:
        wider = widest(found, kind)
        if wider is None:
            raise InvalidInput(f"{path}: its parts give {found} and {kind} for the same output")
        found = wider
    return found


def _added(kind: str, default: Scalar | None, name: str, path: str) -> str:
    """The datatype of a column that a lookup adds."""
    datatype = _OF_COLUMN.get(kind)
    if datatype is None:
        raise InvalidInput(
            f"{path}: column '{name}' is {kind}, which no model takes", hint="numbers, booleans and texts"
        )
    if default is not None and isinstance(default, str) != (datatype == "BYTES"):
        raise InvalidInput(f"{path}: the default of '{name}' is {default!r}, the column is {kind}")
    whole = datatype == "BOOL" or datatype.startswith("INT")
    # A missing value has no whole number.
    return "FP64" if whole and (default is None or isinstance(default, float)) else datatype


def _type_of_value(when: When, path: str) -> str:
    values = when.value if isinstance(when.value, list) else [when.value]
    if when.op == "missing" or not values:
        raise InvalidInput(f"{path}: nothing else takes the column '{when.column}', so its datatype is not known",
                           hint="compare it with a value")  # fmt: skip
    if isinstance(values[0], str):
        return "BYTES"
    if isinstance(values[0], bool):
        return "BOOL"
    return "INT64" if all(isinstance(value, int) for value in values) else "FP64"


def _check_size(graph: Node) -> None:
    count, waiting = 0, [(graph, 1)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise InvalidInput(
                f"the graph has more than {MAX_NODES} nodes" if count > MAX_NODES
                else f"the graph is deeper than {MAX_DEPTH} nodes",
                hint="deploy a part of it as a graph of its own, and name that as a member",
            )  # fmt: skip
        waiting += [(child, depth + 1) for _, child in children(node)]


def _check_weights(node: Ensemble, path: str) -> None:
    if not node.weights:
        return
    if node.combine not in ("mean", "vote"):
        raise InvalidInput(f"{path}: weights mean nothing for '{node.combine}'")
    if len(node.weights) != len(node.members) or any(not (w > 0 and math.isfinite(w)) for w in node.weights):
        raise InvalidInput(f"{path}: {len(node.weights)} weights for {len(node.members)} members",
                           hint="one for each, above 0")  # fmt: skip


def _check_renames(renames: dict[str, str], known: list[str], what: str, where: str) -> None:
    for name in renames:
        if name not in known:
            raise InvalidInput(f"{where} has no {what} '{name[:80]}'", hint=f"it has {', '.join(known[:20])}")


def _check_names(outputs: list[Field], path: str) -> None:
    names = [field.name for field in outputs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"{path}: two outputs are called '{twice}'", hint="`outputs` of a member renames them")


def _names(outputs: list[Field]) -> str:
    return ", ".join(f"'{field.name}'" for field in outputs) or "nothing"
