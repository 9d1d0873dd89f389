"""A version's files as an image carries them, and what it takes to run them."""

from __future__ import annotations

from pathlib import Path

from homeostat.core.errors import Refused
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.registry import ModelVersion, Signature, build_package, made_here, read_layout
from homeostat.serving.environments import Needs, needs_of
from homeostat.serving.package import MANIFEST, read_package
from homeostat.serving.shipping.distributions import normal
from homeostat.serving.shipping.oci import Item

MODELS = "models"
_BOOSTERS = ("lightgbm", "xgboost", "catboost")  # data, which no process of its own has to load


class ModelFiles(Record):
    """`paths` are the files by their names below `/models`; `roots` the distributions that running them takes,
    `locked` the versions that the model's environment recorded; `pickled` says that a process must load code. With
    `needs`, that process runs in an environment of its own."""

    version: ModelVersion
    paths: dict[str, Path]
    roots: list[str]
    locked: dict[str, str]
    signature: Signature
    pickled: bool
    needs: Needs | None = None

    def items(self) -> list[Item]:
        """As a layer."""
        return [Item(f"{MODELS}/{name}", path) for name, path in self.paths.items()]


def model_files(ws: Workspace, version: ModelVersion, folder: Path) -> ModelFiles:
    """What `folder`, to which the version was fetched, brings along.

    Raises: Refused for a pickle that no run of this workspace has made, or for a version that lies elsewhere.
    """
    if version.flavor == "graph":
        raise Refused(f"version {version.version} of '{version.model}' is a graph of models, which asks others",
                      hint="package each of its members")  # fmt: skip
    if version.flavor == "other":
        raise Refused(f"version {version.version} of '{version.model}' lies at {version.source}",
                      hint="import its folder with `homeostat import folder`")  # fmt: skip
    locked: dict[str, str] = {}
    for one in version.environment:
        name, pinned, number = one.partition("==")
        if pinned:
            locked[normal(name.partition("[")[0].strip())] = number.partition(";")[0].strip()
    form = _form(version, folder)
    pickled = form not in ("onnx", *_BOOSTERS)
    if pickled and not made_here(ws, version):
        what = "code" if form == "pyfunc" else "a pickle"
        raise Refused(
            f"version {version.version} of '{version.model}' is {what} that no run of this workspace has made",
            hint="register it from a run, or with an ONNX form that agrees with it",
        )
    needs = None
    if form == "pyfunc" and version.flavor == "mlflow":
        made = folder.with_name(f"{folder.name}-package")
        build_package(read_layout(folder)[0], made, allow_code=True)
        folder = made
    if (folder / MANIFEST).is_file():
        needs = needs_of(folder, read_package(folder))
    # XGBoost comes as two distributions: the one that the model's environment has.
    boosters = [name for name in locked if name.startswith(form)] or [form]
    roots = ["onnxruntime"] if form == "onnx" else boosters
    if pickled:
        words = version.signature.tensor is None
        roots = ["cloudpickle", *([] if not words else ["polars", "pandas", "pyarrow"])]
        roots += [name for name in locked if name not in ("python", "onnxruntime")]
    if needs is not None:  # the server itself asks the model's own process, and no more
        roots, locked = ["numpy"], {}
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return ModelFiles(
        version=version, paths=files, roots=sorted(set(roots)), locked=locked, signature=version.signature,
        pickled=pickled, needs=needs,
    )  # fmt: skip


def _form(version: ModelVersion, folder: Path) -> str:
    if version.flavor == "mlflow":
        return read_layout(folder)[0].form
    if version.onnx.file is not None or version.flavor == "onnx":
        return "onnx"
    if version.flavor == "pyfunc":
        return "pyfunc"
    return version.flavor if version.flavor in _BOOSTERS else "pickle"
