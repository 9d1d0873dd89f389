"""`homeostat deploy MODEL --to kubernetes --image IMAGE --out DIR`: manifests for a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

from homeostat.cli.options import add_home, workspace_of
from homeostat.cli.packaging import read_reference
from homeostat.core.errors import InvalidInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="MODEL, MODEL@ALIAS or MODEL/VERSION; the newest version if none is named")
    parser.add_argument("--to", choices=["kubernetes"], required=True, help="what serves it")
    parser.add_argument("--out", metavar="DIR", required=True, help="a new folder")
    parser.add_argument("--image", required=True, help="where the image was pushed to: registry/name@sha256:…")
    parser.add_argument("--storage", default="", help="KServe: fetch the model from this address (s3://…, pvc://…)")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--min-replicas", type=int, default=1)
    parser.add_argument("--max-replicas", type=int, default=4)
    parser.add_argument("--cpu", default="1", help="what a pod asks for")
    parser.add_argument("--memory", default="1Gi", help="what a pod may use")
    parser.add_argument("--token-secret", default="", help="a Secret whose key 'tokens' lists who may ask")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    model, version, alias = read_reference(args.model)
    folder = Path(args.out)
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} is not empty", hint="name a new folder")
    with workspace_of(args) as ws:
        found = ws.serving.manifests(
            model, args.image, version=version, alias=alias, namespace=args.namespace, min_replicas=args.min_replicas,
            max_replicas=args.max_replicas, cpu=args.cpu, memory=args.memory, storage=args.storage,
            token_secret=args.token_secret,
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        (folder / one.file).write_text(one.text, encoding="utf-8")
        print(f"{folder / one.file}: kubectl apply -f {folder / one.file}")
    return 0
