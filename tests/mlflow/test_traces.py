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
    refused("INVALID_PARAMETER_VALUE", mlflow.update_assessment, first, right.assessment_id,
            Feedback(name="right", value=1))
    mlflow.delete_assessment(first, right.assessment_id)
    mlflow.delete_assessment(first, right.assessment_id)
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.delete_assessment, "tr-none", right.assessment_id)
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
    import mlflow, time
    experiment = mlflow.set_experiment("sessions").experiment_id
    for session in ("first", "second", "first"):
        with mlflow.start_span("turn"):
            mlflow.update_current_trace(metadata={"mlflow.trace.session": session})
        time.sleep(0.002)  # the newest comes first
    with mlflow.start_span("alone"):
        pass
    mlflow.flush_trace_async_logging()
    found = mlflow.search_sessions(locations=[experiment])
    assert [(session.id, len(session)) for session in found] == [("first", 2), ("second", 1)], found
    """)


def test_traces_are_found_by_all_they_have(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import json, mlflow
    from mlflow import MlflowClient
    from mlflow.entities import AssessmentSource, Feedback
    from mlflow.exceptions import MlflowException
    client = MlflowClient()
    experiment = mlflow.set_experiment("filters").experiment_id
    human = AssessmentSource(source_type="HUMAN", source_id="ann")
    ids = {}
    for name, model, tokens in (("plan", "gpt-4", 10), ("chat", "gpt-3.5", 20), ("other", "claude-3", 40)):
        with mlflow.start_span(name, span_type="CHAIN") as outer:
            with mlflow.start_span("call " + name, span_type="LLM", attributes={"model": model}) as span:
                span.set_inputs({"messages": [{"role": "user", "content": f"hello {name}"}]})
                span.set_attribute("mlflow.chat.tokenUsage", {
                    "input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1})
            mlflow.update_current_trace(tags={"team": name[0]}, metadata={"mlflow.trace.session": name[-1]})
        ids[outer.trace_id] = name
        mlflow.flush_trace_async_logging()
        mlflow.log_feedback(trace_id=outer.trace_id, name="score", value=tokens / 40, source=human)
        mlflow.log_expectation(trace_id=outer.trace_id, name="words", value=tokens, source=human)
    first = next(iter(ids))
    mlflow.log_feedback(trace_id=first, name="kind", value="good", source=human)

    def found(filter, **more):
        traces = client.search_traces(locations=[experiment], filter_string=filter, include_spans=False, **more)
        return " ".join(ids[one.info.trace_id] for one in traces)

    def refused(filter, words, **more):
        try:
            found(filter, **more)
        except MlflowException as error:
            assert words in error.message and error.error_code == "INVALID_PARAMETER_VALUE", error
        else:
            raise AssertionError("not refused")

    for filter, names in {
        "name = 'plan'": "plan", "trace.name ILIKE 'PL%'": "plan", "name RLIKE '^(plan|chat)$'": "chat plan",
        "tags.team != 'p'": "other chat", "tags.team IS NULL": "", "tag.team IS NOT NULL": "other chat plan",
        "tags.`mlflow.traceName` LIKE '%h%'": "other chat", "metadata.none IS NULL": "other chat plan",
        "metadata.`mlflow.trace.session` = 'n'": "plan", "request_metadata.none = 'x'": "",
        "span.type = 'LLM' AND span.attributes.model LIKE 'gpt%'": "chat plan",
        "span.type = 'CHAIN' AND span.attributes.model LIKE 'gpt%'": "",
        "span.attributes.`model` = 'claude-3'": "other", "span.name IN ('call plan', 'chat')": "chat plan",
        "span.status = 'OK' AND span.name = 'other'": "other", "span.content LIKE '%hello chat%'": "chat",
        "trace.text ILIKE '%HELLO%'": "other chat plan", "feedback.score > 0.3": "other chat",
        "feedback.score = '0.5'": "chat", "expectation.words = '20'": "chat", "expectation.words <= 20": "chat plan",
        "feedback.kind = 'good'": "plan", "feedback.kind IS NULL": "other chat", "feedback.kind IS NOT NULL": "plan",
        "end_time_ms > 0 AND execution_time_ms >= 0 AND timestamp > 5": "other chat plan",
        "status IN ('OK', 'ERROR') AND request_id != 'x'": "other chat plan",
        "(name = 'plan' OR name = 'chat') AND NOT tags.team = 'c'": "plan",
    }.items():
        assert found(filter) == names, (filter, found(filter), names)
    for order, names in {"name": "chat other plan", "tags.team DESC": "plan other chat",
                         "timestamp ASC": "plan chat other",
                         "tags.none": "other chat plan", "metadata.`mlflow.trace.session`": "plan other chat"}.items():
        assert found("", order_by=[order]) == names, (order, found("", order_by=[order]))
    page = client.search_traces(locations=[experiment], order_by=["name"], max_results=2, include_spans=False)
    rest = client.search_traces(locations=[experiment], order_by=["name"], page_token=page.token, include_spans=False)
    assert [ids[one.info.trace_id] for one in [*page, *rest]] == ["chat", "other", "plan"] and rest.token is None
    for filter, words in {
        "invalid": "Invalid clause(s) in filter string", "name = 'a' AND invalid": "Invalid clause(s) in filter string",
        "foo.bar = 'x'": "Invalid entity type 'foo'", "what = 'x'": "Invalid attribute key 'what'",
        "trace.tags.foo = 'x'": "Invalid attribute key 'tags.foo'", "trace.status < 'OK'": "Invalid comparator '<'",
        "name IN ('a')": "Invalid comparator 'IN'", "span.duration = '1'": "Invalid span attribute 'duration'",
        "span.content = 'x'": "span.content comparator '=' not one of",
        "feedback.score > 'x'": "Expected a numeric value", "prompt = 'x'": "Invalid prompts filter value 'x'",
        "prompt LIKE 'x'": "Invalid comparator 'LIKE' for prompts filter",
    }.items():
        refused(filter, words)
    refused("", "duplicate fields", order_by=["name", "name ASC"])

    assert client.search_traces(locations=[experiment])[0].info.token_usage["total_tokens"] == 41
    # What is said of a session is said of each of its traces.
    mlflow.log_feedback(trace_id=first, name="whole", value=True, source=human, metadata={"mlflow.trace.session": "n"})
    with mlflow.start_span("late"):
        mlflow.update_current_trace(metadata={"mlflow.trace.session": "n"})
    ids[mlflow.get_last_active_trace_id()] = "late"
    mlflow.flush_trace_async_logging()
    assert found("feedback.whole = 'true'") == "late plan" and found("feedback.whole IS NULL") == "other chat"
    """)


