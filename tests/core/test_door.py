from __future__ import annotations

import importlib

import pytest

import homeostat as hs
from homeostat.core.door import offered
from homeostat.core.slices import SLICES

DOORS = ["homeostat", *(f"homeostat.{name}" for name in SLICES)]


@pytest.mark.parametrize("package", DOORS)
def test_every_name_that_a_door_offers_is_there(package: str):
    module = importlib.import_module(package)
    names = offered(package)
    assert names
    for name, home in names.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
    assert set(names) <= set(dir(module))


def test_a_name_that_is_not_offered_says_what_is():
    with pytest.raises(AttributeError, match="has no attribute 'opne'; it offers .*open"):
        hs.opne  # noqa: B018


def test_private_names_are_not_looked_up():
    with pytest.raises(AttributeError, match="__path_of_nothing__"):
        hs.__path_of_nothing__  # noqa: B018
