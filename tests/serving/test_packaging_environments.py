"""Images of models with an environment of their own: the same bytes each time, and they serve by that environment."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.registry import log_model
from homeostat.serving import package_image
from homeostat.serving.shipping import oci, second_python
from tests.serving.conftest import features
from tests.serving.layouts import ImageLayout, write_base
from tests.serving.test_environments import MINOR, X, log
from tests.serving.test_packaging import HERE, MACHINE, bytes_of, few
from tests.serving.wheels import write_wheel

__all__ = ["few"]
SITE = f"opt/model/lib/python{MINOR}/site-packages"
PYTHON = f"usr/bin/python{MINOR}"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """The interpreter of an environment with NumPy, cloudpickle and what the model needs, as an installer leaves it."""
    venv.create(tmp_path / "second", symlinks=True)
    site = tmp_path / "second" / "lib" / f"python{MINOR}" / "site-packages"
    for name in ("numpy", "cloudpickle"):
        for file in metadata.distribution(name).files or []:
            source, target = Path(str(file.locate())), site / file
            if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
    info = site / "greeting-1.0.dist-info"
    info.mkdir()
    (site / "greeting.py").write_text("WORD = 'hello'\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\nLicense: MIT\n")
    (info / "RECORD").write_text("greeting.py,,\ngreeting-1.0.dist-info/METADATA,,\n")
    return tmp_path / "second" / "bin" / "python"


@pytest.fixture(autouse=True)
def _stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the compression would take long."""
    monkeypatch.setattr(oci, "_LEVEL", 0)


@pytest.fixture
def own(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hs.Workspace:
    log(ws, tmp_path, monkeypatch)
    return ws


def test_an_image_serves_by_the_environment_it_brings(own: hs.Workspace, second: Path, tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("images run on Linux")
    package_image(own, "own", to=tmp_path / "image", use=second)
    layout = ImageLayout(tmp_path / "image" / "image")
    assert len(layout.layers) == 5
    root = layout.extract(tmp_path / "root")
    # No container here: what names places of the image is told where it lies.
    settings = root / "opt" / "model" / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("home = /", f"home = {root}/"))
    config = layout.config["config"]
    words = [re.sub(r"^/", f"{root}/", word) for word in config["Entrypoint"]]
    environment = dict(one.split("=", 1) for one in config["Env"])
    environment = {name: re.sub(r"^/", f"{root}/", value) for name, value in environment.items()}
    (root / "tmp").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [words[0], "-S", *words[1:], *config["Cmd"], "--port", "0"],
        env=environment, cwd=root / "tmp", stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = ""
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if "own version 1 answers" in line:
                break
        found = re.search(r"data plane on http://\S+:(\d+)", said)
        assert found, said
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=300)
        connection.request("POST", "/v2/models/own/infer", json.dumps(features(X.tolist())))
        outputs = {output["name"]: output["data"] for output in json.load(connection.getresponse())["outputs"]}
        connection.close()
        assert outputs == {"sum": [3, 7], "word": ["hello"] * 2, "ours": [0, 0]}
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)


@pytest.mark.usefixtures("few")
def test_two_runs_give_the_same_bytes_and_everything_is_told(
    own: hs.Workspace, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_base(tmp_path / "base", HERE, MACHINE, file=PYTHON)
    first = package_image(own, "own", to=tmp_path / "first", base=base, use=second)
    words = ["package", "own", "--home", str(own.home), "--base", str(base), "--use", str(second)]
    assert main([*words, "--to", str(tmp_path / "second-image")]) == 0
    assert first.digest in capsys.readouterr().out
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "second-image")
    layout = ImageLayout(tmp_path / "first" / "image")
    entries = layout.entries(2)
    assert {"opt/model/pyvenv.cfg", f"{SITE}/greeting.py", f"{SITE}/numpy/__init__.py"} <= entries.keys()
    assert entries["opt/model/bin/python3"].linkname == f"../../../{PYTHON}"
    folders = [entry.mode for layer in range(1, 5) for entry in layout.entries(layer).values() if entry.isdir()]
    assert set(folders) == {0o755}, "whoever the image runs as gets to every file"
    assert not any(name.startswith("opt/homeostat/lib/greeting") for name in layout.entries(1))
    assert layout.config["config"]["Entrypoint"][-2:] == ["--use", second_python.PYTHON]
    parts = {
        part["name"]: part for part in json.loads((tmp_path / "first" / "sbom.cdx.json").read_text())["components"]
    }
    assert parts["greeting"]["purl"] == "pkg:pypi/greeting@1.0"
    assert parts["greeting"]["licenses"] == [{"license": {"name": "MIT"}}]
    dockerfile = (tmp_path / "first" / "Dockerfile").read_text()
    assert "RUN python -m venv --without-pip /opt/model" in dockerfile
    assert '"--use", "/opt/model/bin/python3"' in dockerfile
    lines = (tmp_path / "first" / "environment.txt").read_text().splitlines()
    assert lines == [f"{name}=={metadata.version(name)}" if name != "greeting" else "greeting==1.0"
                     for name in ("cloudpickle", "greeting", "numpy")]  # fmt: skip


