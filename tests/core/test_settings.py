from __future__ import annotations

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.core.settings import SETTINGS, Settings


def test_defaults_hold_where_nothing_is_said():
    settings = Settings({})
    assert {s.name: getattr(settings, s.name) for s in SETTINGS} == {s.name: s.default for s in SETTINGS}


def test_defaults_are_of_their_type_and_have_help():
    for setting in SETTINGS:
        assert type(setting.default) is setting.kind
        assert setting.help


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("HOMEOSTAT_PORT", "5001", "port", 5001),
        ("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "1", "allow_private_hooks", True),
        ("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "Yes", "allow_private_hooks", True),
        ("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "off", "allow_private_hooks", False),
        ("HOMEOSTAT_HOME", "/data", "home", "/data"),
    ],
)
def test_the_environment_overrides(variable: str, text: str, name: str, value: object):
    assert getattr(Settings({variable: text}), name) == value


@pytest.mark.parametrize(("variable", "text"), [("HOMEOSTAT_PORT", "many"), ("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "maybe")])
def test_a_wrong_value_is_refused_with_its_name_and_default(variable: str, text: str):
    with pytest.raises(InvalidInput, match=f"{variable}='{text}' is not a") as caught:
        Settings({variable: text})
    assert "the default is" in caught.value.hint


def test_a_wrong_value_is_refused_when_a_workspace_opens(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEOSTAT_MAX_BODY_MB", "big")
    with pytest.raises(InvalidInput, match="HOMEOSTAT_MAX_BODY_MB"):
        hs.open(tmp_path)


def test_there_is_no_setting_outside_the_table():
    with pytest.raises(AttributeError, match="there is no setting 'colour'"):
        Settings({}).colour  # noqa: B018
