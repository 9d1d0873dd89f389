"""Verb: what a cluster is told so that it serves a model."""

from __future__ import annotations

import re
from typing import Any, Literal

from homeostat.core.blobs import digest_of
from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import ModelVersion, get_version
from homeostat.serving.shipping.kserve import kserve_manifests
from homeostat.serving.shipping.kubernetes import plain_manifests
from homeostat.serving.shipping.pods import Pod

Target = Literal["kubernetes", "kserve"]
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?\Z")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LONGEST = 40  # KServe appends words of its own, and a DNS label ends at 63
_MOST = 1000


class Manifest(Record):
    """A file with objects for a cluster, in YAML."""

    file: str
    target: Target
    text: str


@verb(permission="serving:read")
def manifests(
    ws: Workspace,
    model: str,
    image: str,
    version: int | None = None,
    alias: str | None = None,
    namespace: str = "default",
    min_replicas: int = 1,
    max_replicas: int = 4,
    cpu: str = "1",
    memory: str = "1Gi",
    storage: str = "",
    token_secret: str = "",
) -> list[Manifest]:
    """What serves a version of `model` on a cluster: plain Kubernetes objects, and the same for KServe.

    `image` is where `homeostat package` was pushed to, best with its digest. With `storage`, an address that KServe
    fetches models from, its runtime serves what lies there; without, the image's own model. `token_secret` names a
    Secret whose key `tokens` lists who may ask; without it anyone may who reaches the Service.

    Raises: NotFound for an unknown version; InvalidInput for what a cluster would refuse.
    """
    found = get_version(ws, model, version, alias)
    _check(image, namespace, (min_replicas, max_replicas), {"cpu": cpu, "memory": memory}, token_secret)
    if storage and (not re.match(r"[a-z][a-z0-9+.-]*://\S+\Z", storage) or len(storage) > 2000):
        raise InvalidInput(
            f"{storage[:200]!r} is not an address", hint="such as s3://bucket/churn or pvc://claim/churn"
        )
    pod = Pod(image=image, cpu=cpu, memory=memory, token_secret=token_secret)
    name, labels, replicas = object_name(model), _labels(found), (min_replicas, max_replicas)
    plain = plain_manifests(name, labels, namespace, pod, replicas)
    kserve = kserve_manifests(name, labels, namespace, pod, replicas, storage)
    return [
        Manifest(file="kubernetes.yaml", target="kubernetes", text=_yaml(plain)),
        Manifest(file="kserve.yaml", target="kserve", text=_yaml(kserve)),
    ]


def object_name(model: str) -> str:
    """A model's name as a cluster lets objects be called: a DNS label of at most 40 characters. What is longer is cut,
    and ends with what tells it from others that begin alike.

    >>> object_name("Flight_delay (2024)")
    'flight-delay-2024'
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if not name:
        raise InvalidInput(f"'{model}' has no letters or digits that a cluster takes in names")
    name = name if name[0].isalpha() else f"model-{name}"
    if len(name) <= _LONGEST:
        return name
    own = digest_of(model.encode())[:8]
    return f"{name[: _LONGEST - len(own) - 1].strip('-')}-{own}"


def _labels(version: ModelVersion) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "homeostat", "homeostat.io/version": str(version.version)}


def _check(
    image: str, namespace: str, replicas: tuple[int, int], quantities: dict[str, str], token_secret: str
) -> None:
    if not image or re.search(r"\s", image) or len(image) > 500 or "://" in image:
        raise InvalidInput(f"{image[:200]!r} is not the name of an image", hint="registry.example.com/churn@sha256:…")
    for what, name in (("namespace", namespace), ("token_secret", token_secret)):
        if (name or what == "namespace") and not _NAME.match(name):
            raise InvalidInput(f"{what}={name[:200]!r}", hint="lower-case letters, digits and '-'")
    least, most = replicas
    if not 0 <= least <= most <= _MOST or most < 1:
        raise InvalidInput(f"from {least} to {most} replicas", hint=f"min_replicas ≤ max_replicas ≤ {_MOST}")
    for what, quantity in quantities.items():
        if not _QUANTITY.match(quantity):
            raise InvalidInput(f"{what}={quantity[:80]!r} is not a quantity", hint="such as 500m or 2Gi")


def _yaml(objects: list[dict[str, Any]]) -> str:
    import yaml

    class Whole(yaml.SafeDumper):
        """Without anchors: what is said twice is written twice."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump_all(objects, Dumper=Whole, sort_keys=False, explicit_start=True, allow_unicode=True)
