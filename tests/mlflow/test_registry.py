"""The real client's registry calls, against a server of ours."""

from __future__ import annotations

import homeostat as hs
from tests.mlflow.client import Client


def test_models_versions_aliases_stages_and_searches(mlflow_client: Client) -> None:
    said = mlflow_client.check(
        """
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient()
        made = client.create_registered_model("reg a", tags={"team": "x"}, description="first")
        assert (made.name, made.tags, made.description, made.latest_versions) == ("reg a", {"team": "x"}, "first", [])
        try:
            client.create_registered_model("reg a")
        except MlflowException as error:
            print(error.error_code)
        one = client.create_model_version("reg a", "s3://bucket/1", tags={"k": "v"}, description="d")
        two = client.create_model_version("reg a", "s3://bucket/2")
        assert [str(v.version) for v in (one, two)] == ["1", "2"]
        assert (one.status, one.tags) == ("READY", {"k": "v"})
        client.set_registered_model_alias("reg a", "champion", 2)
        assert client.get_model_version_by_alias("reg a", "champion").version == two.version
        assert {a: str(v) for a, v in client.get_registered_model("reg a").aliases.items()} == {"champion": "2"}
        client.delete_registered_model_alias("reg a", "champion")
        try:
            client.get_model_version_by_alias("reg a", "champion")
        except MlflowException as error:
            print(error.message)
        client.set_model_version_tag("reg a", "1", "k2", "v2")
        client.delete_model_version_tag("reg a", "1", "k")
        client.update_model_version("reg a", "1", "better")
        found = client.get_model_version("reg a", "1")
        assert (found.tags, found.description) == ({"k2": "v2"}, "better")
        client.set_registered_model_tag("reg a", "t", "1")
        client.delete_registered_model_tag("reg a", "team")
        assert client.get_registered_model("reg a").tags == {"t": "1"}
        client.transition_model_version_stage("reg a", "1", "Production")
        client.transition_model_version_stage("reg a", "2", "Production", archive_existing_versions=True)
        stages = {str(v.version): v.current_stage for v in client.get_latest_versions("reg a")}
        assert stages == {"1": "Archived", "2": "Production"}
        assert client.get_model_version_download_uri("reg a", "2") == "s3://bucket/2"
        client.create_registered_model("reg b")
        copy = client.copy_model_version("models:/reg a/1", "reg b")
        assert client.get_model_version_download_uri("reg b", copy.version) == "s3://bucket/1"
        down = client.search_registered_models("name LIKE 'reg %'", order_by=["name DESC"])
        assert [m.name for m in down] == ["reg b", "reg a"]
        page = client.search_registered_models("name LIKE 'reg %'", max_results=1)
        assert page.token and [m.name for m in page] == ["reg a"]
        rest = client.search_registered_models("name LIKE 'reg %'", max_results=1, page_token=page.token)
        assert [m.name for m in rest] == ["reg b"] and not rest.token
        assert len(client.search_model_versions("name='reg a'")) == 2
        client.delete_model_version("reg a", "2")
        assert len(client.search_model_versions("name='reg a'")) == 1
        client.rename_registered_model("reg a", "reg c")
        client.update_registered_model("reg c", "third")
        assert client.get_registered_model("reg c").description == "third"
        client.delete_registered_model("reg c")
        try:
            client.get_registered_model("reg c")
        except MlflowException as error:
            print(error.message)
        """
    )
    assert said.splitlines() == [
        "RESOURCE_ALREADY_EXISTS",
        "INVALID_PARAMETER_VALUE: Registered model alias champion not found.",
        "RESOURCE_DOES_NOT_EXIST: Registered Model with name=reg c not found",
    ]


def test_prompts(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        import mlflow

        made = mlflow.genai.register_prompt("greet", "Hello {{name}}!", commit_message="first", tags={"by": "me"})
        assert (made.name, made.version, made.template) == ("greet", 1, "Hello {{name}}!")
        mlflow.genai.register_prompt("greet", [{"role": "user", "content": "Hi {{name}}"}])
        mlflow.genai.set_prompt_alias("greet", "live", 1)
        live = mlflow.genai.load_prompt("prompts:/greet@live")
        assert live.format(name="Ann") == "Hello Ann!" and live.tags == {"by": "me"}
        chat = mlflow.genai.load_prompt("greet", version=2)
        assert chat.format(name="Ann") == [{"role": "user", "content": "Hi Ann"}]
        assert mlflow.genai.load_prompt("prompts:/greet@latest").version == 2
        assert [p.name for p in mlflow.genai.search_prompts("name = 'greet'")] == ["greet"]
        assert [m.name for m in mlflow.search_registered_models(filter_string="name = 'greet'")] == []
        client = mlflow.MlflowClient()
        client.set_prompt_tag("greet", "team", "x")
        assert client.get_prompt("greet").tags["team"] == "x"
        client.set_prompt_version_tag("greet", 1, "ok", "yes")
        assert client.get_prompt_version("greet", 1).tags["ok"] == "yes"
        assert sorted(v.version for v in client.search_prompt_versions("greet")) == [1, 2]
        mlflow.genai.delete_prompt_alias("greet", "live")
        client.delete_prompt_version("greet", 2)
        assert mlflow.genai.load_prompt("prompts:/greet@latest").version == 1
        client.delete_prompt_version("greet", 1)
        client.delete_prompt("greet")
        assert list(mlflow.genai.search_prompts("name = 'greet'")) == []
        """
    )


def test_webhooks(mlflow_client: Client) -> None:
    """The hook is never active, so that nothing is sent anywhere."""
    mlflow_client.check(
        """
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient()
        url, asleep = "https://8.8.8.8/hook", "DISABLED"
        made = client.create_webhook("ops", url, ["prompt_alias.deleted"], secret="x", description="d", status=asleep)
        assert (made.name, made.url, made.description, str(made.status)) == ("ops", url, "d", asleep)
        assert [str(e) for e in made.events] == ["prompt_alias.deleted"]
        assert client.get_webhook(made.webhook_id).name == "ops"
        changed = client.update_webhook(made.webhook_id, name="new", events=["prompt.created", "model_version.created"])
        assert (changed.name, str(changed.status), len(changed.events)) == ("new", asleep, 2)
        assert [w.webhook_id for w in client.list_webhooks()] == [made.webhook_id]
        client.delete_webhook(made.webhook_id)
        assert list(client.list_webhooks()) == []
        for url in ("https://127.0.0.1/x", "https://169.254.169.254/x", "http://8.8.8.8/x"):
            try:
                client.create_webhook("ops", url, ["prompt.created"])
            except MlflowException as error:
                assert error.error_code == "INVALID_PARAMETER_VALUE"
            else:
                raise AssertionError(url)
        """
    )


def test_a_logged_model_becomes_a_version_that_says_what_it_holds(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        import mlflow, numpy as np
        from sklearn.linear_model import LinearRegression

        rows = np.arange(6.0).reshape(3, 2)
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                LinearRegression().fit(rows, rows[:, 0]), name="model", registered_model_name="held",
                input_example=rows, pip_requirements=["scikit-learn"])
        """
    )
    with hs.open(mlflow_client.url) as ws:
        version = ws.registry.get_version("held", 1)
    assert version.flavor == "mlflow" and "sklearn" in version.flavors and "MLmodel" in version.files
    assert [field.dtype for field in version.signature.inputs] == ["FP64"]
    assert "scikit-learn" in version.environment and version.run_id and version.model_id.startswith("m-")
