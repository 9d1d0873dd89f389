"""`homeostat deploy MODEL --to kubernetes --image IMAGE --out DIR`: manifests for a cluster; `--to ray`: replicas."""

from __future__ import annotations

import argparse
from pathlib import Path

from homeostat.cli.options import add_home, workspace_of
from homeostat.cli.packaging import read_reference
from homeostat.core.errors import InvalidInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="MODEL, MODEL@ALIAS or MODEL/VERSION; the newest version if none is named")
    parser.add_argument("--to", choices=["kubernetes", "ray"], required=True, help="what serves it")
    parser.add_argument("--out", metavar="DIR", help="kubernetes: a new folder")
    parser.add_argument("--image", help="kubernetes: where the image was pushed to: registry/name@sha256:…")
    parser.add_argument("--storage", default="", help="KServe: fetch the model from this address (s3://…, pvc://…)")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--min-replicas", type=int, default=1)
    parser.add_argument("--max-replicas", type=int, default=4)
    parser.add_argument("--cpu", default="1", help="what a pod or replica asks for")
    parser.add_argument("--memory", default="1Gi", help="what a pod may use")
    parser.add_argument("--token-secret", default="", help="a Secret whose key 'tokens' lists who may ask")
    parser.add_argument("--address", default="auto", help="ray: the cluster (default: the one that runs here)")
    parser.add_argument("--host", default="127.0.0.1", help="ray: the address that replicas listen on")
    parser.add_argument("--port", type=int, default=8080, help="ray: the port that replicas listen on")
    parser.add_argument("--token-file", metavar="FILE", help="ray: who may ask: a token a line")
    parser.add_argument("--open", action="store_true", help="ray: anyone who reaches the port may ask")
    parser.add_argument("--remove", action="store_true", help="ray: end the model's replicas")
    add_home(parser)


def run(args: argparse.Namespace) -> int:
    if args.to == "ray":
        return _on_ray(args)
    if args.image is None or args.out is None:
        raise InvalidInput("for a cluster, an image and a folder are needed", hint="--image IMAGE --out DIR")
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


def _on_ray(args: argparse.Namespace) -> int:
    from homeostat.serving import deploy_on_ray, remove_from_ray

    model, version, alias = read_reference(args.model)
    if args.remove:
        remove_from_ray(model, args.address)
        print(f"{model} is no longer served on Ray")
        return 0
    try:
        cpu = float(args.cpu)
    except ValueError:
        raise InvalidInput(f"--cpu {args.cpu}", hint="Ray counts cores: such as 0.5 or 2") from None
    tokens = Path(args.token_file).read_text(encoding="utf-8") if args.token_file is not None else ""
    with workspace_of(args) as ws:
        found = deploy_on_ray(
            ws, model, version, alias, address=args.address, host=args.host, port=args.port,
            min_replicas=args.min_replicas, max_replicas=args.max_replicas, cpu=cpu, open_to_all=args.open,
            tokens=tokens,
        )  # fmt: skip
    print(f"{found.model} version {found.version}: {found.replicas} replicas on Ray as '{found.app}', {found.url}")
    return 0
