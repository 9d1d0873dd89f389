"""MLflow's calls on label schemas: questions to those who review traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.foreign_search import offset_of, token_of
from homeostat.core.workspace import Workspace
from homeostat.tracking import label_schemas
from homeostat.tracking.label_schemas import DEFAULT, LabelSchema, new_label_schema
from homeostat.tracking.mlflow.wording import experiment_id_of

_ROOT = "3.0/mlflow/label-schemas"
_MOST, _PAGE, _LONGEST_NAME, _LONGEST_TOLD, _LONGEST_LABEL, _MOST_OPTIONS = 50_000, 100, 250, 1000, 64, 10


@rpc("POST", _ROOT + "/create", permission="tracking:write")
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Keep a question."""
    experiment, name = args.text("experiment_id", required=True), args.text("name", required=True)
    kind = args.text("type")
    if kind not in ("FEEDBACK", "EXPECTATION"):
        raise invalid(f"Label schema `type` must be one of FEEDBACK or EXPECTATION; got '{kind[:40]}'.")
    made = new_label_schema(
        experiment_id_of(experiment), _name(name), kind, _input(args.object("input")), _told(args),
        args.flag("enable_comment"),
    )  # fmt: skip
    return {"label_schema": _shape(label_schemas.create_label_schema(ws, made))}


