"""The registry in MLflow's words, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import homeostat as hs
from homeostat.engines.postgres_wire import PostgresWire
from tests.server.running import Running

Ask = Callable[..., Any]
MODELS, VERSIONS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions"


def asking(server: Running) -> Ask:
    """`ask("POST", path, **arguments)`: the answer; `refused=(status, code, words)` expects an error."""

    def ask(method: str, path: str, refused: tuple[int, str, str] | None = None, **given: Any) -> Any:
        if method == "GET":
            answer = server.request(method, f"{path}?{urlencode(given, doseq=True)}")
        else:
            answer = server.request(method, path, json.dumps(given), {"Content-Type": "application/json"})
        said = answer.json
        if refused is None:
            assert answer.status == 200, said
        else:
            assert (answer.status, said["error_code"]) == refused[:2], said
            assert refused[2] in said["message"]
        return said

    return ask


@pytest.fixture
def ask(any_ws: hs.Workspace) -> Iterator[Ask]:
    server = Running(any_ws)
    yield asking(server)
    server.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A server for what is refused and changes nothing; it has the model `m`."""
    with hs.open(tmp_path_factory.mktemp("shared") / "home") as ws:
        ws.registry.create_model("m")
        server = Running(ws)
        yield asking(server)
        server.stop()


def make(ask: Ask, name: str, source: str = "s3://b/m", **given: Any) -> dict[str, Any]:
    return ask("POST", f"{VERSIONS}/create", name=name, source=source, **given)["model_version"]


