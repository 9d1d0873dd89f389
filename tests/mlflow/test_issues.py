"""Issues of traces through the real client."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_issues_are_kept_found_and_pointed_to(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.genai import create_issue, get_issue, search_issues, update_issue
    store = mlflow.MlflowClient()._tracing_client.store
    experiment = mlflow.set_experiment("issues").experiment_id

    def refused(code, call, *args, **named):
        try:
            call(*args, **named)
        except MlflowException as error:
            assert error.error_code == code, error
        else:
            raise AssertionError("not refused")

    with mlflow.start_run() as run:
        pass
    slow = create_issue("too slow", description="it takes a minute", experiment_id=experiment, severity="low",
                        categories=["latency", "Mine"], source_run_id=run.info.run_id,
                        metadata={"a": "1", "b": "2"})
    wrong = create_issue("wrong answer", description="two and two", experiment_id=experiment, severity="high")
    plain = create_issue("odd", description="who knows", experiment_id=experiment, severity="not_an_issue",
                         issue_id="iss-odd", last_seen_timestamp=5)
    assert slow.issue_id.startswith("iss-") and (slow.status, slow.severity) == ("pending", "low")
    assert get_issue(slow.issue_id) == slow and plain.last_seen_timestamp == 5 and plain.severity == "not_an_issue"
    given = {"severity": "low", "description": "x", "experiment_id": experiment}
    refused("RESOURCE_ALREADY_EXISTS", create_issue, "x", issue_id="iss-odd", **given)
    refused("RESOURCE_DOES_NOT_EXIST", get_issue, "iss-none")
    refused("RESOURCE_DOES_NOT_EXIST", create_issue, "x", source_run_id="none", **given)
    refused("INVALID_PARAMETER_VALUE", create_issue, "x" * 300, **given)

    changed = update_issue(slow.issue_id, status="resolved", metadata={"b": "3", "c": "4"}, delete_metadata_keys=["a"],
                           last_seen_timestamp=7)
    assert (changed.status, changed.name) == ("resolved", "too slow")
    assert changed.metadata == {"b": "3", "c": "4"} and changed.last_seen_timestamp == slow.last_seen_timestamp
    assert changed.categories == ["latency", "Mine"] and changed.last_updated_timestamp >= slow.created_timestamp

    for name in ("first", "second"):
        with mlflow.start_span(name) as span:
            pass
        mlflow.flush_trace_async_logging()
        mlflow.log_issue(trace_id=span.trace_id, issue_id=wrong.issue_id, rationale="see there")
    client = mlflow.MlflowClient()
    assert len(client.search_traces(locations=[experiment], filter_string=f"issue.id = '{wrong.issue_id}'")) == 2
    assert client.search_traces(locations=[experiment], filter_string="issue.id = 'iss-odd'") == []

    def names(**asked):
        return [one.name for one in store.search_issues(experiment_id=experiment, **asked)]

    assert names() == ["wrong answer", "too slow", "odd"]
    for asked, found in (
        ({"filter_string": "status = 'resolved'"}, ["too slow"]), ({"statuses": ["pending"]}, ["wrong answer", "odd"]),
        ({"filter_string": f"source_run_id != '{run.info.run_id}' AND status != 'x'"}, ["wrong answer", "odd"]),
        ({"severities": ["low", "high"], "order_by": ["name"]}, ["too slow", "wrong answer"]),
        ({"categories": [" mine"]}, ["too slow"]), ({"name": "ODD"}, ["odd"]),
        ({"order_by": ["last_seen_timestamp", "name"], "max_results": 1}, ["odd"]),
    ):
        assert names(**asked) == found, (asked, names(**asked))
    assert [one.name for one in search_issues("status = 'resolved'")] == ["too slow"]
    page = store.search_issues(experiment_id=experiment, max_results=2, include_trace_count=True,
                               include_total_count=True)
    assert [one.trace_count for one in page] == [2, 0] and page.total_count == 3
    rest = store.search_issues(experiment_id=experiment, max_results=2, include_trace_count=True,
                               include_total_count=True, page_token=page.token)
    assert [one.name for one in rest] == ["odd"] and not rest.token
    assert search_issues(experiment_id=experiment, view="basic")[1].metadata is None
    refused("INVALID_PARAMETER_VALUE", search_issues, experiment_id=experiment, filter_string="name = 'x'")
    refused("INVALID_PARAMETER_VALUE", search_issues, experiment_id=experiment, order_by=["what"])
    refused("INVALID_PARAMETER_VALUE", search_issues, experiment_id=experiment, page_token=page.token)
    """)