@pytest.mark.usefixtures("few")
def test_wheels_are_an_environment_too(own: hs.Workspace, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", HERE, MACHINE, file=PYTHON)
    with pytest.raises(Refused, match="needs an environment of its own.*greeting==1.0 is missing"):
        package_image(own, "own", to=tmp_path / "none", base=base)
    shelf = tmp_path / "wheels"
    write_wheel(shelf, "greeting", "1.0", {"greeting.py": "WORD = 'hello'\n"})
    write_wheel(shelf, "greeting", "2.0", {"greeting.py": "WORD = 'no'\n"})
    with pytest.raises(NotFound, match="is needed in the image"):
        package_image(own, "own", to=tmp_path / "few", base=base, wheels=shelf)
    for name in ("numpy", "cloudpickle"):
        write_wheel(shelf, name, metadata.version(name), {f"{name}/__init__.py": ""})
    package_image(own, "own", to=tmp_path / "image", base=base, wheels=shelf)
    assert (tmp_path / "image" / "environment.txt").read_text().splitlines()[1] == "greeting==1.0"
    assert f"{SITE}/greeting-1.0.dist-info/METADATA" in ImageLayout(tmp_path / "image" / "image").entries(2)


@pytest.mark.usefixtures("few")
def test_what_has_no_place_in_the_image_is_refused(own: hs.Workspace, second: Path, tmp_path: Path) -> None:
    bare = write_base(tmp_path / "bare", HERE, MACHINE)
    with pytest.raises(InvalidInput, match=f"no python{MINOR} on the PATH of the base image"):
        package_image(own, "own", to=tmp_path / "image", base=bare, use=second)
    with pytest.raises(InvalidInput, match="cannot be used: greeting==1.0 is missing"):
        package_image(own, "own", to=tmp_path / "other", base=bare, use=sys.executable)
    listed = package_image(own, "own", to=tmp_path / "alone", model_only=True)
    assert "models/requirements.txt" in ImageLayout(Path(listed.folder) / "image").entries(0)


def test_a_folder_is_served_by_the_interpreter_that_is_named(
    own: hs.Workspace, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own.blobs.materialise_tree(own.registry.get_version("own").digest, tmp_path / "folder")
    words = ["serve", "--model-dir", str(folder), "--name", "own", "--port", "0", "--allow-code"]
    assert main(words) == Refused.exit_code
    told = capsys.readouterr().err
    assert "greeting==1.0 is missing" in told
    assert "--use DIR/bin/python" in told
    assert main([*words, "--use", sys.executable]) == Refused.exit_code
    assert "cannot be used: greeting==1.0 is missing" in capsys.readouterr().err
    process = subprocess.Popen(
        [sys.executable, "-m", "homeostat.cli.main", *words, "--use", sys.executable, "--use", str(second)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert any("own version 1 answers" in line for line in process.stderr)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)


@pytest.mark.usefixtures("few")
def test_what_the_server_has_is_carried_too(ws: hs.Workspace, tmp_path: Path) -> None:
    with hs.run("train", ws=ws) as run:
        log_model(ws, "plain", lambda rows: rows[:, 0], X, run_id=run.id, environment=["numpy"])
    base = write_base(tmp_path / "base", HERE, MACHINE, file=PYTHON)
    package_image(ws, "plain", to=tmp_path / "image", base=base)
    assert f"{SITE}/numpy/__init__.py" in ImageLayout(tmp_path / "image" / "image").entries(2)
