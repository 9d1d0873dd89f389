"""Traces and assessments through the real client, which sends spans as OpenTelemetry does."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_traces_are_kept_found_and_judged(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import AssessmentSource, Feedback
    from mlflow.exceptions import MlflowException
    client = MlflowClient()
    experiment = mlflow.set_experiment("traces").experiment_id

    def refused(code, call, *args, **named):
        try:
            call(*args, **named)
        except MlflowException as error:
            assert error.error_code == code, error
        else:
            raise AssertionError("not refused")

    @mlflow.trace(span_type="TOOL", attributes={"k": 1})
    def look_up(word):
        return {"word": word, "found": [1, 2.5, None]}

    @mlflow.trace
    def answer(question):
        with mlflow.start_span("inner") as span:
            span.set_inputs({"q": question})
            look_up(question)
        if question == "bad":
            raise ValueError("no answer")
        mlflow.update_current_trace(tags={"kind": "good"}, client_request_id=f"r-{question}")
        return question.upper()

    assert answer("ü one") == "Ü ONE"
    first = mlflow.get_last_active_trace_id()
    try:
        answer("bad")
    except ValueError:
        pass
    second = mlflow.get_last_active_trace_id()
    with mlflow.start_run() as run:
        answer("third")
    third = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()

    trace = mlflow.get_trace(first)
    assert trace.info.state == "OK" and trace.info.tags["kind"] == "good" and trace.info.client_request_id == "r-ü one"
    assert trace.info.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE", trace.info.tags
    assert [span.name for span in trace.data.spans] == ["answer", "inner", "look_up"]
    root, inner, tool = trace.data.spans
    assert tool.parent_id == inner.span_id and inner.parent_id == root.span_id and root.parent_id is None
    assert tool.outputs == {"word": "ü one", "found": [1, 2.5, None]} and tool.get_attribute("k") == 1
    assert root.inputs == {"question": "ü one"} and root.outputs == "Ü ONE" and tool.span_type == "TOOL"
    assert root.start_time_ns < root.end_time_ns and trace.info.execution_duration is not None
    failed = client.get_trace(second)
    assert failed.info.state == "ERROR" and failed.data.spans[0].events[0].name == "exception"

    def ids(filter=None, **more):
        return [t.info.trace_id for t in client.search_traces(locations=[experiment], filter_string=filter, **more)]

    assert ids() == [third, second, first] and ids(include_spans=False, max_results=1) == [third]
    assert ids("status = 'ERROR'") == [second] and ids("trace.status != 'ERROR'") == [third, first]
    assert ids("tags.kind = 'good'") == [third, first] and ids("attributes.name = 'answer'") == [third, second, first]
    assert ids(f"timestamp_ms >= {trace.info.timestamp_ms}", order_by=["timestamp_ms ASC"]) == [first, second, third]
    assert ids("span.type = 'TOOL' AND client_request_id = 'r-third'") == [third]
    assert ids(run_id=run.info.run_id) == [third]
    refused("INVALID_PARAMETER_VALUE", ids, "nonsense.x = 'y'")
    page = client.search_traces(locations=[experiment], max_results=2)
    assert len(page) == 2 and len(client.search_traces(locations=[experiment], page_token=page.token)) == 1
    assert list(mlflow.search_traces(locations=[experiment])["trace_id"]) == [third, second, first]

    client.set_trace_tag(first, "later", "1")
    mlflow.set_trace_tag(first, "more", "2")
    client.delete_trace_tag(first, "later")
    mlflow.delete_trace_tag(first, "more")
    assert set(client.get_trace(first).info.tags) == set(trace.info.tags)
    refused("RESOURCE_DOES_NOT_EXIST", client.delete_trace_tag, first, "later")

    human = AssessmentSource(source_type="HUMAN", source_id="ann")
    good = mlflow.log_feedback(trace_id=first, name="good", value=True, rationale="it is", source=human)
    right = mlflow.log_expectation(trace_id=first, name="right", value={"a": [1]}, source=human)
    assert mlflow.get_assessment(first, good.assessment_id).feedback.value is True
    assert mlflow.get_assessment(first, right.assessment_id).expectation.value == {"a": [1]}
    assert ids("feedback.good = 'true'") == [first]
    mlflow.update_assessment(first, good.assessment_id, Feedback(name="good", value=False, metadata={"why": "x"}))
    changed = mlflow.get_assessment(first, good.assessment_id)
    assert changed.feedback.value is False and changed.metadata == {"why": "x"} and changed.source.source_id == "ann"
    newer = mlflow.override_feedback(trace_id=first, assessment_id=good.assessment_id, value=True)
    assert mlflow.get_assessment(first, good.assessment_id).valid is False
    assert {a.name for a in mlflow.get_trace(first).info.assessments} == {"good", "right"}
    mlflow.delete_assessment(first, newer.assessment_id)
    mlflow.delete_assessment(first, right.assessment_id)
    assert mlflow.get_assessment(first, good.assessment_id).valid in (True, None)
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_assessment, first, right.assessment_id)

    client.link_traces_to_run([first], run.info.run_id)
    assert ids(run_id=run.info.run_id) == [third, first]

    started = client.start_trace("by hand", inputs={"x": 1}, tags={"by": "hand"})
    child = client.start_span("step", started.trace_id, parent_id=started.span_id)
    client.end_span(started.trace_id, child.span_id, outputs=[1])
    client.end_trace(started.trace_id, outputs={"y": 2})
    mlflow.flush_trace_async_logging()
    hand = client.get_trace(started.trace_id)
    assert [span.name for span in hand.data.spans] == ["by hand", "step"] and hand.info.tags["by"] == "hand"

    assert client.delete_traces(experiment, trace_ids=[second]) == 1
    refused("RESOURCE_DOES_NOT_EXIST", client.get_trace, second)
    assert client.delete_traces(experiment, max_timestamp_millis=2**53, max_traces=1) == 1
    assert ids() == [started.trace_id, third]
    """)


def test_traces_of_one_session_are_found_together(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow
    experiment = mlflow.set_experiment("sessions").experiment_id
    for session in ("first", "second", "first"):
        with mlflow.start_span("turn"):
            mlflow.update_current_trace(metadata={"mlflow.trace.session": session})
    with mlflow.start_span("alone"):
        pass
    mlflow.flush_trace_async_logging()
    found = mlflow.search_sessions(locations=[experiment])
    assert [(session.id, len(session)) for session in found] == [("first", 2), ("second", 1)], found
    """)
