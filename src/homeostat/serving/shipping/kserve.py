"""A model on KServe: an InferenceService, and the ServingRuntime that it runs on when its files lie in a store."""

from __future__ import annotations

from typing import Any

from homeostat.serving.shipping.pods import PORT, Pod, container, volumes

_FORMATS = ("homeostat", "mlflow", "onnx", "lightgbm", "sklearn", "triton", "bentoml", "mlserver")
_SCRAPED = {"prometheus.kserve.io/port": str(PORT), "prometheus.kserve.io/path": "/metrics"}


def kserve_manifests(
    name: str, labels: dict[str, str], namespace: str, pod: Pod, replicas: tuple[int, int], storage: str
) -> list[dict[str, Any]]:
    """The objects that serve the model as the InferenceService `name`, which is also what requests call it.

    With `storage`, an address that KServe fetches to `/mnt/models` (s3://…, pvc://…, oci+native://…), the image is the
    runtime; without, it brings the model along.
    """
    least, most = replicas
    about = {"name": name, "namespace": namespace, "labels": labels}
    # By which measure it scales depends on how KServe is installed, so that is left to it.
    scale = {"minReplicas": least, "maxReplicas": most, "timeout": 60}
    if not storage:
        # The arguments follow those of the image, and the last one counts.
        own = container(pod, "kserve-container", [f"--name={name}", *pod.access()])
        predictor = {"containers": [own], "volumes": volumes(pod), "automountServiceAccountToken": False, **scale}
        return [_service({**about, "annotations": _SCRAPED}, predictor)]
    runtime = f"{name}-homeostat"
    arguments = ["--model_dir=/mnt/models", "--model_name={{.Name}}", f"--http_port={PORT}", *pod.access()]
    model = {"modelFormat": {"name": _FORMATS[0]}, "runtime": runtime, "protocolVersion": "v2", "storageUri": storage}
    return [
        {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ServingRuntime",
            "metadata": {**about, "name": runtime},
            "spec": {
                "annotations": _SCRAPED,
                "supportedModelFormats": [{"name": one, "version": "1"} for one in _FORMATS],
                "protocolVersions": ["v1", "v2", "grpc-v2"],
                "multiModel": False,
                "containers": [container(pod, "kserve-container", arguments)],
                "volumes": volumes(pod),
            },
        },
        _service(about, {"model": model, "automountServiceAccountToken": False, **scale}),
    ]


def _service(about: dict[str, Any], predictor: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": about,
        "spec": {"predictor": predictor},
    }  # fmt: skip
