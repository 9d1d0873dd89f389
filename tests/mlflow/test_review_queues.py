"""Queues of traces to review, as the real client keeps them and works on them."""

from __future__ import annotations

from textwrap import dedent

from tests.mlflow.client import Client
from tests.mlflow.test_wording import REFUSED

BEGUN = """
from mlflow.genai import label_schemas as ls, review_queues as rq
experiment = client.create_experiment("reviews")
other = client.create_experiment("others")
of = dict(experiment_id=experiment)
exists, gone = dict(code="RESOURCE_ALREADY_EXISTS"), dict(code="RESOURCE_DOES_NOT_EXIST")
def traces(count, where=experiment):
    mlflow.set_experiment(experiment_id=where)
    made = []
    for _ in range(count):
        with mlflow.start_span("asked") as span:
            made.append(span.trace_id)
    mlflow.flush_trace_async_logging()
    return made
def question(name, where=experiment):
    return ls.create_label_schema(name, type="feedback", input=ls.InputText(), experiment_id=where).schema_id
"""


def test_queues_are_kept_found_and_changed(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + BEGUN
        + dedent("""
    right, why = question("right"), question("why")
    made = rq.create_review_queue("Hard ones", queue_type="custom", users=["Bob", " ann ", "bob"], schema_ids=[right],
                                  experiment_id=experiment)
    assert (made.name, made.users, made.schema_ids, made.created_by) == ("Hard ones", ["ann", "bob"], [right], None)
    assert made.queue_id.startswith("rq-") and made.queue_type == "custom" and made.experiment_id == experiment
    assert made.creation_time_ms == made.last_update_time_ms > 0
    assert rq.get_review_queue(made.queue_id) == rq.get_review_queue(name="hard ONES", **of) == made
    ann = rq.get_or_create_user_queue(" Ann", **of)
    assert (ann.name, ann.users, ann.created_by, ann.queue_type) == ("ann", ["ann"], "ann", "user")
    assert rq.get_or_create_user_queue("ann", **of) == ann
    cid = rq.create_review_queue("Cid", queue_type="user", **of)
    assert (cid.name, cid.users, cid.schema_ids) == ("cid", ["cid"], [])
    empty = rq.create_review_queue("empty", queue_type="custom", **of)
    everything = rq.list_review_queues(**of)
    assert {one.name for one in everything} == {"Hard ones", "ann", "cid", "empty"}
    assert {one.name for one in rq.list_review_queues(user="ANN", **of)} == {"Hard ones", "ann"}
    first = rq.list_review_queues(max_results=3, **of)
    rest = rq.list_review_queues(max_results=3, page_token=first.token, **of)
    assert [*first, *rest] == [*everything] and len(first) == 3 and not rest.token
    assert rq.list_review_queues(experiment_id=other) == []

    named = rq.update_review_queue(made.queue_id, name="hard Ones", users=[], schema_ids=[why, right], new_owner="Eve ")
    assert (named.name, named.users, named.created_by) == ("hard Ones", [], "Eve")
    assert named.schema_ids == sorted([right, why]) and named.last_update_time_ms >= made.last_update_time_ms
    assert rq.update_review_queue(made.queue_id) == named

    refused("already exists (names are case-insensitive)", rq.create_review_queue, "HARD ones", queue_type="custom",
            **of, **exists)
    refused("already exists", rq.update_review_queue, made.queue_id, name="EMPTY", **exists)
    refused("A non-user queue named 'empty'", rq.get_or_create_user_queue, "Empty", **of, **exists)
    for words, name, asked in [
        ("is a reserved queue name", " Default", {}), ("`name` must be a non-empty", "  ", {}),
        ("at most 250", "x" * 251, {}), ("at most 10 assigned users; got 11", "new", dict(users=[*"abcdefghijk"])),
        ("not found for experiment", "new", dict(schema_ids=[question("elsewhere", other)])),
        ("`user` must be a non-empty string", "new", dict(users=[" "])),
    ]:
        refused(words, rq.create_review_queue, name, queue_type="custom", **asked, **of)
    refused("exactly one assigned user", rq.create_review_queue, "dan", queue_type="user", users=["eve"], **of)
    refused("cannot have explicitly-attached", rq.create_review_queue, "dan", queue_type="user", schema_ids=["x"], **of)
    refused("are fixed and cannot be updated", rq.update_review_queue, ann.queue_id, users=[])
    refused("`new_owner` must be a non-empty", rq.update_review_queue, made.queue_id, new_owner=" ")
    refused("No Experiment with id=999999", rq.list_review_queues, experiment_id="999999", **gone)
    refused("not found for experiment", rq.get_review_queue, name="nothing", **of, **gone)
    refused("Review queue with id 'rq-no' not found", rq.get_review_queue, "rq-no", **gone)
    rq.delete_review_queue(empty.queue_id)
    rq.delete_review_queue(empty.queue_id)
    refused("not found", rq.update_review_queue, empty.queue_id, name="x", **gone)
    """)
    )


