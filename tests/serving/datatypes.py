"""One tensor of every datatype of the Open Inference Protocol, for every client that is asked to bring it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

import homeostat as hs
from homeostat.serving import deploy, wait_ready
from tests.serving.models import register_tensor

# The protocol's datatype, ONNX's number for it, values at its edges.
KINDS: dict[str, tuple[int, np.ndarray]] = {
    "BOOL": (9, np.array([[True], [False]])),
    "UINT8": (2, np.array([[0, 255]], "u1")),
    "UINT16": (4, np.array([[0, 65535]], "u2")),
    "UINT32": (12, np.array([[0, 2**32 - 1]], "u4")),
    "UINT64": (13, np.array([[0, 2**64 - 1], [127, 128]], "u8")),
    "INT8": (3, np.array([[-128, 127]], "i1")),
    "INT16": (5, np.array([[-32768, 32767]], "i2")),
    "INT32": (6, np.array([[-(2**31), 2**31 - 1]], "i4")),
    "INT64": (7, np.array([[-(2**63), 2**63 - 1, -1]])),
    "FP16": (10, np.array([[0.5, -65504]], "f2")),
    "BF16": (1, np.array([[0.5, -2.0, 1e30]], ml_dtypes.bfloat16)),
    "FP32": (1, np.array([[1.5, -3e38], [0, 1e-30]], "f4")),
    "FP64": (11, np.array([[1e300, -1.5]])),
    "BYTES": (8, np.array([["späť".encode(), b""]], dtype=object)),
}


def deploy_echoes(ws: hs.Workspace, scratch: Path) -> None:
    """A model for each datatype, of its name in small letters, that gives back "x" as "y"."""
    generations = {}
    for name, (onnx_type, _) in KINDS.items():
        register_tensor(ws, scratch, name.lower(), onnx_type, name)
        generations[name.lower()] = deploy(ws, name.lower()).generation
    for model, generation in generations.items():
        wait_ready(ws, model, generation)


def same(kind: str, back: Any, sent: np.ndarray) -> None:
    """`back` is what was sent; of BF16, as near as that datatype can say it."""
    if kind == "BYTES":
        back = np.array([v if isinstance(v, bytes) else v.encode() for v in back.reshape(-1)], dtype=object)
        assert back.tolist() == sent.reshape(-1).tolist()
    elif kind == "BF16":
        np.testing.assert_allclose(back.astype("f4"), sent.astype("f4"), rtol=2**-7)
    else:
        assert back.dtype == sent.dtype
        np.testing.assert_array_equal(back, sent)
