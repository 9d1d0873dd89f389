"""The pod that serves a model, as Kubernetes and KServe both describe it."""

from __future__ import annotations

from typing import Any

from homeostat.core.records import Record
from homeostat.serving.shipping.this_python import USER

PORT = 8080
_TMP = "/tmp"  # noqa: S108 - the pod's own
_TOKENS = "/var/run/homeostat"


class Pod(Record):
    """What is asked of a pod. `cpu` and `memory` are Kubernetes quantities; `token_secret` names a Secret whose key
    `tokens` lists who may ask, a token a line: without it anyone may who reaches the port."""

    image: str
    cpu: str = "1"
    memory: str = "1Gi"
    token_secret: str = ""

    def access(self) -> list[str]:
        """The arguments that say who may ask."""
        return [f"--token-file={_TOKENS}/tokens"] if self.token_secret else ["--open"]


def container(pod: Pod, name: str, arguments: list[str]) -> dict[str, Any]:
    """The container: not root, nothing to write to but `/tmp`, probes that know a loading model from a dead server."""
    mounts = [{"name": "tmp", "mountPath": _TMP}]
    if pod.token_secret:
        mounts.append({"name": "tokens", "mountPath": _TOKENS})

    def probe(path: str, period: int, failures: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": PORT}, "periodSeconds": period, "failureThreshold": failures,
                "timeoutSeconds": 2}  # fmt: skip

    return {
        "name": name,
        "image": pod.image,
        "args": arguments,
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        # Five minutes to load; then a pod that does not answer for half a minute is started again.
        "startupProbe": probe("/v2/health/ready", 2, 150),
        "readinessProbe": probe("/v2/health/ready", 5, 2),
        "livenessProbe": probe("/v2/health/live", 10, 3),
        # Those who balance the load hear of the end before the server stops to listen.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {
            "requests": {"cpu": pod.cpu, "memory": pod.memory},
            "limits": {"memory": pod.memory},
        },
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }  # fmt: skip


def volumes(pod: Pod) -> list[dict[str, Any]]:
    """What the container mounts."""
    found: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if pod.token_secret:
        found.append({"name": "tokens", "secret": {"secretName": pod.token_secret}})
    return found
