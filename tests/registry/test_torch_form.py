"""PyTorch modules. Skipped by name where PyTorch is not installed: it is too large for the tests' own environment."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import homeostat as hs
from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import InvalidInput, Refused
from homeostat.registry import fetch, import_folder, load_package, package_model
from homeostat.registry.mlmodel import read_mlmodel
from homeostat.registry.safetensors import read_safetensors
from homeostat.serving.runtimes.process import Order, ProcessRuntime

torch = pytest.importorskip("torch", reason="PyTorch is not installed (`pip install torch`): its models are not tested")
X = np.random.default_rng(5).normal(size=(100, 4)).astype("f4")


def module(outputs: int) -> Any:
    torch.manual_seed(3)
    layers = torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(6, outputs)
    return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_module_answers_alike_in_every_form(outputs: int, tmp_path: Path):
    net = module(outputs)
    package = package_model(net, X, tmp_path / "a")
    assert (package.flavor, package.file, package.onnx.agrees) == ("torch", "model.pt2", True), package.onnx.reason
    assert package.signature.outputs[0].shape == ([-1] if outputs == 1 else [-1, 3])
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(X)).numpy()
    program = digest_of_file(tmp_path / "a" / "model.pt2")
    for loaded in (load_package(tmp_path / "a"), load_package(tmp_path / "a", engine="native", unpickle=program)):
        for rows in (X, X[:1]):
            got = loaded.predict(rows).reshape(len(rows), -1)
            np.testing.assert_allclose(got, expected[: len(rows)], rtol=1e-4, atol=1e-5)
    with pytest.raises(Refused, match="loading one runs code"):
        load_package(tmp_path / "a", engine="native")
    weights = read_safetensors((tmp_path / "a" / "weights.safetensors").read_bytes())
    assert {name: array.shape for name, array in weights.items()} == {
        "0.weight": (6, 4), "0.bias": (6,), "3.weight": (outputs, 6), "3.bias": (outputs,)
    }  # fmt: skip
    package_model(net, X, tmp_path / "b")
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in (tmp_path / "a").iterdir())


def test_a_python_of_its_own_serves_it(tmp_path: Path):
    package = package_model(module(3), X, tmp_path, onnx=False, environment=["numpy"])
    listed = (tmp_path / "requirements.txt").read_text().splitlines()
    assert listed == ["numpy", f"torch=={torch.__version__.partition('+')[0]}"]
    runtime = ProcessRuntime(Order(
        how="file", folder=tmp_path, file=package.file, recorded=digest_of_file(tmp_path / package.file),
        flavor="torch", inputs=[(field.name, field.dtype) for field in package.signature.inputs],
        outputs=[("prediction", "FP32")], matrix=True, python=Path(sys.executable),
    ))  # fmt: skip
    try:
        with torch.no_grad():
            expected = module(3).eval()(torch.from_numpy(X)).numpy()
        np.testing.assert_allclose(runtime.run([X])[0], expected, rtol=1e-5)
    finally:
        runtime.close()


def test_its_folder_is_one_of_mlflow(ws: hs.Workspace, tmp_path: Path):
    hs.log_model(ws, "net", module(1), X)
    folder = fetch(ws, "net", dest=tmp_path, form="mlflow")
    assert read_mlmodel((folder / "MLmodel").read_bytes()).flavors == ["onnx", "python_function", "pytorch"]
    with torch.no_grad():
        expected = module(1).eval()(torch.from_numpy(X)).numpy()
        found = torch.export.load(folder / "data" / "model.pt2").module()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_module_that_cannot_be_exported_is_refused(tmp_path: Path):
    class Branching(torch.nn.Module):
        def forward(self, rows: object) -> object:
            return rows if rows.sum().item() > 0 else -rows  # type: ignore[attr-defined,operator]

    with pytest.raises(InvalidInput, match="cannot export this Branching"):
        package_model(Branching(), X, tmp_path)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of TorchScript's end
@pytest.mark.parametrize("kind", ["traced", "scripted", "exported"])
def test_torchscript_and_exported_programs_are_taken_as_they_are(kind: str, ws: hs.Workspace, tmp_path: Path):
    net = module(3).eval()
    with torch.no_grad():
        expected = net(torch.from_numpy(X)).numpy()
    example = torch.from_numpy(X[:3])
    file = tmp_path / ("net.pt2" if kind == "exported" else "net.pt")
    if kind == "exported":
        given = torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        torch.export.save(given, file)
    else:
        given = torch.jit.trace(net, example) if kind == "traced" else torch.jit.script(net)
        given.save(str(file))
    package = package_model(given, X, tmp_path / "package")
    assert (package.flavor, package.file, package.onnx.agrees) == ("torch", "model.pt2", True), package.onnx.reason
    if kind == "scripted":  # as Triton lays it out, and BentoML
        triton = tmp_path / "repository" / "net"
        (triton / "1").mkdir(parents=True)
        (triton / "config.pbtxt").write_text('platform: "pytorch_libtorch"\ninput [ { name: "x" dims: [ 4 ] } ]')
        shutil.copy(file, triton / "1" / "model.pt")
        bento = tmp_path / "bento"
        bento.mkdir()
        (bento / "model.yaml").write_text("name: stored\nversion: abc\nmodule: bentoml.torchscript\n")
        shutil.copy(file, bento / "saved_model.pt")
        for folder in (triton.parent, bento):
            assert import_folder(ws, folder, allow_code=True)[0].flavor == "torch"
    (imported,) = import_folder(ws, file, "net", allow_code=True)
    assert (imported.flavor, len(imported.signature.inputs)) == ("torch", 4), "the file tells its columns"
    folder = fetch(ws, "net", dest=tmp_path / "out")
    for at in (tmp_path / "package", folder):
        loaded = load_package(at, engine="native", unpickle=digest_of_file(at / "model.pt2"))
        for rows in (X, X[:1]):
            np.testing.assert_allclose(loaded.predict(rows), expected[: len(rows)], rtol=1e-4, atol=1e-5)


def test_a_program_of_one_number_of_rows_is_refused(tmp_path: Path):
    program = torch.export.export(module(1).eval(), (torch.from_numpy(X[:5]),))
    with pytest.raises(InvalidInput, match="cannot export this ExportedProgram") as caught:
        package_model(program, X, tmp_path)
    assert "any number of rows" in str(caught.value.hint)