@rpc("GET", _ROOT + "/get", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A question by id."""
    return {"label_schema": _shape(label_schemas.get_label_schema(ws, args.text("schema_id", required=True)))}


@rpc("GET", _ROOT + "/get-by-name", permission="tracking:read")
def get_by_name(ws: Workspace, args: Args) -> dict[str, Any]:
    """A question of an experiment by name."""
    experiment = experiment_id_of(args.text("experiment_id", required=True))
    return {"label_schema": _shape(label_schemas.find_label_schema(ws, experiment, args.text("name", required=True)))}


@rpc("GET", _ROOT + "/list", permission="tracking:read")
def list_all(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of an experiment's questions, the newest first."""
    experiment = experiment_id_of(args.text("experiment_id", required=True))
    limit = args.integer("max_results", default=_PAGE)
    if not 1 <= limit <= _MOST:
        raise invalid(f"max_results must be between 1 and {_MOST}.")
    offset = offset_of(args.text("page_token"))
    found = label_schemas.list_label_schemas(ws, experiment, limit + 1, offset)
    return {
        "label_schemas": [_shape(one) for one in found[:limit]],
        "next_page_token": token_of(offset + limit) if len(found) > limit else "",
    }


@rpc("PATCH", _ROOT + "/update", permission="tracking:write")
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Change a question in what is given; its type and the form of its answers stay."""

    def change(before: LabelSchema) -> LabelSchema:
        changed = replace(before, updated_ms=now_ms())
        if args.has("name"):
            changed = replace(changed, name=_name(args.text("name")))
        if args.has("instruction"):
            changed = replace(changed, instruction=_told(args))
        if args.has("enable_comment"):
            changed = replace(changed, comment=args.flag("enable_comment"))
        if args.has("input"):
            changed = replace(changed, input=_same_form(before.input, _input(args.object("input"))))
        return changed

    return {"label_schema": _shape(
        label_schemas.change_label_schema(ws, args.text("schema_id", required=True), change))}  # fmt: skip


@rpc("DELETE", _ROOT + "/delete", permission="tracking:write")
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete a question; what was answered stays."""
    label_schemas.delete_label_schema(ws, args.text("schema_id", required=True))
    return {}


def _shape(one: LabelSchema) -> dict[str, Any]:
    return {**present({
        "schema_id": one.id, "experiment_id": one.experiment_id, "name": one.name, "type": one.type,
        "instruction": one.instruction, "enable_comment": one.comment, "created_at": one.created_ms,
        "last_updated_at": one.updated_ms, "is_default": one.default,
    }), "input": one.input}  # fmt: skip


def _name(name: str) -> str:
    if not name:
        raise invalid("Label schema `name` must be a non-empty string; got ''.")
    if len(name) > _LONGEST_NAME:
        raise invalid(f"Label schema `name` must be at most {_LONGEST_NAME} characters; got {len(name)}.")
    if name.strip().lower() == DEFAULT.lower():
        raise invalid(
            f"`{name}` is reserved for the experiment's default question and cannot be used for another label schema."
        )
    return name


def _told(args: Args) -> str | None:
    told = args.text("instruction") if args.has("instruction") else None
    if told is not None and len(told) > _LONGEST_TOLD:
        raise invalid(f"Label schema `instruction` must be at most {_LONGEST_TOLD} characters; got {len(told)}.")
    return told


def _input(given: Args | None) -> dict[str, dict[str, Any]]:
    """The form of the answers, checked: of all that may be given exactly one is."""
    named = [name for name in _FORMS if given is not None and given.has(name)]
    held = given.object(named[0]) if given is not None and len(named) == 1 else None
    if held is None:
        raise invalid(
            "Label schema `input` must have exactly one of `pass_fail`, `categorical`, `numeric`, or `text` set; got"
            f" {'an empty oneof' if not named else ', '.join(named)}."
        )
    return {named[0]: _FORMS[named[0]](held)}


def _pass_fail(given: Args) -> dict[str, Any]:
    labels = {name: given.text(name) for name in ("positive_label", "negative_label")}
    for name, label in labels.items():
        if not label:
            raise invalid(f"`InputPassFail.{name}` must be a non-empty string; got ''.")
        if len(label) > _LONGEST_LABEL:
            raise invalid(
                f"`InputPassFail.{name}` must be at most {_LONGEST_LABEL} characters; got {len(label)}."
            )  # fmt: skip
    if labels["positive_label"] == labels["negative_label"]:
        raise invalid(
            "`InputPassFail.positive_label` and `negative_label` must be distinct; got"
            f" '{labels['positive_label']}' for both."
        )
    return labels


def _categorical(given: Args) -> dict[str, Any]:
    options = given.texts("options")
    if not options:
        raise invalid("`InputCategorical.options` must be a non-empty list; got [].")
    if len(options) > _MOST_OPTIONS:
        raise invalid(
            f"`InputCategorical.options` must have at most {_MOST_OPTIONS} entries; got {len(options)}."
        )  # fmt: skip
    for at, option in enumerate(options):
        if not option:
            raise invalid("`InputCategorical.options` entries must be non-empty strings; got ''.")
        if len(option) > _LONGEST_LABEL:
            raise invalid(
                f"`InputCategorical.options` entries must be at most {_LONGEST_LABEL} characters; got {len(option)} for"
                f" '{option[:100]}'."
            )
        if option in options[:at]:
            raise invalid(f"`InputCategorical.options` must be deduplicated; '{option}' appears twice.")
    return {"options": options, "multi_select": given.flag("multi_select")}


def _numeric(given: Args) -> dict[str, Any]:
    held = {name: given.number(name) for name in ("min_value", "max_value") if given.has(name)}
    if len(held) == 2 and not held["min_value"] < held["max_value"]:
        raise invalid(
            "`InputNumeric.min_value` must be strictly less than `max_value`; got"
            f" min={held['min_value']}, max={held['max_value']}."
        )
    return dict(held)


def _text(given: Args) -> dict[str, Any]:
    if not given.has("max_length"):
        return {}
    most = given.integer("max_length")
    if most < 1:
        raise invalid(f"`InputText.max_length` must be at least 1; got {most}.")
    return {"max_length": most}


_FORMS: dict[str, Callable[[Args], dict[str, Any]]] = {
    "pass_fail": _pass_fail, "categorical": _categorical, "numeric": _numeric, "text": _text,
}  # fmt: skip
_CALLED = {"pass_fail": "InputPassFail", "categorical": "InputCategorical", "numeric": "InputNumeric",
           "text": "InputText"}  # fmt: skip


def _same_form(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Refuse another form: what was answered before would mean something else."""
    ((was, held),), ((now, new),) = before.items(), after.items()
    if was != now:
        raise invalid(
            "A label schema's input type cannot be changed after creation"
            f" (existing: {_CALLED[was]}, got: {_CALLED[now]})."
        )
    if held.get("multi_select", False) != new.get("multi_select", False):
        raise invalid("`InputCategorical.multi_select` cannot be changed after creation.")
    return after
