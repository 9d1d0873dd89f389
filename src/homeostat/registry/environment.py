"""Which installed distributions a model needs: those whose modules its bytes name, with their versions."""

from __future__ import annotations

import pickletools
import platform
import sys
from importlib import metadata

from homeostat.registry import skops_form
from homeostat.registry.estimators import distributions

# What a flavor's own predictor imports, beyond what a pickle names.
_OF_FLAVOR = {
    "lightgbm": ["lightgbm", "numpy"], "xgboost": ["xgboost", "numpy"],
    "catboost": ["catboost", "numpy"], "sklearn": ["sklearn", "numpy"], "torch": ["torch", "numpy"],
    "onnx": ["onnxruntime", "numpy"],
}  # fmt: skip


def environment_of(flavor: str, file: str, data: bytes, with_onnx: bool) -> list[str]:
    """Requirements such as "lightgbm==4.7.0", sorted, "python==3.11.7" among them. `data` is the model's `file`."""
    modules = set(_OF_FLAVOR.get(flavor, []))
    if file == skops_form.FILE:
        modules |= {"skops"} | {name.split(".")[0] for name in skops_form.types_of(data)}
    elif flavor in ("sklearn", "python"):
        modules |= _pickled_modules(data)
    if with_onnx:
        modules.add("onnxruntime")
    found = {f"python=={platform.python_version()}"}
    for module in modules:
        if module in sys.stdlib_module_names or module == "homeostat":
            continue
        for name in distributions().get(module, []):
            found.add(f"{name.lower()}=={metadata.version(name)}")
    return sorted(found)


def _pickled_modules(data: bytes) -> set[str]:
    """The top-level modules that unpickling `data` would import; nothing is loaded to find out."""
    modules: set[str] = set()
    texts: list[str] = []  # what STACK_GLOBAL takes its two names from
    memo: dict[int, str] = {}
    for code, argument, _ in pickletools.genops(data):
        if code.name == "GLOBAL":
            modules.add(str(argument).split(" ")[0].split(".")[0])
        elif "UNICODE" in code.name:
            texts.append(str(argument))
        elif code.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif code.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int):
            texts.append(memo.get(argument, ""))
        elif code.name == "STACK_GLOBAL" and len(texts) >= 2:
            modules.add(texts[-2].split(".")[0])
    return modules
