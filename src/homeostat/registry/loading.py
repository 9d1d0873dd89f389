"""From a package to predictions. ONNX graphs and LightGBM's text are data and load anywhere; a pickle is a program.

A pickle is therefore loaded only by a process that exists to run the model's code (`unpickle`), and only when its
content is what this workspace recorded.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from homeostat.core.blobs import digest_of, digest_of_file
from homeostat.core.errors import Corrupt, InvalidInput, Refused
from homeostat.core.extras import require
from homeostat.core.paths import inside
from homeostat.core.workspace import Workspace
from homeostat.registry import skops_form
from homeostat.registry.catboost_form import answer_of_catboost, categories, load_catboost
from homeostat.registry.estimators import answer_of_booster, load_lightgbm
from homeostat.registry.files import fetch
from homeostat.registry.manifest import MANIFEST, parse_manifest
from homeostat.registry.model import ModelVersion, Package
from homeostat.registry.onnx_form import session
from homeostat.registry.python_form import ARTIFACTS, answer_of, answer_of_own, in_order, open_own
from homeostat.registry.samples import matrix
from homeostat.registry.torch_answer import answer_of_torch, load_torch
from homeostat.registry.xgboost_form import answer_of_xgboost, load_xgboost

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

Engine = Literal["onnx", "native"]


class LoadedModel:
    """A model ready to answer. `package` says what it is, `engine` which form of it answers.

    `original` is the model itself (the booster, the estimator) where that form answers, None for a graph.
    """

    def __init__(
        self, package: Package, folder: Path, engine: Engine, predict: Any, original: Any = None, by_name: bool = False
    ) -> None:
        self.original = original
        self.package = package
        self.folder = folder
        self.engine: Engine = engine
        self._predict = predict
        self._by_name = by_name

    def predict(self, features: Any) -> np.ndarray[Any, Any]:
        """Predictions for rows: an array [n, k] in the signature's order, or a table with its columns by name.

        Gives [n]: the probability of the positive class, or the prediction; [n, classes] for more classes. Of a model
        with several outputs it is the first; `answers` gives all of them.

        Raises: InvalidInput for another number of columns, or a column that is not there.
        """
        return self.answers(features)[0]

    def answers(self, features: Any) -> list[np.ndarray[Any, Any]]:
        """As `predict`, every output, in the signature's order."""
        np, pl = require("numpy", extra="ml"), require("polars", extra="ml")
        names = [field.name for field in self.package.signature.inputs]
        if not isinstance(features, np.ndarray):
            table = features if isinstance(features, pl.DataFrame) else pl.DataFrame(features)
            missing = [name for name in names if name not in table.columns]
            if missing:
                raise InvalidInput(f"column '{missing[0]}' is missing", hint=f"the model takes {', '.join(names)}")
            table = table.select(names)
            if self.package.signature.tensor is None:
                return self._in_order(table.to_pandas())
            features = matrix(table)
        if features.ndim != 2 or features.shape[1] != len(names):
            raise InvalidInput(f"features have shape {features.shape}; the model takes {len(names)} columns")
        if self._by_name:
            import pandas as pd

            features = pd.DataFrame(features, columns=names)
        return self._in_order(features)

    def _in_order(self, rows: Any) -> list[np.ndarray[Any, Any]]:
        import numpy as np

        answer = self._predict(rows)
        if self.package.flavor != "python":
            return [np.asarray(answer)]
        return in_order(answer, [field.name for field in self.package.signature.outputs], len(rows))

    def sample(self) -> pl.DataFrame | None:
        """The rows of input kept with the model."""
        pl = require("polars", extra="ml")
        return None if self.package.sample is None else pl.read_ipc(inside(self.folder, self.package.sample))


