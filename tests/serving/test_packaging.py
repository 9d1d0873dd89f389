"""`homeostat package`: images that are the same bytes each time, that the specification allows, and that serve."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.linear_model import LogisticRegression

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.registry import rename_model
from homeostat.serving import package_image
from homeostat.serving.shipping import oci, packaging
from homeostat.serving.shipping.distributions import SERVER, Shipped, closure, items_of, normal
from homeostat.serving.shipping.model_files import model_files
from tests.serving.layouts import ImageLayout, write_base
from tests.serving.models import COLUMNS, register_logistic, register_pickle

WEIGHTS = np.array([0.5, -1.0, 0.25])
HERE = platform.python_version()
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64")
ROOT = Path(__file__).parents[2]
# What `test_an_image_answers` runs in the image's own Python, which sees nothing else of this machine's packages.
ASK = """
import sys
from pathlib import Path
import numpy as np
from homeostat.core.workspace import open as open_workspace
from homeostat.registry import import_folder
from homeostat.serving import deploy, get_deployment
from homeostat.serving.source import load_version
import homeostat.cli.serving, homeostat.serving.plane, homeostat.serving.model_server
with open_workspace(sys.argv[2]) as ws:
    (version,) = import_folder(ws, sys.argv[1], "churn")
    deploy(ws, "churn")
    loaded = load_version(ws, get_deployment(ws, "churn"), 1)
    print(loaded.runtime.name, loaded.compute(np.array([[1, 2, 3]], "<f4").tobytes())[0].tolist())
    print([name for name in sys.modules if name.split(".")[0] in ("polars", "pyarrow", "pandas", "sklearn")])
"""


@pytest.fixture
def churn(ws: hs.Workspace, tmp_path: Path) -> hs.Workspace:
    register_logistic(ws, tmp_path / "scratch", "churn", WEIGHTS)
    return ws


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images with three small distributions: how they are made does not depend on which."""
    monkeypatch.setattr(packaging, "SERVER", ("msgspec", "hpack", "starlette"))
    real = packaging.closure
    monkeypatch.setattr(
        packaging, "closure", lambda roots, *more: real([r for r in roots if r != "onnxruntime"], *more)
    )


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("model_only", [False, True])
def test_two_runs_give_the_same_bytes(churn: hs.Workspace, tmp_path: Path, model_only: bool):
    base = write_base(tmp_path / "base", HERE, MACHINE)
    first = package_image(churn, "churn", to=tmp_path / "first", base=base, model_only=model_only)
    os.utime(tmp_path / "scratch", (0, 0))
    second = package_image(churn, "churn", to=tmp_path / "elsewhere" / "second", base=base, model_only=model_only)
    assert first.digest == second.digest
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "elsewhere" / "second")


def test_a_model_only_image_is_what_the_specification_says(churn: hs.Workspace, tmp_path: Path):
    image = package_image(churn, "churn", to=tmp_path / "image", model_only=True)
    layout = ImageLayout(tmp_path / "image" / "image")
    assert image.digest == layout.described["digest"]
    assert layout.described["annotations"] == {"org.opencontainers.image.ref.name": "1"}
    entries = layout.entries(0)
    assert list(entries) == ["models", "models/model.json", "models/model.onnx", "models/sample.arrow"]
    assert {(e.mtime, e.uid, e.gid, e.uname, e.gname) for e in entries.values()} == {(0, 0, 0, "", "")}
    assert layout.config["config"]["Labels"]["org.opencontainers.image.title"] == "churn"
    assert "Entrypoint" not in layout.config["config"]


@pytest.mark.usefixtures("few")
def test_a_base_image_comes_first(churn: hs.Workspace, tmp_path: Path):
    base = write_base(tmp_path / "base", HERE, MACHINE)
    with tarfile.open(tmp_path / "base.tar", "w") as archive:
        archive.add(base, arcname=".")
    for number, source in enumerate((base, tmp_path / "base.tar")):
        package_image(churn, "churn", to=tmp_path / str(number), base=source)
        layout = ImageLayout(tmp_path / str(number) / "image")
        assert len(layout.layers) == 4
        assert list(layout.entries(0)) == ["bin/sh"]
        assert any(name.startswith("opt/homeostat/lib/msgspec/") for name in layout.entries(1))
        assert "opt/homeostat/lib/homeostat/cli/main.py" in layout.entries(2)
        assert not any(name.endswith(".pyc") for layer in range(4) for name in layout.entries(layer))
        config = layout.config["config"]
        assert config["Entrypoint"][:3] == ["python3", "-m", "homeostat.cli.main"]
        assert config["Cmd"] == ["--open"]
        assert config["User"] == "65532:65532"
        assert config["Labels"]["maintainer"] == "somebody"
        assert "PATH=/usr/bin" in config["Env"]
        assert "LD_LIBRARY_PATH=/usr/local/lib" not in config["Env"]


