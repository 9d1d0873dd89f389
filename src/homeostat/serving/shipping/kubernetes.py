"""A model on a plain Kubernetes: Deployment, Service, HorizontalPodAutoscaler, PodDisruptionBudget."""

from __future__ import annotations

from typing import Any

from homeostat.serving.shipping.pods import PORT, Pod, container, volumes

_CPU_PERCENT = 70


def plain_manifests(
    name: str, labels: dict[str, str], namespace: str, pod: Pod, replicas: tuple[int, int]
) -> list[dict[str, Any]]:
    """The objects that serve the image of `pod` as the Service `name`, with `replicas` pods at least and at most."""
    least, most = replicas
    selector = {"app.kubernetes.io/name": "homeostat", "app.kubernetes.io/instance": name}
    template = {
        "metadata": {
            "labels": {**selector, **labels},
            "annotations": {
                "prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics",
            },
        },
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 30,
            "containers": [container(pod, "homeostat", pod.access())],
            "volumes": volumes(pod),
        },
    }  # fmt: skip

    def object_of(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        about = {"name": name, "namespace": namespace, "labels": {**selector, **labels}}
        return {"apiVersion": version, "kind": kind, "metadata": about, "spec": spec}

    deployment = object_of("apps/v1", "Deployment", {
        "selector": {"matchLabels": selector},
        # A new version takes over pod by pod, and none goes before its successor answers.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template,
    })  # fmt: skip
    service = object_of("v1", "Service", {
        "selector": selector,
        "ports": [
            {"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"},
            {"name": "grpc", "port": 9000, "targetPort": PORT, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
        ],
    })  # fmt: skip
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _CPU_PERCENT}}
    scaler = object_of("autoscaling/v2", "HorizontalPodAutoscaler", {
        "scaleTargetRef": target, "minReplicas": max(1, least), "maxReplicas": most,
        "metrics": [{"type": "Resource", "resource": cpu}],
    })  # fmt: skip
    found = [deployment, service, scaler]
    if least > 1:
        spare = {"maxUnavailable": 1, "selector": {"matchLabels": selector}}
        found.append(object_of("policy/v1", "PodDisruptionBudget", spare))
    return found