def load_package(
    folder: str | os.PathLike[str], *, engine: Engine | None = None, unpickle: str | None = None
) -> LoadedModel:
    """The model in a package's folder, as ONNX where that agrees with the original, else in its own form.

    `engine` insists on one form. `unpickle` is the recorded digest of the pickled file: passing it says that this
    process may run the model's code.

    Raises: Refused for a pickle without `unpickle`; Corrupt when its content is not what was recorded.
    """
    root = Path(folder)
    package = parse_manifest((root / MANIFEST).read_bytes())
    if package.flavor == "graph":
        raise Refused("this is a graph of models: the data plane answers it", hint="load its members, or ask the plane")
    if engine != "native" and package.onnx.file is not None:
        graph = inside(root, package.onnx.file).read_bytes()
        return LoadedModel(package, root, "onnx", session(graph, len(package.signature.outputs[-1].shape)))
    if engine == "onnx":
        raise Refused(f"there is no ONNX form of this model: {package.onnx.reason}", hint="leave out engine='onnx'")
    data = inside(root, package.file).read_bytes()
    if package.flavor == "lightgbm":
        booster = load_lightgbm(data.decode())
        return LoadedModel(package, root, "native", answer_of_booster(booster), booster)
    if package.flavor == "xgboost":
        booster = load_xgboost(data)
        return LoadedModel(package, root, "native", answer_of_xgboost(booster), booster)
    if package.flavor == "catboost":
        model = load_catboost(data)
        return LoadedModel(package, root, "native", answer_of_catboost(model), model, bool(categories(model)))
    if package.flavor == "torch":
        module = load_torch(_allowed(data, package, unpickle))
        return LoadedModel(package, root, "native", answer_of_torch(module), module)
    if package.file == skops_form.FILE:
        estimator = skops_form.load_skops(data, trusted=unpickle is not None and digest_of(data) == unpickle)
    else:
        estimator = pickle.loads(_allowed(data, package, unpickle))  # noqa: S301 - allowed by the caller
    by_name = hasattr(estimator, "feature_names_in_") or package.signature.tensor is None
    if package.flavor == "python":
        artifacts = root / ARTIFACTS
        estimator = open_own(estimator, artifacts if artifacts.is_dir() else None)
        return LoadedModel(package, root, "native", answer_of_own(estimator), estimator, by_name)
    return LoadedModel(package, root, "native", answer_of(estimator), estimator, by_name)


def load_model(
    ws: Workspace,
    model: str,
    version: int | None = None,
    alias: str | None = None,
    *,
    engine: Engine | None = None,
    unpickle: bool = False,
) -> LoadedModel:
    """A registered version, ready to answer; its files are kept in the workspace's home and fetched once.

    `unpickle=True` lets this process run the code of a pickled model that this workspace recorded: for scripts and
    workers, never for a server.
    """
    found = ws.registry.get_version(model, version, alias)
    folder, file = fetched_package(ws, found)
    return load_package(folder, engine=engine, unpickle=found.files[file] if unpickle else None)


def sample_of(ws: Workspace, model: str, version: int | None = None) -> pl.DataFrame | None:
    """The rows of input kept with a version, or None. Nothing of the model is loaded.

    Raises: NotFound; Refused for a version that is no package of ours.
    """
    pl = require("polars", extra="ml")
    folder, _ = fetched_package(ws, ws.registry.get_version(model, version))
    sample = parse_manifest((folder / MANIFEST).read_bytes()).sample
    return None if sample is None else pl.read_ipc(inside(folder, sample))


def fetched_package(ws: Workspace, found: ModelVersion) -> tuple[Path, str]:
    """Where a version's files lie on this machine, fetched once, and the name of the model itself among them.

    Raises: Refused for a version that is no package of ours.
    """
    if found.flavor in ("mlflow", "other"):
        raise Refused(
            f"version {found.version} of '{found.model}' is no package of ours: it lies at {found.source}",
            hint=f"mlflow.pyfunc.load_model('models:/{found.model}/{found.version}') in a process of your own",
        )
    folder = ws.home / "cache" / "models" / found.digest
    if not _intact(folder, found):
        # Fetched beside and moved: never half there, and two processes may do it at once.
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
            fresh = fetch(ws, found.model, found.version, Path(scratch) / "package")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                fresh.rename(folder)
            except OSError:
                if not _intact(folder, found):  # otherwise another process was faster
                    raise
    return folder, parse_manifest((folder / MANIFEST).read_bytes()).file


def _intact(folder: Path, version: ModelVersion) -> bool:
    return all(
        (folder / name).is_file() and digest_of_file(folder / name) == digest for name, digest in version.files.items()
    )


def _allowed(data: bytes, package: Package, recorded: str | None) -> bytes:
    """`data`, when this process may run it and it is what was recorded."""
    if recorded is None:
        raise Refused(
            f"'{package.file}' is a pickle, and loading one runs code",
            hint="load_model(ws, …, unpickle=True) in a process of your own, if you trust whoever registered it",
        )
    if digest_of(data) != recorded:
        raise Corrupt(f"'{package.file}' is not what was registered", hint="fetch the version again")
    return data
