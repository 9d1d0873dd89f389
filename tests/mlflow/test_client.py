"""The client that the other tests here run is the one that is pinned, and each script is a process of its own."""

from __future__ import annotations

from tests.mlflow.client import ROOT, Client


def test_the_client_is_the_pinned_one(mlflow_client: Client) -> None:
    pinned = (ROOT / "requirements" / "mlflow-client.txt").read_text()
    assert f"mlflow=={mlflow_client.version}\n" in pinned


def test_scripts_do_not_see_each_other(mlflow_client: Client) -> None:
    assert mlflow_client.check("import os; os.environ['LEFT'] = 'x'; print(os.environ['ADDED'])", ADDED="1") == "1\n"
    done = mlflow_client.run_script("import os, sys; sys.exit('LEFT' in os.environ or 'ADDED' in os.environ)")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_that_fails_says_why(mlflow_client: Client) -> None:
    done = mlflow_client.run_script("raise ValueError('told')")
    assert done.returncode == 1
    assert "ValueError: told" in done.stderr
