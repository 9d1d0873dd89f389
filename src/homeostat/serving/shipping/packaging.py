"""A registered version as an image that serves it: written to a folder, without a daemon and without a network.

Layers, each of which changes less often than the next: Python (or a base image), the distributions, the environment of
the model's own if it has one, Homeostat, the model. What the image runs is `homeostat serve` on `/models`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.ids import new_id
from homeostat.core.paths import check_name
from homeostat.core.records import Record
from homeostat.core.version import VERSION
from homeostat.core.workspace import Workspace
from homeostat.registry import ModelVersion, fetch
from homeostat.serving.shipping import oci, second_python
from homeostat.serving.shipping.base import BaseImage, open_base
from homeostat.serving.shipping.distributions import SERVER, SITE, Shipped, closure, items_of
from homeostat.serving.shipping.dockerfile import ENVIRONMENT, REQUIREMENTS, dockerfile, requirements
from homeostat.serving.shipping.model_files import ModelFiles, model_files
from homeostat.serving.shipping.oci import Item, LayoutWriter
from homeostat.serving.shipping.sbom import Contents, bill_of_materials
from homeostat.serving.shipping.second_python import distributions_for, environment_items, pinned, python_of
from homeostat.serving.shipping.this_python import PYTHON, USER, library_items, python_items

_TMP = "/tmp"  # noqa: S108 - the image's own, which nobody else writes to
_ANYWHERE = "0.0.0.0"  # noqa: S104 - within the image's own network
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Image(Record):
    """A written image. `digest` is its manifest's: equal digests are equal images. `size` is what a push sends."""

    folder: str
    digest: str
    model: str
    version: int
    size: int
    layers: list[str]


def package_image(
    ws: Workspace,
    model: str,
    version: int | None = None,
    alias: str | None = None,
    *,
    to: str | os.PathLike[str],
    base: str | os.PathLike[str] | None = None,
    wheels: str | os.PathLike[str] | None = None,
    model_only: bool = False,
    use: str | os.PathLike[str] | None = None,
) -> Image:
    """Write a version of `model` into the new folder `to` as an image, with a bill of materials and a Dockerfile.

    `to/image` is an OCI image layout. It is built on `base`, an image layout with Python in it, or on the Python that
    runs here. The distributions come from the folder `wheels` as far as they lie there, else from this environment, in
    the versions that the model's environment recorded. With `model_only` it holds `/models` alone (on `base`, if there
    is one), as KServe mounts from `oci://`. The same version and environment give the same bytes.

    A pickled model is packaged only when a run of this workspace made it, and runs in a process of its own. One that
    declares an environment brings it, from the interpreter `use`, or from where this machine serves it.

    Raises: NotFound for the version or a distribution; Refused for a pickle from elsewhere, another version of a
    distribution, or an environment that is not here; InvalidInput when `to` is not empty, or the model has a name that
    nothing is served by.
    """
    folder = Path(to)
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} is not empty", hint="name a new folder")
    found: ModelVersion = ws.registry.get_version(model, version, alias)
    if not model_only:
        check_name(found.model, "name for a model that is served")  # the image serves it by that
    with tempfile.TemporaryDirectory(prefix="homeostat-image-") as scratch:
        mine = found.flavor not in ("mlflow", "other")
        fetched = fetch(ws, model, found.version, Path(scratch) / "model", form="package" if mine else "mlflow")
        files = model_files(ws, found, fetched)
        shelf = None if wheels is None else Path(wheels)
        own: list[Shipped] | None = None
        if files.needs is not None and not model_only:
            interpreter = None if use is None else Path(use)
            own = distributions_for(ws, files.needs, f"{model}/{found.version}", shelf, interpreter)
        with _whole(folder) as made:
            if base is None:
                image = _write(made, files, None, shelf, model_only, own)
            else:
                with open_base(Path(base), _architecture()) as opened:
                    image = _write(made, files, opened, shelf, model_only, own)
    return replace(image, folder=str(folder))


