"""Python classes as models: files that come along, one object for whoever loads them, several outputs by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.registry import fetch, import_folder, log_model, package_model
from homeostat.registry.python_form import answer_of_own, in_order
from tests.registry.own_code import Scaled

ROWS = np.array([[1.5, 0.0], [-2.0, 1.0]])


@pytest.fixture
def factor(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "deep").mkdir(parents=True)
    (folder / "factor.txt").write_text("3")
    (folder / "deep" / "more.txt").write_text("more")
    return folder


def asked(ws: hs.Workspace, model: str) -> dict[str, Any]:
    loaded = hs.load_model(ws, model, unpickle=True)
    names = [field.name for field in loaded.package.signature.outputs]
    return {name: array.tolist() for name, array in zip(names, loaded.answers(ROWS), strict=True)}


WANTED = {"scaled": [4.5, -6.0], "rank": [1, -2], "word": ["up", "down"], "loads": [1, 1]}


def test_a_class_is_kept_with_its_files_and_made_by_whoever_loads_it(ws: hs.Workspace, factor: Path):
    version = log_model(ws, "scaled", Scaled, ROWS, artifacts=factor)
    assert version.flavor == "python"
    assert [(field.name, field.dtype, field.shape) for field in version.signature.outputs] == [
        ("scaled", "FP32", [-1]), ("rank", "INT64", [-1]), ("word", "BYTES", [-1]), ("loads", "INT64", [-1]),
    ]  # fmt: skip
    assert {"artifacts/factor.txt", "artifacts/deep/more.txt"} < set(version.files)
    assert asked(ws, "scaled") == WANTED
    np.testing.assert_array_equal(hs.load_model(ws, "scaled", unpickle=True).predict(ROWS), [4.5, -6.0])


def test_files_by_name_go_where_they_are_called(ws: hs.Workspace, factor: Path):
    named = {"factor.txt": factor / "factor.txt", "all": factor}
    version = log_model(ws, "scaled", Scaled, ROWS, artifacts=named)
    assert {"artifacts/factor.txt", "artifacts/all/deep/more.txt"} < set(version.files)
    assert asked(ws, "scaled") == WANTED


def test_a_package_brings_its_files_to_another_workspace(ws: hs.Workspace, factor: Path, tmp_path: Path):
    package_model(Scaled, ROWS, tmp_path / "package", artifacts=factor)
    import_folder(ws, tmp_path / "package", "ours", allow_code=True)
    assert asked(ws, "ours") == WANTED
    # And as the folder that MLflow reads, on the way out and back.
    fetch(ws, "ours", 1, tmp_path / "mlflow", form="mlflow")
    import_folder(ws, tmp_path / "mlflow", "theirs", allow_code=True)
    assert asked(ws, "theirs") == WANTED


def test_without_files_load_is_told_so(tmp_path: Path):
    class Alone:
        def load(self, folder: Path | None) -> None:
            self.folder = folder

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return np.full(len(rows), 1.0 if self.folder is None else 0.0)

    package = package_model(Alone, ROWS, tmp_path / "p")
    assert [field.name for field in package.signature.outputs] == ["prediction"]


@pytest.mark.parametrize(
    "given",
    [
        {"a": [1.0, 2.0], "b": np.array(["x", "y"])},
        pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
        pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
        np.array([(1.0, "x"), (2.0, "y")], dtype=[("a", "f8"), ("b", "U1")]),
    ],
    ids=["dict", "pandas", "polars", "records"],
)
def test_whatever_names_its_columns_gives_several_outputs(given: Any, tmp_path: Path):
    package = package_model(lambda rows: given, ROWS, tmp_path / "p")
    assert [(field.name, field.dtype) for field in package.signature.outputs] == [("a", "FP32"), ("b", "BYTES")]
    answer = answer_of_own(lambda rows: given)(ROWS)
    assert [array.tolist() for array in in_order(answer, ["b", "a"], 2)] == [["x", "y"], [1.0, 2.0]]


def test_what_a_class_cannot_do_is_said(factor: Path, tmp_path: Path):
    class Needy:
        def __init__(self, size: int) -> None: ...

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, 0]

    class Mute: ...

    class Short:
        def predict(self, rows: np.ndarray) -> dict[str, Any]:
            return {"a": rows[:, 0], "b": rows[:1, 0]}

    for number, (kind, files, reason) in enumerate([
        (Needy, None, r"no .*Needy can be made: TypeError"),
        (Mute, None, r"Mute has no method predict"),
        (Scaled, None, r"no Scaled can be made"),
        (Short, None, r"gives 1 predictions for 2 rows as 'b'"),
        (lambda rows: {}, None, "gives no output"),
        (lambda rows: rows[:, 0], factor, "files come along with a class"),
        (Scaled, factor / "nothing", "there is no folder .*nothing"),
        (Scaled, {"../up": factor}, "up"),
        (lambda rows: pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), None, "two outputs of one name"),
    ]):  # fmt: skip
        with pytest.raises(InvalidInput, match=reason):
            package_model(kind, ROWS, tmp_path / str(number), artifacts=files)


def test_an_answer_that_is_not_what_was_registered_is_refused():
    with pytest.raises(InvalidInput, match="did not give its output 'b'"):
        in_order({"a": np.ones(2), "c": np.ones(2)}, ["a", "b"], 2)
    with pytest.raises(InvalidInput, match="gave 3 as 'a' for 2 rows"):
        in_order(np.ones(3), ["a"], 2)
    with pytest.raises(InvalidInput, match="one array for its 2 outputs"):
        in_order(np.ones(2), ["a", "b"], 2)
