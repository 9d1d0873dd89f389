"""Questions to those who review traces, as the real client keeps and finds them."""

from __future__ import annotations

from textwrap import dedent

from tests.mlflow.client import Client
from tests.mlflow.test_wording import REFUSED


def test_questions_are_kept_found_and_changed(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + dedent("""
    from mlflow.genai import label_schemas as ls
    experiment = client.create_experiment("questions")
    made = {}
    for name, form in {
        "Is it right?": ls.InputPassFail("right", "wrong"), "which": ls.InputCategorical(["a", "b"], multi_select=True),
        "how much": ls.InputNumeric(0, 1.5), "why": ls.InputText(max_length=9), "at all": ls.InputText(),
    }.items():
        made[name] = ls.create_label_schema(
            name, type="feedback" if name == "why" else "expectation", input=form, experiment_id=experiment,
            instruction=f"say {name}", enable_comment=name == "which")
        assert ls.get_label_schema(name, experiment_id=experiment) == made[name]
        assert ls.get_label_schema(schema_id=made[name].schema_id) == made[name]
        assert (made[name].input, made[name].instruction) == (form, f"say {name}")
    assert made["which"].enable_comment and not made["why"].enable_comment and str(made["why"].type) == "feedback"
    listed = ls.list_label_schemas(experiment_id=experiment)
    assert {one.name for one in listed} == {*made, "Feedback"} and len(listed) == 6
    (default,) = [one for one in listed if one.is_default]
    assert default.name == "Feedback" and default.input == ls.InputText()
    first = ls.list_label_schemas(experiment_id=experiment, max_results=4)
    rest = ls.list_label_schemas(experiment_id=experiment, max_results=4, page_token=first.token)
    assert [*first, *rest] == [*listed] and len(first) == 4 and not rest.token

    exists = dict(code="RESOURCE_ALREADY_EXISTS")
    kept = dict(type="feedback", input=ls.InputText(), experiment_id=experiment)
    refused("already exists for experiment", ls.create_label_schema, "why", **kept, **exists)
    refused("is reserved for the experiment's default question", ls.create_label_schema, "feedback ", **kept)
    for form, words in [
        (ls.InputNumeric(2, 1), "strictly less than"), (ls.InputPassFail("a", "a"), "must be distinct"),
        (ls.InputCategorical([]), "must be a non-empty list"), (ls.InputCategorical(["a", "a"]), "be deduplicated"),
        (ls.InputText(0), "must be at least 1"), (ls.InputCategorical([*"abcdefghijk"]), "must have at most 10"),
    ]:
        refused(words, ls.create_label_schema, "new", type="feedback", input=form, experiment_id=experiment)
    gone = dict(code="RESOURCE_DOES_NOT_EXIST")
    nowhere = {**kept, **gone, "experiment_id": "999999"}
    refused("No Experiment with id=999999", ls.create_label_schema, "why", **nowhere)

    changed = ls.update_label_schema(made["which"].schema_id, name="which one", input=ls.InputCategorical(["c"], True))
    assert (changed.name, changed.input.options, changed.instruction) == ("which one", ["c"], "say which")
    refused("input type cannot be changed", ls.update_label_schema, changed.schema_id, input=ls.InputText())
    single = ls.InputCategorical(["c"])
    refused("`InputCategorical.multi_select` cannot", ls.update_label_schema, changed.schema_id, input=single)
    refused("already exists", ls.update_label_schema, changed.schema_id, name="why", **exists)
    refused("default question cannot be edited", ls.update_label_schema, default.schema_id, instruction="x")
    refused("default question cannot be deleted", ls.delete_label_schema, schema_id=default.schema_id)
    ls.delete_label_schema(schema_id=changed.schema_id)
    ls.delete_label_schema(schema_id=changed.schema_id)
    refused("not found", ls.get_label_schema, schema_id=changed.schema_id, **gone)
    refused("not found for experiment", ls.get_label_schema, "which one", experiment_id=experiment, **gone)
    """)
    )
