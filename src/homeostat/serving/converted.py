"""Models that an MLflow client logged, as packages of ours: converted once on each machine that serves them.

The version stays what was registered. Beside its files lies the package made of them, with the digest of each file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import HomeostatError, Refused
from homeostat.core.records import from_json, to_json
from homeostat.core.version import VERSION
from homeostat.core.workspace import Workspace
from homeostat.registry import (
    FoundModel,
    ModelVersion,
    Package,
    build_package,
    made_here,
    read_layout,
)
from homeostat.serving.environments import needs_of, python_for
from homeostat.serving.package import REQUIREMENTS, read_package
from homeostat.serving.planes import served_here
from homeostat.serving.unpacked import intact, put, unpack

_DIGESTS = "digests.json"


def package_folder(ws: Workspace, version: ModelVersion) -> tuple[Path, dict[str, str]]:
    """The folder with the version as a package of ours, and the digest of each of its files.

    Raises: Refused and InvalidInput as `check_form`; Corrupt for files that are not those registered.
    """
    folder = unpack(ws, version)
    if version.flavor != "mlflow":
        return folder, version.files
    # Another release may convert otherwise.
    place = folder.with_name(f"{version.digest}-{VERSION}")
    if not _whole(place):
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".converting-") as scratch:
            fresh = Path(scratch) / "package"
            build_package(_found(ws, version, folder), fresh, allow_code=made_here(ws, version))
            files = {
                path.relative_to(fresh).as_posix(): digest_of_file(path)
                for path in sorted(fresh.rglob("*"))
                if path.is_file()
            }
            (fresh / _DIGESTS).write_text(to_json(files))
            put(fresh, place, _whole)
    return place, from_json((place / _DIGESTS).read_bytes(), dict[str, str])


def check_form(ws: Workspace, version: ModelVersion) -> None:
    """Whether there is a runtime here for what was registered; nothing of the model is loaded.

    Raises: Refused for a version that lies elsewhere, a pickle or own code that nobody here has made, or one whose
    environment is not on this machine; InvalidInput for a model of MLflow's that cannot be asked.
    """
    if version.flavor == "mlflow" and _found(ws, version, unpack(ws, version)).form != "pyfunc":
        return
    if version.flavor == "mlflow" or REQUIREMENTS in version.files:
        # What runs on other machines is told by them when they load it.
        if "://" not in ws.url or served_here(ws):
            folder, _ = package_folder(ws, version)
            interpreter(ws, version, folder, read_package(folder))
    elif version.flavor == "other":
        raise Refused(
            f"version {version.version} of '{version.model}' is no model that is kept here: it lies at "
            f"{version.source[:200] or 'no address'}",
            hint="bring its folder with `homeostat import folder`",
        )


def interpreter(ws: Workspace, version: ModelVersion, folder: Path, package: Package) -> Path | None:
    """The Python that the package is served with; None for the one that runs here. Raises: Refused."""
    needs = needs_of(folder, package)
    return None if needs is None else python_for(ws, needs, f"{version.model}/{version.version}")


def _found(ws: Workspace, version: ModelVersion, folder: Path) -> FoundModel:
    (found,) = read_layout(folder, version.model)
    if found.form in ("pickle", "torch", "pyfunc") and not made_here(ws, version):
        what = "code" if found.form == "pyfunc" else "a pickle"
        raise Refused(
            f"version {version.version} of '{version.model}' is {what} that no run of this workspace has made",
            hint="register it from a run, or log it as ONNX or with skops",
        )
    return found


def _whole(place: Path) -> bool:
    try:
        files = from_json((place / _DIGESTS).read_bytes(), dict[str, str])
    except (OSError, HomeostatError):
        return False
    return intact(place, files)
