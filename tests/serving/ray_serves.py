"""Run by a Python that has Ray: `python ray_serves.py HOME PORT`. Prints what it saw as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import ray

import homeostat as hs
from homeostat.core.errors import HomeostatError
from homeostat.serving import deploy_on_ray, remove_from_ray

BODY = json.dumps(
    {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 1.0, 1.0]}]}
).encode()


def ask(port: int) -> Any:
    """The answer's number, or the kind of failure."""
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/delay/infer", BODY, timeout=300).read()
    except (urllib.error.URLError, ConnectionError) as error:
        return type(error).__name__
    return round(json.loads(answer)["outputs"][0]["data"][0], 4)


def planes(port: int) -> dict[int, int]:
    """What each process on the port has answered, by its id."""
    try:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=300).read().decode()
    except (urllib.error.URLError, ConnectionError):
        return {}
    found: dict[int, int] = {}
    for line in text.splitlines():
        if line.startswith("homeostat_models_deployed"):
            found.setdefault(int(line.partition('process="')[2].partition('"')[0]), 0)
    return found


def main(home: str, port: int) -> None:
    said: dict[str, Any] = {}
    ray.init(num_cpus=2, include_dashboard=False, namespace="serve", object_store_memory=80 << 20)
    with hs.open(home) as ws:
        found = deploy_on_ray(ws, "delay", port=port, min_replicas=2, max_replicas=2, cpu=0.5)
        said["application"] = [found.app, found.model, found.version, found.replicas, found.url]
        while len(planes(port)) < 2:
            time.sleep(0.05)
        said["answers"] = sorted({ask(port) for _ in range(40)})
        before = planes(port)
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        during = {ask(port) for _ in range(40)}
        said["refused"] = sorted(str(one) for one in during - {said["answers"][0]})
        while killed in planes(port) or len(planes(port)) < 2:  # Ray Serve has put another in its place
            time.sleep(0.2)
        said["again"] = sorted({ask(port) for _ in range(40)})
        remove_from_ray("delay")
        while planes(port):
            time.sleep(0.1)
        said["gone"] = ask(port)
        try:
            remove_from_ray("delay")
        except HomeostatError as error:
            said["twice"] = error.message
    print(json.dumps(said))
    ray.shutdown()


if __name__ == "__main__":
    main(str(Path(sys.argv[1])), int(sys.argv[2]))
