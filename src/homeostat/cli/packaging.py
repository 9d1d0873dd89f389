"""`homeostat package MODEL[@ALIAS|/VERSION] --to DIR`: a registered version as an OCI image."""

from __future__ import annotations

import argparse

from homeostat.cli.options import add_home, workspace_of
from homeostat.core.errors import InvalidInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="MODEL, MODEL@ALIAS or MODEL/VERSION; the newest version if none is named")
    parser.add_argument("--to", metavar="DIR", required=True, help="a new folder")
    parser.add_argument("--base", metavar="LAYOUT", help="an OCI image layout with Python, as a folder or an archive")
    parser.add_argument("--wheels", metavar="DIR", help="take distributions from the wheels in this folder first")
    parser.add_argument("--use", metavar="PYTHON", help="an interpreter that has what the model's environment needs")
    parser.add_argument("--model-only", action="store_true", help="/models alone, for KServe's oci:// addresses")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    from homeostat.serving import package_image

    model, version, alias = read_reference(args.model)
    with workspace_of(args) as ws:
        image = package_image(
            ws, model, version, alias, to=args.to, base=args.base, wheels=args.wheels, model_only=args.model_only,
            use=args.use,
        )  # fmt: skip
    print(f"{image.model} version {image.version}: {len(image.layers)} layers, {image.size / 1e6:.1f} MB")
    print(f"{image.digest}  {image.folder}/image")
    print(f"push it with: skopeo copy oci:{image.folder}/image:{image.version} docker://REGISTRY/{image.model}")
    return 0


def read_reference(text: str) -> tuple[str, int | None, str | None]:
    """A model with the version or alias that is named after it.

    >>> read_reference("churn@champion"), read_reference("churn/3"), read_reference("churn")
    (('churn', None, 'champion'), ('churn', 3, None), ('churn', None, None))
    """
    model, at, alias = text.partition("@")
    if at:
        return model, None, alias
    model, slash, version = text.partition("/")
    if slash and not (version.isdigit() and len(version) < 10):
        raise InvalidInput(f"'{version}' is not a version", hint=f"{model}/3, or {model}@champion")
    return model, int(version) if slash else None, None
