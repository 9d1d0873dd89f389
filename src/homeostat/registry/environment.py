"""Which installed distributions a model needs: those whose modules its bytes name, with their versions."""

from __future__ import annotations

import pickletools
import platform
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from homeostat.core.errors import InvalidInput
from homeostat.registry import skops_form
from homeostat.registry.estimators import distributions

# What a flavor's own predictor imports, beyond what a pickle names.
_OF_FLAVOR = {
    "lightgbm": ["lightgbm", "numpy"], "xgboost": ["xgboost", "numpy"],
    "catboost": ["catboost", "numpy"], "sklearn": ["sklearn", "numpy"], "torch": ["torch", "numpy"],
    "onnx": ["onnxruntime", "numpy"],
}  # fmt: skip


# What takes a file's bytes and gives the model that runs code: keys are the ends of files' names.
_READERS = {".pkl": ["cloudpickle"], ".skops": ["skops", "scikit-learn"], ".pt2": ["torch"]}
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)\Z")


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


def split_requirement(line: str) -> tuple[str, str]:
    """The distribution that a requirement names, and what it says of it.

    >>> split_requirement("scikit-learn[all] >=1.5; python_version > '3'")
    ('scikit-learn', ">=1.5; python_version > '3'")
    """
    match = _NAME.match(line)
    if match is None:
        raise InvalidInput(f"'{line[:100]}' is no requirement", hint="such as scikit-learn==1.8.0")
    return match[1], match[2]


def declared(environment: Sequence[str] | str | Path, words: bool, file: str = "model.pkl") -> list[str]:
    """The requirements that an environment of the model's own must hold: lines, or a file of them.

    What every such model takes is added as it is here: NumPy, what reads its `file`, and pandas for columns of text
    (`words`).
    """
    if isinstance(environment, str | Path):
        try:
            environment = Path(environment).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{environment} cannot be read as a list of requirements: {error}") from error
    lines = {line.partition(" #")[0].strip() for line in environment}
    lines = {line for line in lines if line and not line.startswith(("#", "-"))}
    named = {split_requirement(line)[0].lower() for line in lines}
    for name in ("numpy", *_READERS[Path(file).suffix], *(["pandas"] if words else [])):
        if name not in named:
            # A build for one kind of machine ("2.8.0+cpu") is not found under its name elsewhere.
            lines.add(f"{name}=={metadata.version(name).partition('+')[0]}")
    return sorted(lines)


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