@pytest.mark.usefixtures("few")
def test_the_bill_of_materials_is_valid(churn: hs.Workspace, tmp_path: Path):
    base = write_base(tmp_path / "base", HERE, MACHINE)
    image = package_image(churn, "churn", to=tmp_path / "image", base=base)
    said = json.loads((tmp_path / "image" / "sbom.cdx.json").read_text())
    schema = json.loads((Path(__file__).parent / "schemas" / "cyclonedx-1.6.json").read_text())
    jsonschema.Draft7Validator(schema).validate(said)
    assert said["metadata"]["component"]["hashes"][0]["content"] == image.digest.removeprefix("sha256:")
    parts = {part["name"]: part for part in said["components"]}
    assert parts["churn"]["type"] == "machine-learning-model"
    assert [file["name"] for file in parts["churn"]["components"]] == ["model.json", "model.onnx", "sample.arrow"]
    assert [one["format"] for one in parts["churn"]["modelCard"]["modelParameters"]["inputs"]] == [
        f"{name}: FP32 [-1]" for name in COLUMNS
    ]
    assert parts["starlette"]["licenses"], "licences are told"
    needs = {one["ref"]: one["dependsOn"] for one in said["dependencies"]}
    assert any(ref.startswith("pkg:pypi/anyio@") for ref in needs[parts["starlette"]["purl"]])


@pytest.mark.usefixtures("few")
def test_people_get_a_dockerfile_of_the_same(churn: hs.Workspace, tmp_path: Path):
    package_image(churn, "churn", to=tmp_path / "image", base=write_base(tmp_path / "base", HERE, MACHINE))
    text = (tmp_path / "image" / "Dockerfile").read_text()
    assert f"FROM python:{'.'.join(HERE.split('.')[:2])}-slim\n" in text
    assert (
        'ENTRYPOINT ["python", "-m", "homeostat.cli.main", "serve", "--model-dir", "/models", "--name", "churn"' in text
    )
    assert "onnxruntime" in (tmp_path / "image" / "requirements.txt").read_text()
    copied = [line.split()[1] for line in text.splitlines() if line.startswith("COPY")]
    assert all((tmp_path / "image" / name).exists() for name in copied)


