"""The same things, filters and orders on two servers that speak MLflow's protocol: do they find the same?

`python -m bench.tracking.differential OURS THEIRS --searches 2000 [--of runs]` fills both servers (`http://host:port`)
with the same little worlds and compares what each search finds, in its order, over all pages; a refusal counts by its
code. What the second server answers with an internal error is counted apart: there is nothing to compare with. Exit
code 1 when an answer differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from bench.tracking.searches import SEARCHES, Search

_BROKEN = "INTERNAL_ERROR"


class Http:
    """One of the two."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/api/2.0/mlflow/"

    def post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call ("PATCH call" for that method); a refusal is an answer too, of which the code counts."""
        method, space, path = call.rpartition(" ")
        return self._ask(method if space else "POST", path, json.dumps(body).encode())

    def get(self, call: str, **asked: Any) -> dict[str, Any]:
        """The same with arguments in the query; a list repeats its name."""
        return self._ask("GET", f"{call}?{urllib.parse.urlencode(asked, doseq=True)}", None)

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(self._url + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return {"refused": json.loads(error.read()).get("error_code")}


def found(server: Http, search: Search, world: Any, filter_: str, order: list[Any]) -> Any:
    """Everything that is found, in its order, over several pages; or the code of a refusal."""
    names: list[str] = []
    token = ""
    while True:
        answer = search.page(server, world, filter_, order, token)
        if "refused" in answer:
            return answer["refused"]
        names += search.found(answer)
        token = answer.get("next_page_token", "")
        if not token:
            return names


def compare(servers: list[Http], name: str, search: Search, searches: int, seed: int) -> int:
    """How many of `searches` searches differ; each is printed."""
    mark = f"differential {random.SystemRandom().randrange(10**9)}"
    worlds = [search.fill(server, mark, seed) for server in servers]
    chance = random.Random(seed)
    different = broken = refused = 0
    for _ in range(searches):
        filter_ = " and ".join(search.clause(chance) for _ in range(chance.randint(0, 3)))
        order = search.order(chance)
        ours, theirs = (found(s, search, w, filter_, order) for s, w in zip(servers, worlds, strict=True))
        if theirs == _BROKEN:
            broken += 1
        elif ours != theirs:
            different += 1
            print(f"{name}: {filter_!r} by {order}\n  {ours}\n  {theirs}")
        else:
            refused += isinstance(ours, str)
    print(f"{name}: {searches} searches, {different} different, {refused} refused by both, {broken} not answered there")
    return different


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers", nargs=2)
    parser.add_argument("--searches", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", choices=list(SEARCHES), action="append", help="which searches; all by default")
    given = parser.parse_args()
    servers = [Http(url) for url in given.servers]
    counts = [compare(servers, name, SEARCHES[name], given.searches, given.seed) for name in given.of or SEARCHES]
    return 1 if any(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