def test_a_models_life(ask: Ask):
    tags = [{"key": "team", "value": "ops"}, {"key": "team", "value": "ml"}]
    made = ask("POST", f"{MODELS}/create", name="My model", description="d", tags=tags)["registered_model"]
    assert made["tags"] == [{"key": "team", "value": "ml"}]
    assert isinstance(made["creation_timestamp"], int) and "latest_versions" not in made
    taken = (400, "RESOURCE_ALREADY_EXISTS", "Registered Model (name=My model) already exists.")
    ask("POST", f"{MODELS}/create", taken, name="My model")
    assert ask("PATCH", f"{MODELS}/update", name="My model", description="e")["registered_model"]["description"] == "e"
    ask("POST", f"{MODELS}/set-tag", name="My model", key="a", value="1")
    ask("DELETE", f"{MODELS}/delete-tag", name="My model", key="team")
    ask("DELETE", f"{MODELS}/delete-tag", name="My model", key="team")
    assert make(ask, "My model")["version"] == "1"
    renamed = ask("POST", f"{MODELS}/rename", name="My model", new_name="Yours")["registered_model"]
    assert renamed["latest_versions"][0]["name"] == "Yours" and renamed["tags"] == [{"key": "a", "value": "1"}]
    gone = (404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=My model not found")
    ask("GET", f"{MODELS}/get", gone, name="My model")
    ask("DELETE", f"{MODELS}/delete", name="Yours")
    ask("POST", f"{MODELS}/create", name="Yours")
    ask("GET", "/ajax-api/2.0/mlflow/registered-models/get", name="Yours")


def test_registering_asks_postgresql_twice_a_call(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What holds the model and what it depends on; then what is written, with its audit and the end. A name that is
    taken, which MLflow's clients run into with every version but the first, makes what comes after it no dearer."""
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    asked: list[int] = []
    exchange = PostgresWire._exchange

    def spied(wire: PostgresWire) -> Any:
        # How long the writer waits for others is set anew where a busy loop hands a write over to its thread.
        asked.extend([1] if any(not one.sql.startswith("set ") for one in wire._put_off) else [])
        return exchange(wire)

    monkeypatch.setattr(PostgresWire, "_exchange", spied)
    with hs.open(postgres.new_database()) as ws:
        server = Running(ws)
        ask, run = asking(server), ws.tracking.create_run().id

        def count(*given: Any, **arguments: Any) -> int:
            before = len(asked)
            ask(*given, **arguments)
            return len(asked) - before

        try:
            for number in range(20):  # the audit log knows by then that nobody else writes to it
                ask("POST", f"{MODELS}/create", name=f"warm-{number}")
            source = f"mlflow-artifacts:/0/{run}/artifacts/model"
            for name in ("warm-1", "m"):
                taken = (400, "RESOURCE_ALREADY_EXISTS", "already exists") if name != "m" else None
                assert count("POST", f"{MODELS}/create", taken, name=name) == 2
                assert count("POST", f"{VERSIONS}/create", name=name, source=source, run_id=run) == 2
                assert count("POST", f"{MODELS}/alias", name=name, alias="champion", version="1") == 2
                assert count("GET", f"{MODELS}/alias", name=name, alias="champion") == 1
        finally:
            server.stop()


def test_a_versions_life(ask: Ask):
    nothing = (404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=m not found")
    ask("POST", f"{VERSIONS}/create", nothing, name="m", source="s3://b/m")
    ask("POST", f"{MODELS}/create", name="m")
    made = make(ask, "m", description="first", tags=[{"key": "k", "value": "v"}], run_link="http://x")
    assert (made["version"], made["current_stage"], made["status"], made["source"]) == (
        "1",
        "None",
        "READY",
        "s3://b/m",
    )
    assert ask("GET", f"{VERSIONS}/get", name="m", version="1")["model_version"] == made
    assert ask("GET", f"{VERSIONS}/get-download-uri", name="m", version="1") == {"artifact_uri": "s3://b/m"}
    ask("PATCH", f"{VERSIONS}/update", name="m", version="1", description="better")
    ask("POST", f"{VERSIONS}/set-tag", name="m", version="1", key="k2", value="")
    ask("DELETE", f"{VERSIONS}/delete-tag", name="m", version="1", key="k")
    now = ask("GET", f"{VERSIONS}/get", name="m", version=1)["model_version"]
    assert (now["description"], now["tags"]) == ("better", [{"key": "k2", "value": ""}])
    assert make(ask, "m", "models:/m/1")["source"] == "models:/m/1"
    assert ask("GET", f"{VERSIONS}/get-download-uri", name="m", version="2") == {"artifact_uri": "s3://b/m"}
    ask("POST", f"{MODELS}/alias", name="m", alias="champion", version="2")
    ask("DELETE", f"{VERSIONS}/delete", name="m", version="2")
    gone = (404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=m, version=2) not found")
    ask("GET", f"{VERSIONS}/get", gone, name="m", version="2")
    no_alias = (400, "INVALID_PARAMETER_VALUE", "Registered model alias champion not found.")
    ask("GET", f"{MODELS}/alias", no_alias, name="m", alias="champion")
    assert make(ask, "m")["version"] == "3"


def test_stages_and_latest_versions(ask: Ask):
    ask("POST", f"{MODELS}/create", name="m")
    for _ in range(4):
        make(ask, "m")
    move = f"{VERSIONS}/transition-stage"
    for number, stage in (("1", "production"), ("2", "Staging")):
        done = ask("POST", move, name="m", version=number, stage=stage, archive_existing_versions=False)
        assert done["model_version"]["current_stage"] == stage.capitalize()
    ask("POST", move, name="m", version="3", stage="PRODUCTION", archive_existing_versions=True)
    found = ask("POST", f"{MODELS}/get-latest-versions", name="m")["model_versions"]
    assert {v["current_stage"]: v["version"] for v in found} == {
        "Archived": "1", "Staging": "2", "Production": "3", "None": "4",
    }  # fmt: skip
    assert [
        v["version"]
        for v in ask("POST", f"{MODELS}/get-latest-versions", name="m", stages=["staging"])["model_versions"]
    ] == ["2"]
    no_stage = (400, "INVALID_PARAMETER_VALUE", "Invalid Model Version stage: x.")
    ask("POST", move, no_stage, name="m", version="1", stage="x")
    ask("POST", f"{MODELS}/get-latest-versions", no_stage, name="m", stages=["x"])
    # `models:/none/x`: what is missing is the model, whatever its stage would be called.
    no_model = (404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=none not found")
    ask("POST", f"{MODELS}/get-latest-versions", no_model, name="none", stages=["x"])
    active = (400, "INVALID_PARAMETER_VALUE", "is not an Active stage")
    ask("POST", move, active, name="m", version="1", stage="None", archive_existing_versions=True)


def test_aliases(ask: Ask, any_ws: hs.Workspace):
    ask("POST", f"{MODELS}/create", name="m")
    make(ask, "m")
    ask("POST", f"{MODELS}/alias", name="m", alias="champion", version="1")
    assert ask("GET", f"{MODELS}/alias", name="m", alias="champion")["model_version"]["aliases"] == ["champion"]
    assert ask("GET", f"{MODELS}/get", name="m")["registered_model"]["aliases"] == [
        {"alias": "champion", "version": "1"}
    ]
    bad = "INVALID_PARAMETER_VALUE"
    refused = {
        "latest": "is reserved", "Latest": "is reserved", "v12": "'v12' is reserved",
        "a b": "Invalid alias name: 'a b'", "x" * 256: "exceeds the maximum length of 255",
    }  # fmt: skip
    for alias, words in refused.items():
        ask("POST", f"{MODELS}/alias", (400, bad, words), name="m", alias=alias, version="1")
    ask("POST", f"{MODELS}/alias", (404, "RESOURCE_DOES_NOT_EXIST", "not found"), name="m", alias="a", version="9")
    assert ask("GET", f"{MODELS}/alias", name="m", alias="latest")["model_version"]["version"] == "1"
    any_ws.registry.set_rule("m", "champion", 1)
    ask("DELETE", f"{MODELS}/alias", (400, bad, "moves only with approval"), name="m", alias="champion")
    ask("DELETE", f"{MODELS}/alias", name="m", alias="none")


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""}, {"name": " "}, {"name": "a/b"}, {"name": "a:b"}, {"name": ".."}, {"name": 3}, {}, {"name": ["x"]},
        {"name": "x" * 300}, {"name": "a\nb"}, {"name": "m", "tags": [{"key": "../x", "value": "v"}]},
        {"name": "m", "tags": [{"key": "k" * 251, "value": "v"}]}, {"name": "m", "tags": "x"},
        {"name": "m", "tags": [{"key": "k", "value": "v" * 100_001}]}, {"name": "m", "tags": [{"value": "v"}]},
    ],
)  # fmt: skip
def test_what_cannot_be_a_model(shared: Ask, given: dict[str, Any]):
    shared("POST", f"{MODELS}/create", (400, "INVALID_PARAMETER_VALUE", ""), **given)
    assert names(shared("GET", f"{MODELS}/search")) == ["m"]


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd", "file:///etc/passwd", "etc/passwd", "C:\\Windows", "s3://b/../x", "s3://b/%2e%2e/x", "s3://b/..%2f..%2fx",
        "s3://b/%252e%252e/x", "mlflow-artifacts:/0/other/artifacts/model", "mlflow-artifacts://host/0/other/artifacts/m",
        "http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/0/other/artifacts/m", "runs:/other/model", "runs://x/other/m",
        "models:/m-0123456789", "models://host/x/1", "mlflow-artifacts:/", "s3://b/a\nb", "s3://b/\u202e/../x", "http://[",
    ],
)  # fmt: skip
def test_a_source_that_leads_elsewhere_is_refused(shared: Ask, source: str):
    refused = (400, "INVALID_PARAMETER_VALUE", "Invalid model version source")
    shared("POST", f"{VERSIONS}/create", refused, name="m", source=source)
    shared("POST", f"{VERSIONS}/create", refused, name="m", source=source, run_id="nothere")
    assert shared("GET", f"{VERSIONS}/search") == {}