def test_traces_are_counted_and_measured(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import math, mlflow, time
    from mlflow.entities import AssessmentSource
    from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
    from mlflow.exceptions import MlflowException
    store = mlflow.MlflowClient()._tracing_client.store
    experiment = mlflow.set_experiment("measured").experiment_id
    human = AssessmentSource(source_type="HUMAN", source_id="ann")
    for number, name in enumerate(("a", "a", "b")):
        try:
            with mlflow.start_span(name) as outer, mlflow.start_span("llm", span_type="LLM") as span:
                span.set_attribute("mlflow.chat.tokenUsage", {
                    "input_tokens": 10 * number, "output_tokens": 1, "total_tokens": 10 * number + 1})
                span.set_attribute("mlflow.llm.cost", {"input_cost": 1.5, "output_cost": 0.5, "total_cost": 2.0})
                span.set_attribute("mlflow.llm.model", "small")
                mlflow.update_current_trace(tags={"n": str(number)})
                if name == "b":
                    raise ValueError
        except ValueError:
            pass
        mlflow.flush_trace_async_logging()
        mlflow.log_feedback(trace_id=outer.trace_id, name="good", value="yes" if number else "no", source=human)

    def asked(view, metric, *kinds, **more):
        kinds = [MetricAggregation(AggregationType.PERCENTILE, kind) if isinstance(kind, float)
                 else MetricAggregation(AggregationType(kind)) for kind in kinds]
        return [(point.dimensions, point.values) for point in store.query_trace_metrics(
            [experiment], MetricViewType(view), metric, kinds, **more)]

    assert asked("TRACES", "trace_count", "COUNT") == [({}, {"COUNT": 3})]
    assert asked("TRACES", "trace_count", "COUNT", dimensions=["trace_name", "trace_status"]) == [
        ({"trace_name": "a", "trace_status": "OK"}, {"COUNT": 2}),
        ({"trace_name": "b", "trace_status": "ERROR"}, {"COUNT": 1})]
    assert asked("TRACES", "input_tokens", "SUM", "AVG", 50.0, "MAX") == [
        ({}, {"SUM": 30, "AVG": 10, "P50.0": 10, "MAX": 20})]
    assert asked("TRACES", "trace_count", "COUNT", filters=["trace.tag.n = '1'"]) == [({}, {"COUNT": 1})]
    assert asked("TRACES", "trace_count", "COUNT", filters=["trace.status = 'ERROR'"]) == [({}, {"COUNT": 1})]
    now = int(time.time() * 1000)
    (bucket,) = asked("TRACES", "trace_count", "COUNT", time_interval_seconds=10**9, start_time_ms=0, end_time_ms=now)
    assert bucket == ({"time_bucket": "2001-09-09T01:46:40+00:00"}, {"COUNT": 3}), bucket
    assert asked("SPANS", "span_count", "COUNT", dimensions=["span_type"]) == [
        ({"span_type": "LLM"}, {"COUNT": 3}), ({"span_type": "UNKNOWN"}, {"COUNT": 3})]
    assert asked("SPANS", "total_cost", "SUM", dimensions=["span_model_name"], filters=["span.name = 'llm'"]) == [
        ({"span_model_name": "small"}, {"SUM": 6})]
    assert asked("SPANS", "latency", "MIN")[0][1]["MIN"] >= 0
    assert asked("ASSESSMENTS", "assessment_value", "AVG", dimensions=["assessment_name"]) == [
        ({"assessment_name": "good"}, {"AVG": 2 / 3})]
    assert asked("ASSESSMENTS", "assessment_count", "COUNT", dimensions=["assessment_value"],
                 filters=["assessment.type = 'feedback'"]) == [
        ({"assessment_value": '"no"'}, {"COUNT": 1}), ({"assessment_value": '"yes"'}, {"COUNT": 2})]
    for arguments, words in (
        (("TRACES", "x", "COUNT"), "metric_name must be one of"),
        (("TRACES", "latency", "SUM"), "invalid aggregation_type"),
        (("SPANS", "latency", "AVG"), "invalid dimension"),
    ):
        try:
            asked(*arguments, dimensions=["nothing"])
        except MlflowException as error:
            assert words in error.message, error
        else:
            raise AssertionError("not refused")

    found = store.calculate_trace_filter_correlation([experiment], "name = 'b'", "status = 'ERROR'")
    assert (found.npmi, found.joint_count, found.total_count) == (1.0, 1, 3) and 0 < found.npmi_smoothed < 1
    apart = store.calculate_trace_filter_correlation([experiment], "name = 'a'", "status = 'ERROR'", "tags.n != '0'")
    assert (apart.npmi, apart.filter1_count, apart.total_count) == (-1.0, 1, 2)
    assert math.isnan(store.calculate_trace_filter_correlation([experiment], "name = 'x'", "name = 'a'").npmi)
    """)


def test_traces_of_older_clients_begin_and_end(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow
    from mlflow.protos.service_pb2 import EndTrace, GetTraceInfo, SearchTraces, StartTrace
    from mlflow.utils.proto_json_utils import message_to_json
    from mlflow.utils.rest_utils import call_endpoint
    store = mlflow.MlflowClient()._tracing_client.store
    experiment = mlflow.set_experiment("older").experiment_id

    def call(method, path, message, answer):
        body = message_to_json(message) if message is not None else None
        return call_endpoint(store.get_host_creds(), f"/api/2.0/mlflow/traces{path}", method, body, answer.Response())

    begun = StartTrace(experiment_id=experiment, timestamp_ms=1000)
    begun.request_metadata.add(key="mlflow.traceInputs", value="{}")
    begun.tags.add(key="team", value="red")
    begun.tags.add(key="mlflow.artifactLocation", value="/elsewhere")
    info = call("POST", "", begun, StartTrace).trace_info
    assert info.status == 3 and info.timestamp_ms == 1000 and info.experiment_id == experiment
    tags = {one.key: one.value for one in info.tags}
    assert tags["team"] == "red" and tags["mlflow.artifactLocation"].startswith("mlflow-artifacts:/")
    ended = EndTrace(request_id=info.request_id, timestamp_ms=1500, status=1)
    ended.tags.add(key="done", value="1")
    info = call("PATCH", f"/{info.request_id}", ended, EndTrace).trace_info
    assert (info.execution_time_ms, info.status) == (500, 1)
    assert call("GET", f"/{info.request_id}/info", None, GetTraceInfo).trace_info == info
    asked = SearchTraces(experiment_ids=[experiment], filter="tags.done = '1'")
    assert [one.request_id for one in call("GET", "", asked, SearchTraces).traces] == [info.request_id]
    assert mlflow.MlflowClient().search_traces(locations=[experiment], include_spans=False)[0].info.state == "OK"
    """)


