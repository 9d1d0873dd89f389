"""What MLflow's clients compare to the letter, or find in one place only: messages, forms of values, tags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.tracking.trace_search import search_traces
from homeostat.tracking.trace_spans import put_spans
from homeostat.tracking.traces import Trace, delete_traces, put_trace
from tests.server.running import Answer, Running
from tests.tracking.test_mlflow import Client

TRACES = "/api/3.0/mlflow/traces"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with hs.open(Path(tmp_path_factory.mktemp("words")) / "home") as ws:
        running = Running(ws)
        yield Client(running)
        running.stop()


@pytest.mark.parametrize(
    ("call", "body", "words"),
    [
        ("experiments/create", {"name": "x", "tags": "5"}, "Invalid value \"5\" for parameter 'tags' supplied"),
        ("runs/log-batch", {"run_id": "r", "metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied"),
        ("runs/search", {"experiment_ids": [1]}, "Invalid value [1] for parameter 'experiment_ids' supplied"),
        (
            "experiments/search-datasets",
            {"experiment_ids": [f"id_{n}" for n in range(21)]},
            "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids.",
        ),
    ],
    ids=["tags", "metrics", "ids", "datasets"],
)
def test_what_is_refused_is_shown_as_it_was_sent(client: Client, call: str, body: object, words: str):
    assert words in client.refused(call, body)


def test_a_refused_metric_is_named_by_its_place(client: Client):
    good, bad = ({"key": key, "value": 1.0, "timestamp": 1, "step": 0} for key in ("good", "../bad"))
    told = client.refused("runs/log-batch", {"run_id": client.run(), "metrics": [good, bad]})
    assert told.startswith("Invalid value \"../bad\" for parameter 'metrics[1].name' supplied")


def test_a_folder_named_from_here_is_named_whole(client: Client):
    places = {"here": str(Path.cwd() / "here"), "/there": "/there", "s3://bucket/a": "s3://bucket/a"}
    for number, (given, kept) in enumerate(places.items()):
        made = client.ok("experiments/create", {"name": f"place {number}", "artifact_location": given})["experiment_id"]
        assert client.ok(f"experiments/get?experiment_id={made}")["experiment"]["artifact_location"] == kept


def test_a_path_that_leads_out_is_answered_in_two_words(client: Client):
    run = client.run()
    assert client.refused(f"artifacts/list?run_id={run}&path=../up") == "Invalid path"
    answer = client.running.request("GET", f"/get-artifact?run_id={run}&path=../up")
    assert (answer.status, answer.json["message"]) == (400, "Invalid path")


def test_a_logged_model_says_as_what_it_was_registered(client: Client):
    model = client.ok("logged-models", {"experiment_id": "0", "name": "m"})["model"]["info"]
    client.ok("registered-models/create", {"name": "listed"})
    versions: list[str] = []
    for number in (1, 2):
        client.ok(
            "model-versions/create",
            {"name": "listed", "source": model["artifact_uri"], "model_id": model["model_id"]},
        )
        versions.append(f'{{"name": "listed", "version": {number}}}')
        tags = client.ok(f"logged-models/{model['model_id']}")["model"]["info"]["tags"]
        assert {"key": "mlflow.modelVersions", "value": f"[{', '.join(versions)}]"} in tags


def test_an_expectation_of_several_values_travels_as_text(client: Client):
    put_trace(client.running.workspace, Trace(id="tr-said", experiment_id="0", request_ms=1))
    for value, form in (({"a": 1}, "serialized_value"), ([1], "serialized_value"), (3, "value"), ("x", "value")):
        said = {"assessment_name": "want", "expectation": {"value": value}, "source": {"source_type": "HUMAN"}}
        made = client.running.post(f"{TRACES}/tr-said/assessments", {"assessment": said}).json["assessment"]
        assert list(made["expectation"]) == [form]
    assert made["expectation"] == {"value": "x"}


def test_a_trace_may_be_linked_to_a_run_before_it_arrives(client: Client):
    ws, run = client.running.workspace, client.run()
    asked = f"attribute.run_id = '{run}'"
    client.ok("traces/link-to-run", {"trace_ids": ["tr-late", "tr-late"], "run_id": run})
    assert search_traces(ws, [0], asked) == ([], False)
    put_trace(ws, Trace(id="tr-late", experiment_id="0", request_ms=7))
    put_trace(ws, Trace(id="tr-own", experiment_id="0", request_ms=8, metadata={"mlflow.sourceRun": run}))
    assert [trace.id for trace in search_traces(ws, [0], asked)[0]] == ["tr-own", "tr-late"]
    assert delete_traces(ws, 0, ["tr-late", "tr-own"]) == 2
    put_trace(ws, Trace(id="tr-late", experiment_id="0", request_ms=9))
    assert search_traces(ws, [0], asked) == ([], False)


def test_a_trace_whose_spans_are_on_their_way_is_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("homeostat.tracking.mlflow.traces._WAITS_S", (0.0, 0.0))
    ws, said = client.running.workspace, {"mlflow.trace.sizeStats": '{"num_spans": 2}'}
    named = [{"key": "mlflow.traceRequestId", "value": {"string_value": "tr-part"}}]
    span = {"trace_id": "AAAAAAAAAAAAAAAAAAAAAw==", "span_id": "AAAAAAAAAAE=", "name": "a", "attributes": named}
    put_spans(ws, "0", [span])
    put_trace(ws, Trace(id="tr-part", experiment_id="0", request_ms=1, metadata=said))
    path = f"{TRACES}/get?trace_id=tr-part"
    answer = client.running.request("GET", path)
    assert answer.status == 404 and "is not fully exported yet" in answer.json["message"]
    assert len(client.running.request("GET", f"{path}&allow_partial=true").json["trace"]["spans"]) == 1
    assert client.running.post(f"{TRACES}/batchGet", {"trace_ids": ["tr-part"]}).json == {}
    put_spans(ws, "0", [{**span, "span_id": "AAAAAAAAAAI="}])
    assert len(client.running.request("GET", path).json["trace"]["spans"]) == 2
    assert len(client.running.post(f"{TRACES}/batchGet", {"trace_ids": ["tr-part"]}).json["traces"]) == 1
    missing = client.running.request("GET", f"{TRACES}/get?trace_id=tr-none")
    assert (missing.status, missing.json["message"]) == (404, "Trace with ID tr-none is not found.")
    run = client.run()
    refused = client.running.post(
        f"{TRACES}/link-to-run", {"trace_ids": [f"tr-{n}" for n in range(101)], "run_id": run}
    )
    assert refused.status == 400 and "Cannot link more than 100 traces to a run" in refused.json["message"]
    nowhere = client.running.post(f"{TRACES}/link-to-run", {"trace_ids": ["tr-part"], "run_id": "none"})
    assert (nowhere.status, nowhere.json["message"]) == (404, "Run with id=none not found")


def test_where_a_trace_lies_is_for_the_server_to_say(client: Client):
    own = ["mlflow.artifactLocation", "mlflow.trace.spansLocation"]
    told = {"trace_id": "tr-own-tags", "request_time": "2026-01-01T00:00:00Z", "tags": dict.fromkeys([*own, "a"], "x"),
            "trace_location": {"mlflow_experiment": {"experiment_id": "0"}}}  # fmt: skip
    made = client.running.post(TRACES, {"trace": {"trace_info": told}}).json["trace"]["trace_info"]
    assert made["tags"] == {"a": "x", own[0]: "mlflow-artifacts:/0/traces/tr-own-tags/artifacts"}
    for key in own:
        for method in ("PATCH", "DELETE"):
            answer = client.running.request(method, f"{TRACES}/tr-own-tags/tags?key={key}&value=x")
            assert answer.status == 400 and "is immutable" in answer.json["message"]


def test_a_tag_of_the_servers_own_may_be_set_to_what_it_is(client: Client):
    """Clients of MLflow 3.12 give all tags of a trace back that they have evaluated."""
    span = {"trace_id": "AAAAAAAAAAAAAAAAAAAABA==", "span_id": "AAAAAAAAAAE=", "name": "a",
            "attributes": [{"key": "mlflow.traceRequestId", "value": {"string_value": "tr-back"}}]}  # fmt: skip
    put_spans(client.running.workspace, "0", [span])
    put_trace(client.running.workspace, Trace(id="tr-back", experiment_id="0", request_ms=1))
    tags = client.running.request("GET", f"{TRACES}/tr-back").json["trace"]["trace_info"]["tags"]
    for key in ("mlflow.artifactLocation", "mlflow.trace.spansLocation"):
        for said, status in ((tags[key], 200), ("elsewhere", 400)):
            body = json.dumps({"key": key, "value": said}).encode()
            headers = {"Content-Type": "application/json"}
            assert client.running.request("PATCH", f"{TRACES}/tr-back/tags", body, headers).status == status
    assert client.running.request("GET", f"{TRACES}/tr-back").json["trace"]["trace_info"]["tags"] == tags
    answer = client.running.request("PATCH", f"{TRACES}/tr-none/tags?key=mlflow.artifactLocation&value=x")
    assert answer.status == 404


def test_a_tag_of_a_trace_has_the_name_and_the_length_that_any_tag_has(client: Client):
    told = {"trace_id": "tr-tags", "request_time": "2026-01-01T00:00:00Z",
            "trace_location": {"mlflow_experiment": {"experiment_id": "0"}}}  # fmt: skip
    client.running.post(TRACES, {"trace": {"trace_info": told}})

    def put(trace: str, key: str, value: str) -> Answer:
        body = json.dumps({"key": key, "value": value}).encode()
        return client.running.request("PATCH", f"{TRACES}/{trace}/tags", body, {"Content-Type": "application/json"})

    for trace in ("tr-tags", "tr-none"):
        for key in ("what?", "../a"):
            refused = put(trace, key, "x")
            assert refused.status == 400 and f"Invalid value \"{key}\" for parameter 'key'" in refused.json["message"]
        assert "'key' exceeds the maximum length of 250" in put(trace, "k" * 251, "x").json["message"]
    assert put("tr-none", "a", "x").status == 404
    assert put("tr-tags", "a", "123" + "x" * 8000).status == 200
    shown = client.running.request("GET", f"{TRACES}/tr-tags").json["trace"]["trace_info"]
    assert shown["tags"]["a"] == "123" + "x" * 7997


def test_the_text_of_a_trace_is_what_its_spans_say(client: Client):
    ws = client.running.workspace
    experiment = int(client.ok("experiments/create", {"name": "texts"})["experiment_id"])
    said = [{"key": "fruit", "value": {"string_value": "apple"}}]
    span = {"trace_id": "AAAAAAAAAAAAAAAAAAAAAg==", "span_id": "AAAAAAAAAAE=", "name": "peel", "attributes": said}
    put_spans(ws, str(experiment), [span])
    for text, found in (("apple", 1), ("fruit", 1), ("peel", 1), ("string_value", 0), ("span_id", 0)):
        assert len(search_traces(ws, [experiment], f"trace.text LIKE '%{text}%'")[0]) == found, text


def test_pages_name_the_run_of_a_file_by_either_word(client: Client):
    run = client.run()
    for word in ("run_id", "run_uuid"):
        path = f"/ajax-api/2.0/mlflow/upload-artifact?{word}={run}&path={word}.txt"
        assert client.running.request("POST", path, b"x").status == 200
    refused = client.running.request("POST", "/ajax-api/2.0/mlflow/upload-artifact?path=a", b"x")
    assert refused.json["message"] == "Request must specify run_uuid."


SCORERS = "/api/3.0/mlflow/scorers"
ELSEWHERE = {"third_party_scorer_data": {"kwargs": {"completion_kwargs": [["api_base", "https://elsewhere"]]}}}


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        ([], "serialized_scorer must be valid JSON"),
        ({"call_source": "return 1"}, "Custom scorer registration (using @scorer decorator) is disabled"),
        ({"ensemble_scorer_data": {"scorers": [{"call_source": "return 1"}]}}, "Custom scorer registration"),
        ({"call_source": " ", "name": "mute"}, "Scorer 'mute' has no source code"),
        ({"instructions_judge_pydantic_data": {"model": " "}}, "Scorer model cannot be empty or contain only"),
        ({"builtin_scorer_pydantic_data": {"model": 5}}, "Scorer model must be a string, got int."),
        (
            {"memory_augmented_judge_data": {"base_judge": {"instructions_judge_pydantic_data": {"model": ""}}}},
            "Scorer model cannot be empty",
        ),
        ({"third_party_scorer_data": {"kwargs": [["api_base", "x"]]}}, "kwargs must be a JSON object, got list"),
        (ELSEWHERE, "kwargs must not contain 'api_base': these options choose where the scorer's LLM client sends"),
        ({"ensemble_scorer_data": {"scorers": [ELSEWHERE]}}, "kwargs must not contain 'api_base'"),
    ],
    ids=str,
)
def test_a_scorer_that_would_harm_who_loads_it_is_refused(client: Client, scorer: object, words: str):
    body = {"experiment_id": "0", "name": "judge", "serialized_scorer": json.dumps(scorer)}
    answer = client.running.post(f"{SCORERS}/register", body)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert words in answer.json["message"]
