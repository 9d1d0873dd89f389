"""scikit-learn models without a pickle, and arrays as safetensors."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import InvalidInput, Refused
from homeostat.registry import load_package, package_model
from homeostat.registry.safetensors import read_safetensors, write_safetensors
from homeostat.registry.skops_form import is_harmless, load_skops, types_of
from tests.registry.own_code import Doubled, first_column

X = np.random.default_rng(2).normal(size=(120, 3))
Y = X[:, 0] > 0


def test_a_pipeline_is_kept_and_loaded_without_a_pickle(tmp_path: Path):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    package = package_model(model, X, tmp_path / "a", pickled=False)
    assert (package.flavor, package.file, package.runs_code) == ("sklearn", "model.skops", False)
    assert any(line.startswith("skops==") for line in package.environment)
    assert not list((tmp_path / "a").glob("*.pkl"))
    # No `unpickle`: nothing of the file's making runs.
    got = load_package(tmp_path / "a", engine="native").predict(X)
    np.testing.assert_allclose(got, model.predict_proba(X)[:, 1], atol=1e-12)
    package_model(model, X, tmp_path / "b", pickled=False)
    assert (tmp_path / "a" / "model.skops").read_bytes() == (tmp_path / "b" / "model.skops").read_bytes()


def test_trees_are_loaded_only_by_who_trusts_them(tmp_path: Path):
    model = RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, Y)
    package_model(model, X, tmp_path, pickled=False)
    file = tmp_path / "model.skops"
    assert "sklearn.tree._tree.Tree" in types_of(file.read_bytes()) and not is_harmless(file.read_bytes())
    with pytest.raises(Refused, match=r"sklearn\.tree\._tree\.Tree"):
        load_package(tmp_path, engine="native")
    loaded = load_package(tmp_path, engine="native", unpickle=digest_of_file(file))
    np.testing.assert_allclose(loaded.predict(X), model.predict_proba(X)[:, 1], atol=1e-12)


def test_what_skops_cannot_keep_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"own_code\.Doubled"):
        package_model(Doubled().fit(X, Y), X, tmp_path / "a", pickled=False)
    with pytest.raises(InvalidInput, match="can only be kept as a pickle"):
        package_model(first_column, X, tmp_path / "b", pickled=False)


def test_a_file_that_names_a_program_is_not_loaded(tmp_path: Path):
    package_model(LogisticRegression().fit(X, Y), X, tmp_path, pickled=False)
    with zipfile.ZipFile(tmp_path / "model.skops") as file:
        schema = json.loads(file.read("schema.json"))
    schema.update({"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": "os.system"})
    forged = io.BytesIO()
    with zipfile.ZipFile(forged, "w") as file:
        file.writestr("schema.json", json.dumps(schema))
    with pytest.raises((Refused, InvalidInput)):
        load_skops(forged.getvalue(), trusted=False)
    with pytest.raises(InvalidInput, match="not a model of skops"):
        load_skops(b"no zip", trusted=False)


KINDS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4"]


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 4), max_size=3)),
        max_size=4,
    )
)
@settings(max_examples=50, deadline=None)
def test_arrays_come_back_as_they_went(shapes: dict[str, tuple[str, list[int]]]):
    lot = np.random.default_rng(0)
    arrays = {name: (lot.normal(size=shape) * 100).astype(kind) for name, (kind, shape) in shapes.items()}
    data = write_safetensors(arrays)
    found = read_safetensors(data)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape
    assert write_safetensors(dict(reversed(arrays.items()))) == data


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_a_broken_file_is_refused(noise: bytes):
    whole = write_safetensors({"w": np.ones(3, "f4")})
    for data in (noise, whole[:-1], whole[:20], whole[:8] + noise + whole[8 + len(noise) :]):
        try:
            read_safetensors(data)
        except InvalidInput:
            continue
        assert data not in (whole[:-1], whole[:20])


def test_half_floats_of_the_other_kind_are_widened():
    head = json.dumps({"b": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    data = len(head).to_bytes(8, "little") + head + np.array([0x3F80, 0xC000], "<u2").tobytes()
    assert read_safetensors(data)["b"].tolist() == [1.0, -2.0]
    with pytest.raises(InvalidInput, match="complex128"):
        write_safetensors({"c": np.zeros(1, complex)})