def test_a_run_owns_its_sources(ask: Ask, any_ws: hs.Workspace):
    run = any_ws.tracking.create_run().id
    any_ws.tracking.log_artifact(run, "model/MLmodel", b"flavors: {python_function: {}}")
    ask("POST", f"{MODELS}/create", name="m")
    inside = f"mlflow-artifacts:/0/{run}/artifacts/model"
    made = make(ask, "m", inside, run_id=run)
    assert (made["source"], made["run_id"]) == (inside, run)
    assert any_ws.registry.get_version("m", 1).flavors == ["python_function"]
    assert make(ask, "m", f"runs:/{run}/model", run_id=run)["version"] == "2"
    outside = (400, "INVALID_PARAMETER_VALUE", "must identify the resource that contains the source")
    other = any_ws.tracking.create_run().id
    ask("POST", f"{VERSIONS}/create", outside, name="m", source=inside, run_id=other)
    ask("POST", f"{VERSIONS}/create", outside, name="m", source=f"{inside}/%2e./x".replace("%2e.", "y"))


def names(found: dict[str, Any], what: str = "registered_models") -> list[str]:
    return [f"{one['name']}{'/' + one['version'] if 'version' in one else ''}" for one in found.get(what, [])]


def test_searching_models(ask: Ask):
    for name, team in (("Bravo", "x"), ("alpha", "y"), ("charlie", "x")):
        ask("POST", f"{MODELS}/create", name=name, tags=[{"key": "the team", "value": team}])
    ask("POST", f"{MODELS}/create", name="greet", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])

    def search(text: str = "", **given: Any) -> list[str]:
        return names(ask("GET", f"{MODELS}/search", filter=text, **given))

    assert search() == ["Bravo", "alpha", "charlie"]
    assert search("name LIKE '%a%'") == ["Bravo", "alpha", "charlie"]
    assert search("name like 'b%'") == [] and search("name ILIKE 'b%'") == ["Bravo"]
    assert search("name = 'alpha'") == search("attribute.name IN ('alpha', 'x')") == ["alpha"]
    assert search("name != 'alpha' AND tags.`the team` = 'x'") == ["Bravo", "charlie"]
    assert search('tag."the team" != "x"') == ["alpha"]
    assert search("tags.nothere != 'x'") == []
    assert search("name = 'alpha' OR (tags.`the team` = 'x' AND NOT name LIKE 'B%')") == ["alpha", "charlie"]
    assert search("tags.`the team` IS NULL") == [] and len(search("tags.nothere IS NULL")) == 3
    assert search("tags.`mlflow.prompt.is_prompt` = 'true'") == ["greet"]
    both = "tags.`mlflow.prompt.is_prompt` = 'false' AND tags.`mlflow.prompt.is_prompt` = 'true'"
    assert search(both) == ["Bravo", "alpha", "charlie"]
    assert search("tags.`mlflow.prompt.is_prompt` != 'true'") == ["Bravo", "alpha", "charlie"]
    assert search(order_by=["name DESC"]) == ["charlie", "alpha", "Bravo"]
    assert search(order_by=["last_updated_timestamp desc", "name"])[0] in ("charlie", "alpha", "Bravo")
    first = ask("GET", f"{MODELS}/search", max_results=2)
    second = ask("GET", f"{MODELS}/search", max_results=2, page_token=first["next_page_token"])
    assert names(first) + names(second) == ["Bravo", "alpha", "charlie"] and "next_page_token" not in second


