from __future__ import annotations

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.registry import load_model
from homeostat.registry.mlmodel import read_mlmodel

MLMODEL = b"""
artifact_path: model
flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}
  sklearn: {pickled_model: model.pkl}
model_id: m-0123
run_id: abc
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}, {"type": "string", "name": "b"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
"""


def test_an_mlflow_model_among_a_runs_files(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    any_ws.tracking.log_artifact(run.id, "model/MLmodel", MLMODEL)
    any_ws.tracking.log_artifact(run.id, "model/model.pkl", b"cos\nsystem\n(S'false'\ntR.")
    any_ws.tracking.log_artifact(run.id, "model/requirements.txt", b"# made\nscikit-learn==1.5\nnumpy\n")
    any_ws.tracking.log_artifact(run.id, "model2/other", b"x")
    made = any_ws.registry.register_source("m", f"runs:/{run.id}/model", tags={"a": 1})
    assert (made.version, made.flavor, made.flavors) == (1, "mlflow", ["python_function", "sklearn"])
    assert [(f.name, f.dtype) for f in made.signature.inputs] == [("a", "FP64"), ("b", "BYTES")]
    assert [(f.name, f.dtype, f.shape) for f in made.signature.outputs] == [("output0", "INT64", [-1])]
    assert sorted(made.files) == ["MLmodel", "model.pkl", "requirements.txt"]
    assert (made.environment, made.model_id, made.run_id) == (["numpy", "scikit-learn==1.5"], "m-0123", run.id)
    assert any_ws.registry.read_file("m", 1, "MLmodel") == MLMODEL
    assert [n.kind for n in any_ws.lineage.of("model", "m", 1).nodes] == ["run", "model"]
    with pytest.raises(Refused, match="no package of ours"):
        load_model(any_ws, "m", unpickle=True)


def test_an_address_elsewhere_is_kept_as_it_is(any_ws: hs.Workspace):
    made = any_ws.registry.register_source("m", "s3://bucket/model", description="bought")
    assert (made.flavor, made.files, made.digest, made.source) == ("other", {}, "", "s3://bucket/model")
    assert any_ws.registry.get_version("m") == made
    for source in ("", "a\nb", "x" * 5000):
        with pytest.raises(InvalidInput, match="not an address"):
            any_ws.registry.register_source("m", source)
    with pytest.raises(NotFound):
        any_ws.registry.register_source("m", "runs:/nothere/model")


@pytest.mark.parametrize(
    "data",
    [
        b"[1]",
        b"\xff",
        b"a: {",
        b"!!python/object/apply:os.system ['true']",
        b"signature: {inputs: '{'}",
        b"x" * 2_000_000,
    ],
)
def test_what_is_no_mlmodel_is_refused_and_never_run(data: bytes):
    with pytest.raises(InvalidInput):
        read_mlmodel(data)
