"""Evaluation datasets and scorers through the real client: made, filled, found, judged with, deleted."""

from __future__ import annotations

from tests.mlflow.client import Client


def test_datasets_are_filled_found_and_taken_apart(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        import mlflow
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from mlflow.genai import datasets
        client = MlflowClient()

        def records(dataset):
            return {row["inputs"]["question"]: row for row in dataset.to_df().to_dict("records")}

        one, two = (client.create_experiment(f"datasets-{n}") for n in (1, 2))
        made = datasets.create_dataset(name="questions", experiment_id=[one], tags={"team": "red", "stage": "test"})
        assert made.dataset_id.startswith("d-") and made.experiment_ids == [one] and made.profile is None
        made.merge_records([
            {"inputs": {"question": "2+2"}, "expectations": {"answer": "4"}, "tags": {"kind": "sum"}},
            {"inputs": {"question": "sky"}, "outputs": "blue"},
            {"inputs": {"question": "2+2"}, "expectations": {"unit": "none"}},
        ])
        again = datasets.get_dataset(dataset_id=made.dataset_id)
        kept = records(again)
        assert len(kept) == 2 and '"num_records":2' in again.profile.replace(" ", "")
        assert kept["2+2"]["expectations"] == {"answer": "4", "unit": "none"} and kept["2+2"]["tags"]["kind"] == "sum"
        assert kept["sky"]["outputs"] == "blue" and kept["2+2"]["source_type"] == "HUMAN"
        again.merge_records([{"inputs": {"question": "sky"}, "outputs": {"said": "grey"}}])
        assert records(again)["sky"]["outputs"] == {"said": "grey"} and len(records(again)) == 2
        assert '"question":"string"' in client.get_dataset(made.dataset_id).schema.replace(" ", "")

        datasets.set_dataset_tags(dataset_id=made.dataset_id, tags={"stage": "live", "more": "x"})
        client.set_dataset_tags(made.dataset_id, {"size": "small"})
        client.delete_dataset_tag(made.dataset_id, "more")
        client.delete_dataset_tag(made.dataset_id, "never there")
        assert {k: v for k, v in client.get_dataset(made.dataset_id).tags.items() if k != "mlflow.user"} == {
            "team": "red", "stage": "live", "size": "small"
        }
        client.add_dataset_to_experiments(made.dataset_id, [two])
        assert client.get_dataset(made.dataset_id).experiment_ids == [one, two]
        client.remove_dataset_from_experiments(made.dataset_id, [one])
        other = client.create_dataset("other questions", experiment_id=one)

        def names(**asked):
            return [found.name for found in client.search_datasets(**asked)]

        assert names(experiment_ids=[two]) == ["questions"] and names(experiment_ids=[one]) == ["other questions"]
        both = {"experiment_ids": [one, two]}
        assert names(**both, order_by=["name DESC"]) == ["questions", "other questions"]
        assert names(**both, filter_string="name LIKE 'other%'") == ["other questions"]
        assert names(**both, filter_string="tags.stage = 'live' AND name IN ('questions', 'x')") == ["questions"]
        assert names(**both, filter_string="created_time < 5") == []
        page = client.search_datasets(**both, max_results=1, order_by=["name ASC"])
        rest = client.search_datasets(**both, max_results=1, order_by=["name ASC"], page_token=page.token)
        assert [page[0].name, rest[0].name, bool(rest.token)] == ["other questions", "questions", False]
        try:
            client.search_datasets(filter_string="nonsense = 'x'")
        except MlflowException as error:
            assert error.error_code == "INVALID_PARAMETER_VALUE"
        else:
            raise AssertionError("a filter on nothing was taken")

        assert again.delete_records([kept["sky"]["dataset_record_id"], "dr-none"]) == 1
        assert list(records(client.get_dataset(made.dataset_id))) == ["2+2"]
        client.delete_dataset(made.dataset_id)
        client.delete_dataset(made.dataset_id)
        try:
            client.get_dataset(made.dataset_id)
        except MlflowException as error:
            assert error.error_code == "RESOURCE_DOES_NOT_EXIST"
        else:
            raise AssertionError("a deleted dataset was found")
        datasets.delete_dataset(dataset_id=other.dataset_id)
        """
    )


def test_records_come_page_by_page_and_from_traces(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        import mlflow
        from mlflow.genai import datasets
        experiment = mlflow.set_experiment("datasets-pages").experiment_id
        made = datasets.create_dataset(name="pages", experiment_id=experiment)
        made.merge_records([{"inputs": {"n": n}, "expectations": {"twice": 2 * n}} for n in range(1200)])
        assert sorted(inputs["n"] for inputs in made.to_df()["inputs"]) == list(range(1200))

        @mlflow.trace
        def answer(question):
            return question.upper()

        answer("why")
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
        mlflow.log_expectation(trace_id=trace.info.trace_id, name="answer", value={"said": "WHY"})
        found = mlflow.search_traces(locations=[experiment])
        told = datasets.create_dataset(name="told", experiment_id=experiment).merge_records(found)
        (record,) = told.to_df().to_dict("records")
        assert record["inputs"] == {"question": "why"} and record["outputs"] == "WHY"
        assert record["source_type"] == "TRACE" and record["source_id"] == trace.info.trace_id
        assert record["expectations"] == {"answer": {"said": "WHY"}}
        """
    )


def test_scorers_are_registered_by_version(mlflow_client: Client) -> None:
    mlflow_client.check(
        """
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.genai.scorers import Guidelines, delete_scorer, get_scorer, list_scorers
        experiment = mlflow.set_experiment("scorers").experiment_id
        for rule in ("be kind", "be brief"):
            Guidelines(name="manners", guidelines=rule, model="openai:/gpt-4o").register(name="manners")
        (one,) = list_scorers(experiment_id=experiment)
        assert one.name == "manners" and "brief" in str(one.guidelines)
        assert "kind" in str(get_scorer(name="manners", version=1).guidelines)
        store = mlflow.tracking._tracking_service.utils._get_store()
        assert [version.scorer_version for version in store.list_scorer_versions(experiment, "manners")] == [1, 2]
        delete_scorer(name="manners", version=1)
        assert [version.scorer_version for version in store.list_scorer_versions(experiment, "manners")] == [2]
        for refused in (lambda: get_scorer(name="manners", version=1),
                        lambda: Guidelines(name="mute", guidelines="rule", model=" ").register(name="mute")):
            try:
                refused()
            except MlflowException as error:
                assert error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"), error
            else:
                raise AssertionError("it was not refused")
        delete_scorer(name="manners", version="all")
        assert list_scorers(experiment_id=experiment) == []
        """
    )
