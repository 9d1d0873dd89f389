"""A model on a Ray cluster: Ray Serve as process manager of our data planes.

Each replica is a whole data plane on the port that was named; several on one node share it, as several processes under
`homeostat up` do. Ray Serve decides on which nodes they run, keeps their number, and replaces those that die. Its HTTP
proxy is not used: it costs a request more than the whole data plane does.
"""

from __future__ import annotations

from typing import Any

from homeostat.core.errors import InvalidInput, NotFound, Refused, Unavailable
from homeostat.core.extras import require
from homeostat.core.paths import check_name
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version, made_here
from homeostat.serving.access import is_loopback
from homeostat.serving.converted import check_form, interpreter, package_folder
from homeostat.serving.package import read_package
from homeostat.serving.shipping.manifests import object_name
from homeostat.serving.shipping.ray_replica import Replica, Serving, pack

_POLICY = "homeostat.serving.shipping.ray_replica:follow_load"
_MOST = 1000


class RayApplication(Record):
    """A model on a Ray cluster: the name of the Serve application, how many replicas run, and where they answer ("NODE"
    stands for any node that has one)."""

    app: str
    model: str
    version: int
    replicas: int
    url: str


def deploy_on_ray(
    ws: Workspace,
    model: str,
    version: int | None = None,
    alias: str | None = None,
    *,
    address: str = "auto",
    host: str = "127.0.0.1",
    port: int = 8080,
    min_replicas: int = 1,
    max_replicas: int = 1,
    cpu: float = 1.0,
    open_to_all: bool = False,
    tokens: str = "",
    timeout_s: float = 600.0,
) -> RayApplication:
    """Serve a version on the Ray cluster at `address`; one that serves there already is replaced. Returns when every
    replica answers. Homeostat must be installed on the nodes, in the same version.

    Between `min_replicas` and `max_replicas`, Ray Serve follows the CPU that the data planes use. Each asks Ray for
    `cpu` cores. Beyond loopback either `tokens`, one a line, says who may ask, or `open_to_all` that everybody may. A
    model that declares an environment is asked by the interpreter that it has on this machine, at the same place on the
    nodes.

    Raises: NotFound for an unknown version; Refused for one that its gates refused, or a pickle that no run of this
    workspace made; MissingExtra without Ray; Unavailable without a cluster, or when the replicas do not start.
    """
    _check(host, port, (min_replicas, max_replicas), cpu, open_to_all or bool(tokens))
    check_name(model, "name for a model that is served")
    found = get_version(ws, model, version, alias)
    if found.status == "refused":
        raise Refused(f"version {found.version} of '{model}' was refused by its gates", hint="deploy another version")
    check_form(ws, found)
    folder, _ = package_folder(ws, found)
    python = interpreter(ws, found, folder, read_package(folder))
    _connect(address)
    serving = Serving(app=object_name(model), model=model, host=host, port=port, load_s=timeout_s,
                      allow_code=made_here(ws, found), open_to_all=open_to_all, tokens=tokens,
                      use=str(python or ""))  # fmt: skip
    package = pack(folder)
    serve = require("ray.serve", "ray")
    options: dict[str, Any] = {
        "name": "plane", "ray_actor_options": {"num_cpus": cpu}, "health_check_period_s": 1.0,
        "graceful_shutdown_timeout_s": 35.0,
    }  # fmt: skip
    if min_replicas == max_replicas:
        options["num_replicas"] = min_replicas
    else:
        options["autoscaling_config"] = {
            "min_replicas": min_replicas, "max_replicas": max_replicas, "policy": {"policy_function": _POLICY},
            "upscale_delay_s": 2.0, "downscale_delay_s": 60.0,
        }  # fmt: skip
    serve.start(proxy_location="Disabled")
    try:
        serve.run(serve.deployment(Replica, **options).bind(package, serving), name=serving.app, route_prefix=None)
    except RuntimeError as error:
        raise Unavailable(
            f"'{model}' does not start on Ray: {error}", hint="`serve status` and the replicas' logs say why"
        ) from error
    return _described(serving, found.version)


def remove_from_ray(model: str, address: str = "auto") -> None:
    """End a model's replicas. Raises: NotFound when Ray serves no such model; Unavailable without a cluster."""
    _connect(address)
    serve, app = require("ray.serve", "ray"), object_name(model)
    if app not in serve.status().applications:
        raise NotFound(f"Ray serves no '{app}'", hint="`serve status` lists what it serves")
    serve.delete(app)


def _connect(address: str) -> None:
    ray = require("ray", "ray")
    if not ray.is_initialized():
        try:
            ray.init(address=address, namespace="serve", log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise Unavailable(
                f"there is no Ray cluster at '{address}': {error}", hint="start one with `ray start --head`"
            ) from error


def _described(serving: Serving, version: int) -> RayApplication:
    states = require("ray.serve", "ray").status().applications[serving.app].deployments["plane"].replica_states
    replicas = sum(count for name, count in states.items() if getattr(name, "value", name) == "RUNNING")
    host = serving.host if is_loopback(serving.host) else "NODE"
    url = f"http://[{host}]:{serving.port}" if ":" in host else f"http://{host}:{serving.port}"
    return RayApplication(app=serving.app, model=serving.model, version=version, replicas=replicas, url=url)


def _check(host: str, port: int, replicas: tuple[int, int], cpu: float, guarded: bool) -> None:
    if not 1 <= port <= 65535:
        raise InvalidInput(f"port {port}", hint="a port that is free on every node, 1 to 65535")
    least, most = replicas
    if not 1 <= least <= most <= _MOST:
        raise InvalidInput(f"from {least} to {most} replicas", hint=f"1 ≤ min_replicas ≤ max_replicas ≤ {_MOST}")
    if not 0 <= cpu <= 1000:
        raise InvalidInput(f"{cpu} cores for a replica", hint="such as 0.5 or 2")
    if not is_loopback(host) and not guarded:
        raise InvalidInput(
            f"{host} can be reached by others, and nothing says who may ask",
            hint="--token-file FILE lists tokens; --open lets everybody ask who reaches the port",
        )
