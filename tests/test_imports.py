"""What loading costs, held in a fresh interpreter."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core import engines
from homeostat.core.schema import all_tables
from homeostat.core.slices import SLICES, STORES

HEAVY = ("numpy", "pandas", "pyarrow", "polars", "sqlalchemy", "alembic", "starlette", "uvicorn", "lightgbm", "sklearn",
         "onnxruntime", "deltalake", "optuna", "rich", "yaml")  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """The modules in a fresh interpreter after `code`."""
    script = f"import sys\n{code}\nsys.stderr.write('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split("\n"))


def heavy(modules: set[str]) -> list[str]:
    return sorted(modules & set(HEAVY))


def test_importing_homeostat_is_cheap():
    modules = loaded_by("import homeostat as hs")
    assert heavy(modules) == []
    assert len(modules) <= 250


def test_help_is_cheap():
    modules = loaded_by("from homeostat.cli.main import main\nmain(['--help'])")
    assert heavy(modules) == []
    assert len(modules) <= 300


def test_the_public_names_are_cheap_to_list():
    assert heavy(loaded_by("import homeostat\ndir(homeostat)")) == []


def test_a_server_that_starts_computes_nothing_yet(tmp_path: Path):
    modules = loaded_by(
        "import homeostat as hs, homeostat.server.up\n"
        "from homeostat.server.app import make_app\n"
        f"make_app(hs.open({str(tmp_path / 'home')!r}), '127.0.0.1')"
    )
    needed = {"sqlalchemy", "starlette", "uvicorn"}
    assert set(heavy(modules)) - needed == set()


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_and_its_records_are_light(name: str):
    assert heavy(loaded_by(f"import homeostat.{name}, homeostat.{name}.model")) == []


@pytest.mark.parametrize("table", ["DATABASES", "BLOBS", "EXECUTORS"])
def test_every_engine_that_is_named_can_be_loaded(table: str):
    for target in getattr(engines, table).values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_every_store_declares_tables_of_its_own_slice():
    before: set[str] = set()
    for module in STORES:
        importlib.import_module(module)
    for name in all_tables().tables:
        prefix = name.split("_")[0]
        assert prefix in {*SLICES, "core", "homeostat"}, f"the table {name} belongs to no slice"
    assert before <= set(all_tables().tables)


@pytest.mark.parametrize("name", SLICES)
def test_a_slice_that_has_a_store_lists_it(name: str):
    found = importlib.util.find_spec(f"homeostat.{name}.store")
    if found is None:
        pytest.skip(f"{name} keeps nothing in the database")
    assert f"homeostat.{name}.store" in STORES


def test_the_version_is_the_one_that_is_installed():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == hs.__version__