def test_searching_versions(ask: Ask):
    for name, count in (("a", 2), ("b", 1)):
        ask("POST", f"{MODELS}/create", name=name)
        for number in range(count):
            make(ask, name, f"s3://{name}/{number}", tags=[{"key": "n", "value": str(number)}])

    def search(text: str = "", **given: Any) -> list[str]:
        return names(
            ask("GET", f"{VERSIONS}/search", filter=text, order_by=["name", "version_number ASC"], **given),
            "model_versions",
        )

    assert search() == ["a/1", "a/2", "b/1"]
    assert search("name='a'") == ["a/1", "a/2"] and search("version_number > 1") == ["a/2"]
    assert search("source_path = 's3://b/0'") == ["b/1"] and search("tags.n = '1' AND name = 'a'") == ["a/2"]
    assert search("version_number = '2'") == ["a/2"] and search("NOT version_number = 2") == ["a/1", "b/1"]
    assert search("run_id IN ('x', 'y')") == [] and search("run_id NOT IN ('x')") == ["a/1", "a/2", "b/1"]
    ask("DELETE", f"{VERSIONS}/delete", name="a", version="1")
    assert search() == ["a/2", "b/1"]
    ask("DELETE", f"{MODELS}/delete", name="b")
    assert search() == ["a/2"]


