#!/usr/bin/env bash
# Pins every dependency of pyproject.toml into requirements/*.txt, for all supported Pythons at once.
# `tools/pin.sh` keeps what still fits; `tools/pin.sh --upgrade` takes the newest of everything.
# No addresses are written: the files work with whatever index the machine is set up for.
set -eu
cd "$(dirname "$0")/.."
pin() {
  out=requirements/$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links "$@" pyproject.toml --output-file "$out"
}
pin dev.txt --extra demo --extra postgres --extra s3 --extra xgboost --extra catboost --extra skops --group test --group lint --group docs "$@"
pin demo.txt --extra demo --constraints requirements/dev.txt
pin_group() {
  uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links --group "pyproject.toml:$1" --output-file "requirements/$1.txt" "${@:2}"
}
pin_group web --constraints requirements/dev.txt
# The client is MLflow's whole package, one wheel, with the dependencies of its small form only: it is installed without
# asking for more.
pin_group mlflow-client --no-emit-package mlflow-skinny "$@"
echo mlflow | uv pip compile --quiet --no-deps --no-header --no-annotate --no-emit-index-url --no-emit-find-links - \
  >> requirements/mlflow-client.txt
pin_group kserve-client "$@"
pin_group schemathesis-client "$@"
