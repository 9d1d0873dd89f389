"""`homeostat serve --model-dir DIR`: the models in a folder, served without a workspace."""

from __future__ import annotations

import argparse

from homeostat.core.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # The spellings with an underscore are those that KServe's own servers take.
    parser.add_argument("--model-dir", "--model_dir", default="/mnt/models", help="the folder (default: /mnt/models)")
    parser.add_argument("--name", "--model-name", "--model_name", help="what a single model is called")
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", "--http-port", "--http_port", type=int, help="the port (default 8080); 0: a free one")
    parser.add_argument("--grpc-port", "--grpc_port", type=int, help="a port for gRPC alone; --port answers gRPC too")
    parser.add_argument("--token-file", metavar="FILE", help="who may ask: a token a line")
    parser.add_argument("--open", action="store_true", help="anyone who reaches the port may ask")
    parser.add_argument("--allow-code", action="store_true", help="run pickled models, each in a process of its own")
    parser.add_argument("--use", metavar="PYTHON", action="append", default=[],
                        help="an interpreter for models that declare an environment; may be said again")  # fmt: skip
    parser.add_argument("--share", metavar="NAME", help="servers of this machine that name the same share their port")
    parser.add_argument("--ready-file", metavar="FILE", help="made when every model answers")
    parser.add_argument("--supervised", action="store_true", help="end when standard input does")
    parser.add_argument("--home", metavar="DIR", help="keep a workspace there, with a log of predictions")


def run(args: argparse.Namespace) -> int:
    from homeostat.serving.model_server import main_log, serve_folder

    main_log()
    settings = Settings()
    serve_folder(
        args.model_dir,
        name=args.name,
        host=args.host or settings.host,
        port=settings.serve_port if args.port is None else args.port,
        grpc_port=args.grpc_port,
        allow_code=args.allow_code,
        use=args.use,
        open_to_all=args.open,
        token_file=args.token_file,
        home=args.home,
        share=args.share,
        ready_file=args.ready_file,
        supervised=args.supervised,
    )
    return 0
