"""The same runs, filters and orders on two servers that speak MLflow's protocol: do they find the same?

`python -m bench.tracking.differential http://127.0.0.1:5000 http://127.0.0.1:5001 --searches 2000` makes an experiment
on each, fills it with the same runs and compares the names found, in their order. Exit code 1 when one differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import urllib.error
import urllib.request
from typing import Any

_RUNS = 40
_NUMBERS = ("0", "0.5", "1", "-1", "2.25", "1e-3")
_WORDS = ("adam", "sgd", "Adam", "a_b", "100%", "")


class Server:
    """One of the two."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/api/2.0/mlflow/"

    def post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call; a refusal is an answer too, of which the code counts."""
        request = urllib.request.Request(
            self._url + call, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return {"refused": json.loads(error.read()).get("error_code")}

    def fill(self, name: str, seed: int) -> str:
        """An experiment with runs that depend on `seed` only."""
        chance = random.Random(seed)
        experiment = self.post("experiments/create", {"name": name})["experiment_id"]
        for number in range(_RUNS):
            made = self.post(
                "runs/create",
                {"experiment_id": experiment, "run_name": f"run {number}", "user_id": chance.choice(("ann", "bob")),
                 "start_time": 1000 + number * 7 % 40 * 10},
            )  # fmt: skip
            run = made["run"]["info"]["run_id"]
            metrics = [
                {"key": key, "value": chance.choice([*map(float, _NUMBERS), "NaN"]), "timestamp": at, "step": at}
                for key in ("m", "loss/train", "odd name") if chance.random() < 0.8 for at in range(2)
            ]  # fmt: skip
            params = [{"key": k, "value": chance.choice(_WORDS[:5])} for k in ("p", "q r") if chance.random() < 0.7]
            tags = [{"key": k, "value": chance.choice(_WORDS)} for k in ("t", "u.v") if chance.random() < 0.7]
            self.post("runs/log-batch", {"run_id": run, "metrics": metrics, "params": params, "tags": tags})
            if chance.random() < 0.5:
                status = chance.choice(("FINISHED", "FAILED", "KILLED"))
                self.post("runs/update", {"run_id": run, "status": status, "end_time": 5000 + number})
        return experiment

    def names(self, experiment: str, filter_: str, order: list[str]) -> Any:
        """The names of the runs found, in their order, over several pages."""
        found: list[str] = []
        token = ""
        while True:
            body = {"experiment_ids": [experiment], "filter": filter_, "order_by": order, "max_results": 17}
            answer = self.post("runs/search", body | ({"page_token": token} if token else {}))
            if "refused" in answer:
                return answer["refused"]
            found += [run["info"]["run_name"] for run in answer.get("runs", [])]
            token = answer.get("next_page_token", "")
            if not token:
                return found


def clause(chance: random.Random) -> str:
    """A comparison that both understand."""
    metric = chance.choice(("metrics.m", 'metrics."loss/train"', "metric.`odd name`", "metrics.none"))
    text = chance.choice(
        ("params.p", 'params."q r"', "tags.t", "tag.`u.v`", "parameter.p", "tags.none", "tags.mlflow.runName")
    )
    word = chance.choice((*_WORDS, "a%", "%d%", "A_am", "run 1%"))
    return chance.choice((
        f"{metric} {chance.choice(('=', '!=', '<', '<=', '>', '>='))} {chance.choice(_NUMBERS)}",
        f"{text} {chance.choice(('=', '!=', 'LIKE', 'ILIKE', 'like'))} '{word}'",
        f"{text} {chance.choice(('IS NULL', 'IS NOT NULL'))}",
        f"{chance.choice(('', 'attributes.', 'run.'))}run_name {chance.choice(('=', '!=', 'LIKE', 'ILIKE'))} '{word}'",
        f"attributes.status {chance.choice(('=', '!='))} '{chance.choice(('RUNNING', 'FINISHED', 'KILLED'))}'",
        f"{chance.choice(('start_time', 'end_time', 'attributes.created'))} {chance.choice(('>', '<=', '!='))} 1200",
        f"user_id {chance.choice(('=', '!='))} 'ann'",
    ))  # fmt: skip


def order(chance: random.Random) -> list[str]:
    """Up to two order clauses."""
    keys = ("metrics.m", 'metrics."loss/train"', "params.p", "tags.t", "start_time", "end_time", "attributes.status")
    return [f"{key} {chance.choice(('ASC', 'DESC'))}" for key in chance.sample(keys, chance.randint(0, 2))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers", nargs=2)
    parser.add_argument("--searches", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    servers = [Server(url) for url in given.servers]
    name = f"differential {random.SystemRandom().randrange(10**9)}"
    experiments = [server.fill(name, given.seed) for server in servers]
    chance = random.Random(given.seed)
    different = 0
    for _ in range(given.searches):
        filter_ = " and ".join(clause(chance) for _ in range(chance.randint(0, 3)))
        by = [*order(chance)]
        # Runs that are equal in all else are ordered by their ids, which the servers choose: start times differ.
        ours, theirs = (s.names(e, filter_, by) for s, e in zip(servers, experiments, strict=True))
        if ours != theirs:
            different += 1
            print(f"{filter_!r} by {by}\n  {ours}\n  {theirs}")
    print(f"{given.searches} searches, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