def test_spans_come_from_any_opentelemetry_library(mlflow_client: Client) -> None:
    mlflow_client.check("""
    import mlflow, os, requests
    experiment = mlflow.set_experiment("otlp").experiment_id
    def said(**values):
        return [{"key": key.replace("__", "."), "value": {"intValue" if isinstance(value, int) else "stringValue":
                 str(value)}} for key, value in values.items()]
    root = {"traceId": "61181d5c16b3b25d966891c3fc595af9", "spanId": "508755a859b294e3", "name": "agent",
            "startTimeUnixNano": "1000000000", "endTimeUnixNano": "3000000000", "status": {"code": 1},
            "attributes": said(session__id="s1", user__id="u1", input__value="hi", output__value="there")}
    call = {"traceId": root["traceId"], "spanId": "508755a859b294e4", "parentSpanId": root["spanId"], "name": "llm",
            "startTimeUnixNano": "2000000000", "endTimeUnixNano": "2500000000", "attributes": said(
                gen_ai__operation__name="chat", gen_ai__usage__input_tokens=5, gen_ai__usage__output_tokens=2,
                gen_ai__request__model="small", gen_ai__input__messages='[{"role": "user"}]')}
    told = {"resourceSpans": [{"resource": {"attributes": said(service__name="shop")},
                               "scopeSpans": [{"spans": [call, root]}]}]}
    headers = {"x-mlflow-experiment-id": experiment}
    to = os.environ["MLFLOW_TRACKING_URI"] + "/v1/traces"
    assert requests.post(to, json=told, headers=headers).status_code == 200
    assert requests.post(to, json=told).status_code == 422
    assert requests.post(to, data=b"x", headers={**headers, "content-type": "text/plain"}).status_code == 400
    (trace,) = mlflow.search_traces(locations=[experiment], return_type="list")
    info = trace.info
    assert (info.state, info.request_time, info.execution_duration) == ("OK", 1000, 2000), info
    assert (info.request_preview, info.response_preview) == ('"hi"', '"there"')
    assert info.token_usage == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    assert info.trace_metadata["mlflow.trace.session"] == "s1" and info.trace_metadata["mlflow.trace.user"] == "u1"
    assert info.tags["service.name"] == "shop"
    first, second = trace.data.spans
    assert first.get_attribute("service.name") == "shop" and first.inputs == "hi"
    assert (second.span_type, second.get_attribute("mlflow.llm.model")) == ("CHAT_MODEL", "small")
    assert second.parent_id == first.span_id and second.inputs == [{"role": "user"}]
    elsewhere = {"x-mlflow-experiment-id": mlflow.create_experiment("otlp elsewhere")}
    refused = requests.post(to, json=told, headers=elsewhere)
    assert refused.status_code == 400 and "already exists in another experiment" in refused.text
    """)