@contextmanager
def _whole(folder: Path) -> Generator[Path]:
    """A folder beside `folder` that takes its place at the end: what is refused or interrupted leaves nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.parent / f".{folder.name}-{new_id()}"
    made.mkdir()
    try:
        yield made
        made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(
    folder: Path, files: ModelFiles, base: BaseImage | None, wheels: Path | None, model_only: bool,
    own: list[Shipped] | None,
) -> Image:  # fmt: skip
    writer = LayoutWriter(folder / "image")
    layers = [] if base is None else [writer.adopt(base.blobs / one.digest[7:], one) for one in base.layers]
    shipped: list[Shipped] = []
    libraries: list[Item] = []
    python = platform.python_version()
    if not model_only:
        python = _python_of(base, files)
        minor = _minor(python)
        shipped = closure([*SERVER, *files.roots], files.locked, wheels, minor)
        items = [item for one in shipped for item in items_of(one)]
        second = [] if own is None else environment_items(own, python_of(base, python), python)
        if base is None:
            bottom = python_items()
            libraries = library_items([*bottom, *items, *second])
            layers.append(writer.add_layer([*bottom, *libraries]))
        layers.append(writer.add_layer(items))
        if second:
            layers.append(writer.add_layer(second))
        layers.append(writer.add_layer(_own_items()))
    layers.append(writer.add_layer(files.items()))
    command = _command(base, files, own is not None)
    version = files.version
    manifest = writer.add_json(
        {
            "schemaVersion": 2, "mediaType": oci.MANIFEST,
            "config": writer.add_json(_config(base, layers, command, files, model_only), oci.CONFIG).descriptor(),
            "layers": [layer.descriptor() for layer in layers],
            "annotations": _told(files),
        },
        oci.MANIFEST,
    )  # fmt: skip
    writer.finish(manifest, {"architecture": _architecture(), "os": "linux"}, str(version.version))
    contents = Contents(
        version=version, signature=files.signature, distributions=shipped, base="" if base is None else base.digest,
        files={name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.paths.items()},
        python=python if base is None and not model_only else "", environment=own or [],
        libraries=[item.path.rsplit("/", 1)[-1] for item in libraries],
    )  # fmt: skip
    text = json.dumps(bill_of_materials(contents, manifest.digest), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "sbom.cdx.json").write_text(text + "\n", encoding="utf-8")
    if not model_only:
        _for_people(folder, files, python, command, own)
    return Image(
        folder=str(folder), digest=manifest.digest, model=version.model, version=version.version,
        size=sum(layer.size for layer in layers), layers=[layer.digest for layer in layers],
    )  # fmt: skip


def _python_of(base: BaseImage | None, files: ModelFiles) -> str:
    """The Python that the image runs. Raises: Refused when the model or the distributions need another."""
    here = platform.python_version()
    python = here if base is None else base.environment.get("PYTHON_VERSION", here)
    ours, image = _minor(here), _minor(python)
    if ours != image:
        raise Refused(
            f"the distributions here are for Python {ours}, and the image has {image}",
            hint=f"take a base image with Python {ours} (`skopeo copy docker://python:{ours}-slim oci:base`) or none, "
            f"or run `homeostat package` where it is installed for Python {image}",
        )
    wanted = _minor(files.locked.get("python", python)) if files.pickled else image
    wanted = wanted if files.needs is None else _minor(files.needs.python)
    if wanted != image:
        raise Refused(
            f"the model was pickled by Python {wanted}, and the image has {image}",
            hint=f"run `homeostat package` with the same --home where it is installed for Python {wanted}, or log the "
            f"model again from Python {image}; one with an ONNX form that agrees is of no Python",
        )
    return python


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def serve_words(model: str) -> list[str]:
    """The arguments of `homeostat serve` in an image; what follows them counts instead."""
    return ["--model-dir", "/models", "--name", model, "--host", _ANYWHERE]


def _command(base: BaseImage | None, files: ModelFiles, second: bool) -> list[str]:
    python = PYTHON if base is None else "python3"
    words = [python, "-m", "homeostat.cli.main", "serve", *serve_words(files.version.model)]
    words += ["--allow-code"] if files.pickled else []
    return [*words, "--use", second_python.PYTHON] if second else words


def _config(
    base: BaseImage | None, layers: list[oci.Blob], command: list[str], files: ModelFiles, model_only: bool
) -> dict[str, Any]:
    before: dict[str, Any] = {} if base is None else base.config
    settings: dict[str, Any] = dict(before.get("config") or {})
    environment = {} if base is None else dict(base.environment)
    if not model_only:
        environment |= {
            "PYTHONPATH": f"/{SITE}", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "TMPDIR": _TMP,
        }  # fmt: skip
        if base is None:
            environment |= {"PATH": "/usr/local/bin", "LD_LIBRARY_PATH": "/usr/local/lib"}
        settings |= {
            "Entrypoint": command, "Cmd": ["--open"], "User": f"{USER}:{USER}", "ExposedPorts": {"8080/tcp": {}},
            "WorkingDir": _TMP, "StopSignal": "SIGTERM",
        }  # fmt: skip
    if environment:
        settings["Env"] = [f"{name}={value}" for name, value in environment.items()]
    settings["Labels"] = dict(settings.get("Labels") or {}) | _told(files)
    old = list(before.get("history") or [])
    added = len(layers) - (0 if base is None else len(base.layers))
    return {
        **{name: value for name, value in before.items() if name in ("os.version", "os.features", "variant")},
        "architecture": _architecture(), "os": "linux", "created": oci.CREATED, "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*old, *({"created": oci.CREATED, "created_by": f"homeostat {VERSION}"} for _ in range(added))],
    }  # fmt: skip


def _told(files: ModelFiles) -> dict[str, str]:
    version = files.version
    return {
        "org.opencontainers.image.title": version.model,
        "org.opencontainers.image.version": str(version.version),
        "io.homeostat.package": version.digest,
    }


def _own_items() -> list[Item]:
    """Homeostat itself, without its pages and examples."""
    root = Path(__file__).parents[2]
    return [
        Item(f"{SITE}/homeostat/{path.relative_to(root).as_posix()}", path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
        and path.relative_to(root).parts[0] not in ("web", "examples", "testing")
    ]  # fmt: skip


def _for_people(folder: Path, files: ModelFiles, python: str, command: list[str], own: list[Shipped] | None) -> None:
    minor = _minor(python)
    place = None if own is None else f"/{second_python.PLACE}"
    (folder / "Dockerfile").write_text(dockerfile(minor, command, place))
    if own is not None:
        (folder / ENVIRONMENT).write_text(pinned(own))
    (folder / REQUIREMENTS).write_text(requirements(files.locked, files.roots))
    for name, path in files.paths.items():
        target = folder / "models" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


def _architecture() -> str:
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURES:
        raise InvalidInput(f"images for {machine} are not made here", hint="amd64 and arm64 are")
    return _ARCHITECTURES[machine]
