"""`homeostat deploy --to kubernetes`: objects that the published schemas allow, and that start what an image brings."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml

import homeostat as hs
from homeostat.cli.main import main
from homeostat.cli.serving import add_arguments
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.serving import manifests
from homeostat.serving.shipping.manifests import object_name
from homeostat.serving.shipping.packaging import serve_words
from tests.serving.models import register_logistic

SCHEMAS = Path(__file__).parent / "schemas"
PUBLISHED: dict[str, Any] = {
    **json.loads((SCHEMAS / "kubernetes-1.37.json").read_text()),
    **json.loads((SCHEMAS / "kserve-crds.json").read_text()),
}
IMAGE = "registry.example.com/churn@sha256:" + "0" * 64


@pytest.fixture
def churn(ws: hs.Workspace, tmp_path: Path) -> hs.Workspace:
    register_logistic(ws, tmp_path / "scratch", "Churn_model", np.ones(3))
    return ws


def objects(ws: hs.Workspace, **asked: Any) -> dict[str, dict[str, Any]]:
    """The objects by kind, each valid."""
    found: dict[str, dict[str, Any]] = {}
    for one in manifests(ws, "Churn_model", IMAGE, **asked):
        for said in yaml.safe_load_all(one.text):
            jsonschema.Draft202012Validator(PUBLISHED[f"{said['apiVersion']} {said['kind']}"]).validate(said)
            found[said["kind"]] = said
    return found


def containers(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    pods = [found["Deployment"]["spec"]["template"]["spec"], found["InferenceService"]["spec"]["predictor"]]
    pods += [found["ServingRuntime"]["spec"]] if "ServingRuntime" in found else []
    return [one for pod in pods for one in pod.get("containers", [])]


@pytest.mark.parametrize("asked", [
    {}, {"storage": "s3://models/churn"}, {"token_secret": "who", "min_replicas": 2},
    {"storage": "oci+native://registry.example.com/churn:3", "token_secret": "who", "min_replicas": 0},
])  # fmt: skip
def test_the_published_schemas_allow_all_of_it(churn: hs.Workspace, asked: dict[str, Any]):
    found = objects(churn, **asked)
    assert ("PodDisruptionBudget" in found) == (asked.get("min_replicas", 1) > 1)
    assert ("ServingRuntime" in found) == ("storage" in asked)
    assert {one["metadata"]["name"] for one in found.values()} <= {"churn-model", "churn-model-homeostat"}
    for one in containers(found):
        assert one["image"] == IMAGE
        mounted = {mount["mountPath"] for mount in one["volumeMounts"]}
        assert mounted == ({"/tmp", "/var/run/homeostat"} if "token_secret" in asked else {"/tmp"})
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
    predictor = found["InferenceService"]["spec"]["predictor"]
    assert predictor["minReplicas"] == asked.get("min_replicas", 1)
    assert found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 1
    if "storage" in asked:
        assert predictor["model"]["storageUri"] == asked["storage"]
        assert predictor["model"]["runtime"] == found["ServingRuntime"]["metadata"]["name"]


@pytest.mark.parametrize("broken", [{"replicas": "three"}, {"unknown": 1}])
def test_the_schemas_refuse_what_is_wrong(churn: hs.Workspace, broken: dict[str, Any]):
    said = objects(churn)["Deployment"]
    said["spec"] |= broken
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(PUBLISHED["apps/v1 Deployment"]).validate(said)


def test_the_image_takes_the_arguments_it_is_started_with(churn: hs.Workspace):
    own = serve_words("Churn_model")
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    plain, kserve = (parser.parse_args([*own, *one["args"]]) for one in containers(objects(churn)))
    assert (plain.name, plain.model_dir, plain.open, plain.host) == ("Churn_model", "/models", True, "0.0.0.0")
    assert (kserve.name, kserve.model_dir, kserve.open) == ("churn-model", "/models", True)
    stored = containers(objects(churn, storage="s3://models/churn", token_secret="who"))
    runtime = parser.parse_args([*own, *stored[1]["args"]])
    assert (runtime.name, runtime.model_dir, runtime.port) == ("{{.Name}}", "/mnt/models", 8080)
    assert (runtime.open, runtime.token_file) == (False, "/var/run/homeostat/tokens")


@pytest.mark.parametrize(("asked", "words"), [
    ({"image": "two words"}, "not the name of an image"),
    ({"image": ""}, "not the name of an image"),
    ({"namespace": "Upper"}, "namespace"),
    ({"token_secret": "a/b"}, "token_secret"),
    ({"min_replicas": 3, "max_replicas": 2}, "from 3 to 2"),
    ({"max_replicas": 0, "min_replicas": 0}, "from 0 to 0"),
    ({"cpu": "much"}, "not a quantity"),
    ({"memory": "1G\nx"}, "not a quantity"),
    ({"storage": "bucket"}, "not an address"),
])  # fmt: skip
def test_what_a_cluster_would_refuse_is_refused(churn: hs.Workspace, asked: dict[str, Any], words: str):
    with pytest.raises(InvalidInput, match=words):
        manifests(churn, "Churn_model", **{"image": IMAGE, **asked})


def test_long_names_that_begin_alike_stay_two_objects():
    long = "customer-churn-prediction-for-subscribers-in-"
    north, south = object_name(f"{long}north"), object_name(f"{long}south")
    assert north != south
    assert north.startswith("customer-churn-prediction-for-s") and len(north) <= 40
    for name in (north, south, object_name("1" * 300), object_name("x-" * 60)):
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", name)
    assert object_name("x" * 40) == "x" * 40


def test_the_command(churn: hs.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["deploy", "Churn_model", "--to", "kubernetes", "--image", IMAGE, "--home", str(churn.home), "--out"]
    assert main([*words, str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["kserve.yaml", "kubernetes.yaml"]
    assert "kubectl apply" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "out")]) == InvalidInput.exit_code
    with pytest.raises(NotFound):
        manifests(churn, "nobody", IMAGE)
