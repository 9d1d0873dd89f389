"""docs/mlflow.md lists every public method, and what it says of each is so."""

from __future__ import annotations

from tests.mlflow.client import Client
from tests.mlflow.coverage import ASK, PAGE, public_names, rows, shows, sources_of_tests, verdict


def test_every_public_method_is_listed(mlflow_client: Client):
    listed = {(of, name) for of, name, _, _ in rows(PAGE.read_text("utf-8"))}
    assert listed == {(of, name) for of, names in public_names(mlflow_client.check(ASK)).items() for name in names}


def test_each_test_that_is_named_makes_the_call():
    sources = sources_of_tests()
    listed = rows(PAGE.read_text("utf-8"))
    assert len(listed) > 200
    for of, name, said, why in listed:
        assert said in ("yes", "no", "client", "untested"), f"{of}.{name}"
        if said == "yes":
            source = sources.get(why.strip("`"))
            assert source and shows(source, of, name), f"{why} does not call {of}.{name}"
        if said == "no":
            assert verdict(of, name, sources)[0] == "no", f"{of}.{name}: {why}"
    assert sum(said == "untested" for _, _, said, _ in listed) <= 10