def test_an_image_answers_with_nothing_of_this_machine(
    churn: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The whole image, built on nothing: its own Python, its own libraries, its own packages."""
    monkeypatch.setattr(oci, "_LEVEL", 0)  # 200 MB: only the compression would take long
    if not sys.platform.startswith("linux"):
        pytest.skip("images run on Linux")
    package_image(churn, "churn", to=tmp_path / "image")
    root = ImageLayout(tmp_path / "image" / "image").extract(tmp_path / "root")
    library = root / "opt" / "homeostat" / "lib"
    done = subprocess.run(
        [root / "usr/local/bin/python3", "-S", "-c", ASK, root / "models", tmp_path / "home"],
        env={"PYTHONPATH": str(library), "LD_LIBRARY_PATH": str(root / "usr/local/lib"), "PATH": ""},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.strip().splitlines()
    assert first.startswith("onnxruntime [0.3208")
    assert second == "[]"


def test_a_pickle_is_packaged_only_when_it_was_made_here(ws: hs.Workspace, tmp_path: Path):
    model = LogisticRegression().fit(np.eye(3), [0, 1, 0])
    register_pickle(ws, tmp_path, "foreign", model, None)
    with pytest.raises(Refused, match="no run of this workspace"):
        package_image(ws, "foreign", to=tmp_path / "image", model_only=True)
    run = ws.tracking.create_run(name="training")
    register_pickle(ws, tmp_path / "more", "own", model, run.id)
    package_image(ws, "own", to=tmp_path / "image", model_only=True)
    assert "models/model.pkl" in ImageLayout(tmp_path / "image" / "image").entries(0)


def test_a_booster_brings_the_distribution_that_it_was_made_with(ws: hs.Workspace, tmp_path: Path):
    lightgbm = pytest.importorskip("lightgbm")
    rows = np.random.default_rng(0).normal(size=(60, 3))
    data = lightgbm.Dataset(rows, (rows[:, 0] > 0).astype(int))
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_leaves": 4}, data, 2)
    version = hs.log_model(ws, "trees", booster, rows, onnx=False)
    files = model_files(ws, version, ws.blobs.materialise_tree(version.digest, tmp_path / "package"))
    assert (files.roots, files.pickled) == (["lightgbm"], False)
    assert files.locked["lightgbm"] == lightgbm.__version__


def test_what_cannot_be_packaged_is_refused(churn: hs.Workspace, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InvalidInput, match="not empty"):
        package_image(churn, "churn", to=tmp_path / "full")
    rename_model(churn, "churn", "Churn (2024)")
    with pytest.raises(InvalidInput, match="is not a valid name for a model that is served"):
        package_image(churn, "Churn (2024)", to=tmp_path / "a")
    assert package_image(churn, "Churn (2024)", to=tmp_path / "mounted", model_only=True).version == 1
    rename_model(churn, "Churn (2024)", "churn")
    with pytest.raises(NotFound, match="no base image"):
        package_image(churn, "churn", to=tmp_path / "a", base=tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="not an OCI image layout"):
        package_image(churn, "churn", to=tmp_path / "b", base=tmp_path / "full")
    other = write_base(tmp_path / "other", HERE, "riscv64")
    with pytest.raises(InvalidInput, match="not for linux"):
        package_image(churn, "churn", to=tmp_path / "c", base=other)
    old = write_base(tmp_path / "old", "3.4.1", MACHINE)
    with pytest.raises(Refused, match=r"the image has 3\.4\n  → take a base image with Python 3\.[0-9]+ "):
        package_image(churn, "churn", to=tmp_path / "d", base=old)
    damaged = write_base(tmp_path / "damaged", HERE, MACHINE, nested=False)
    for path in (damaged / "blobs" / "sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(b"other")
    with pytest.raises(InvalidInput, match="damaged"):
        package_image(churn, "churn", to=tmp_path / "e", base=damaged)
    assert not [path for path in tmp_path.iterdir() if path.name.lstrip(".")[:1] in "abcde" and path != damaged]


@pytest.mark.usefixtures("few")
def test_an_interrupted_image_leaves_nothing(churn: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(packaging, "bill_of_materials", interrupted)  # when all layers are written
    assert main(["package", "churn", "--home", str(churn.home), "--to", str(tmp_path / "out" / "image")]) == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_a_model_of_another_python_says_where_to_package_it(
    ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with hs.run("train", ws=ws) as run:
        register_pickle(ws, tmp_path / "scratch", "old", LogisticRegression().fit([[0.0], [1.0]], [0, 1]), run.id)
    real = packaging.model_files
    monkeypatch.setattr(
        packaging, "model_files", lambda *a: replace(real(*a), locked={**real(*a).locked, "python": "3.4.1"})
    )
    with pytest.raises(Refused, match=r"by Python 3\.4, and the image has 3\.[0-9]+\n  → run `homeostat package` with"):
        package_image(ws, "old", to=tmp_path / "a")


def wheel(folder: Path, name: str, version: str, tag: str, requires: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{name}-{version}.data/purelib/{name}/more.py", "")
        archive.writestr(f"{name}-{version}.data/scripts/run", "#!python")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_wheels_come_before_what_is_installed(tmp_path: Path):
    shelf = tmp_path / "wheels"
    wheel(shelf, "first", "1.0", "py3-none-any", "Requires-Dist: second>=1\nRequires-Dist: third; extra == 'x'\n")
    wheel(shelf, "second", "2.0", f"cp311-cp311-manylinux_2_28_{platform.machine()}")
    wheel(shelf, "second", "3.0", "cp311-cp311-win_amd64")
    wheel(shelf, "second", "4.0", f"cp312-cp312-manylinux_2_28_{platform.machine()}")
    wheel(shelf, "stable", "1.0", f"cp38-abi3-manylinux_2_28_{platform.machine()}")
    found = closure(["First", "stable"], {}, shelf, "3.11")
    assert [(one.name, one.version) for one in found] == [("first", "1.0"), ("second", "2.0"), ("stable", "1.0")]
    assert sorted(item.path for item in items_of(found[0])) == [
        "opt/homeostat/lib/first-1.0.dist-info/METADATA",
        "opt/homeostat/lib/first/__init__.py",
        "opt/homeostat/lib/first/more.py",
    ]
    with pytest.raises(NotFound, match="nowhere"):
        closure(["nowhere"], {}, shelf, "3.11")
    with pytest.raises(Refused, match=r"msgspec 0\.0\.1"):
        closure(["msgspec"], {"msgspec": "0.0.1"}, shelf, "3.11")
    wheel(shelf, "msgspec", "0.0.1", f"cp311-cp311-manylinux_2_28_{platform.machine()}")
    (mine,) = closure(["msgspec"], {"msgspec": "0.0.1"}, shelf, "3.11")
    assert isinstance(mine, Shipped)
    assert mine.wheel is not None


def test_the_server_in_an_image_has_all_that_homeostat_requires():
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {normal(one.split(">")[0]) for one in said}
    assert set(SERVER) == declared | {"numpy"}


def test_the_command(churn: hs.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    churn.registry.set_alias("churn", "champion", 1)
    home = ["--home", str(churn.home), "--model-only", "--to"]
    assert main(["package", "churn@champion", *home, str(tmp_path / "one")]) == 0
    told = capsys.readouterr().out
    assert main(["package", "churn/1", *home, str(tmp_path / "two")]) == 0
    assert "churn version 1: 1 layers" in told
    assert told.splitlines()[1].split()[0] in capsys.readouterr().out
    assert main(["package", "churn/x", *home, str(tmp_path / "three")]) == InvalidInput.exit_code