@pytest.mark.parametrize(
    "given",
    [
        {"filter": "name"}, {"filter": "name = "}, {"filter": "name = x"}, {"filter": "name = 'a' OR"},
        {"filter": "name = 'a' name = 'b'"}, {"filter": "x = 'a'"}, {"filter": "run.x = 'a'"}, {"filter": "name > 'a'"},
        {"filter": "name = 1"}, {"filter": "tags.a IN ('a')"}, {"filter": "name IN ()"}, {"filter": "name IN ('a'"},
        {"filter": "tags.a = 1"}, {"filter": "name = 'a'; drop table x"}, {"filter": "name RLIKE 'a'"},
        {"filter": "'" * 1001},
        {"filter": "AND"}, {"filter": "name LIKE ('a')"},
        {"order_by": "x"}, {"order_by": "name; drop table x"}, {"order_by": "name sideways"},
        {"order_by": ["name", "name desc"]}, {"max_results": 0}, {"max_results": 1001}, {"max_results": "x"},
        {"page_token": "x"}, {"page_token": "eyJvZmZzZXQiOiAtMX0="}, {"page_token": "bnVsbA=="},
    ],
)  # fmt: skip
def test_what_cannot_be_searched(shared: Ask, given: dict[str, Any]):
    shared("GET", f"{MODELS}/search", (400, "INVALID_PARAMETER_VALUE", ""), **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"filter": "run.x = 'a'"}, "Invalid entity type 'run'. Valid entity types are ('attribute', 'tag', 'tags')"),
        ({"filter": "x = 'a'"}, "Invalid attribute key 'x' specified. Valid keys are '"),
        ({"filter": "tags.a IN ('a')"}, "Expected a quoted string value for tag (e.g. 'my-value'). Got value ("),
        ({"filter": "tags.a = b"}, "Parameter value is either not quoted or unidentified quote types"),
        ({"filter": "tags.a > 'b'"}, "Invalid comparator for tag: >"),
        ({"filter": "name > 'a'"}, "Invalid comparator for attribute: >"),
        ({"filter": "name = 1"}, "Expected a quoted string value or a list of quoted string values for attributes."),
        ({"filter": "source_path IN ('a')"}, "Only ['name', 'run_id'] attributes support comparison with a list of"),
        ({"filter": "version_number LIKE 'a'"}, "Invalid comparator for attribute version_number: LIKE"),
        ({"filter": "version_number = 1.5"}, "Invalid value for numeric attribute 'version_number': '1.5'"),
        ({"filter": "name = 'a' name = 'b'"}, "Invalid clause(s) in filter string: "),
        ({"filter": "name IN ()"}, "expected a non-empty list of string values"),
        ({"order_by": ["tags.x"]}, "Invalid order_by entity: tag"),
        ({"order_by": ["name", "name desc"]}, "`order_by` contains duplicate fields"),
    ],
)
def test_what_is_wrong_with_a_search_is_said_in_the_registrys_words(shared: Ask, given: dict[str, Any], said: str):
    shared("GET", f"{VERSIONS}/search", (400, "INVALID_PARAMETER_VALUE", said), **given)


def test_prompts_are_models_with_a_tag(ask: Ask, any_ws: hs.Workspace):
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    ask("POST", f"{MODELS}/create", name="greet", tags=tags)
    text = [*tags, {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}]
    assert make(ask, "greet", "dummy-source", tags=text)["version"] == "1"
    bad = (400, "INVALID_PARAMETER_VALUE", "Prompt sources must use an MLflow placeholder")
    ask("POST", f"{VERSIONS}/create", bad, name="greet", source="s3://b/m", tags=text)
    ask(
        "POST",
        f"{MODELS}/create",
        (400, "RESOURCE_ALREADY_EXISTS", "Prompt (name=greet) already exists."),
        name="greet",
        tags=tags,
    )
    ask("POST", f"{MODELS}/create", (400, "RESOURCE_ALREADY_EXISTS", "is already taken by a prompt"), name="greet")
    assert any_ws.registry.list_models() == [] and any_ws.registry.list_models(prompts=True)[0].name == "greet"
    assert ask("GET", f"{VERSIONS}/search") == {}
    ask("POST", f"{MODELS}/create", name="m")
    no_copy = (400, "INVALID_PARAMETER_VALUE", "Prompt versions cannot be used as model version sources")
    ask("POST", f"{VERSIONS}/create", no_copy, name="m", source="models:/greet/1")