def test_traces_are_put_into_queues_and_reviewed(mlflow_client: Client) -> None:
    mlflow_client.check(
        REFUSED
        + BEGUN.replace('"reviews"', '"reviewed"').replace('"others"', '"unreviewed"')
        + dedent("""
    ids, (stranger,) = traces(3), traces(1, other)
    made = rq.create_review_queue("all", queue_type="custom", users=["ann"], **of)
    queue = made.queue_id
    items = rq.add_items_to_review_queue(queue, item_ids=[ids[1], f" {ids[0]} ", ids[1]])
    assert [one.item_id for one in items] == [ids[1], ids[0]] and {one.status for one in items} == {"pending"}
    assert all(one.completed_by is None and one.queue_id == queue and one.item_type == "trace" for one in items)
    done = rq.set_review_queue_item_status(queue, item_id=ids[1], status="complete", completed_by=" Ann")
    assert (done.status, done.completed_by) == ("complete", "ann")
    assert done.completed_time_ms == done.last_update_time_ms > 0
    assert rq.set_review_queue_item_status(queue, item_id=ids[1], status="complete", completed_by="bob") == done
    assert rq.add_items_to_review_queue(queue, item_ids=[ids[1], ids[2]])[0] == done
    declined = rq.set_review_queue_item_status(queue, item_id=ids[2], status="declined", completed_by="bob")
    assert [one.item_id for one in rq.list_review_queue_items(queue, status="pending")] == [ids[0]]
    assert rq.list_review_queue_items(queue, status="declined") == [declined]
    everything = rq.list_review_queue_items(queue)
    assert {one.item_id for one in everything} == {*ids}
    first = rq.list_review_queue_items(queue, max_results=2)
    rest = rq.list_review_queue_items(queue, max_results=2, page_token=first.token)
    assert [*first, *rest] == [*everything] and len(first) == 2 and not rest.token
    again = rq.set_review_queue_item_status(queue, item_id=ids[1], status="pending")
    assert (again.status, again.completed_by, again.completed_time_ms) == ("pending", None, None)

    refused("do not exist in experiment", rq.add_items_to_review_queue, queue, item_ids=[ids[0], stranger], **gone)
    refused("do not exist in experiment", rq.add_items_to_review_queue, queue, item_ids=["tr-no"], **gone)
    refused("`item_ids` must be a non-empty list", rq.add_items_to_review_queue, queue, item_ids=[])
    refused("`item_id` must be at most 50", rq.add_items_to_review_queue, queue, item_ids=["x" * 51])
    refused("not found", rq.add_items_to_review_queue, "rq-no", item_ids=ids, **gone)
    refused("questions are locked", rq.update_review_queue, queue, schema_ids=[])
    status = rq.set_review_queue_item_status
    refused("`completed_by` is required when setting", status, queue, item_id=ids[0], status="complete")
    refused("must not be set when reopening", status, queue, item_id=ids[0], status="pending", completed_by="a")
    refused("at most 250", status, queue, item_id=ids[0], status="declined", completed_by="a" * 251)
    refused("is not attached to review queue", status, queue, item_id=stranger, status="pending", **gone)
    refused("max_results must be between", rq.list_review_queue_items, queue, max_results=0)

    rq.remove_items_from_review_queue(queue, item_ids=[ids[2], stranger])
    client.delete_traces(experiment, trace_ids=[ids[0]])
    assert [one.item_id for one in rq.list_review_queue_items(queue)] == [ids[1]]
    rq.delete_review_queue(queue)
    refused("not found", rq.list_review_queue_items, queue, **gone)
    assert mlflow.get_trace(ids[1]) is not None
    """)
    )
