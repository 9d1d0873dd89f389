"""The table of docs/mlflow.md: every public method of the client, whether it works here, and the test that shows it.

`python -m tests.mlflow.coverage` (where the client is installed) writes the table again.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

from tests.mlflow.client import ROOT, find_python

PAGE = ROOT / "docs" / "mlflow.md"
BEGIN, END = "<!-- methods: begin -->\n", "<!-- methods: end -->\n"

ASK = """
import inspect, json, mlflow
from mlflow import MlflowClient
fluent = [n for n in mlflow.__all__ if callable(getattr(mlflow, n, None)) and not inspect.isclass(getattr(mlflow, n))]
client = [n for n in dir(MlflowClient) if not n.startswith("_") and callable(getattr(MlflowClient, n))]
print(json.dumps({"mlflow": fluent, "MlflowClient": client}))
"""

# What answers NOT_IMPLEMENTED or ENDPOINT_NOT_FOUND here, by a pattern of the name.
NO = (
    (r".*mcp_.*", "no registry of MCP servers"),
    (r".*skills?(_.*)?", "no registry of skills"),
    (r".*workspaces?(_store_uri)?$", "one server is one workspace"),
    (r"(un)?link_traces_from_run$|unlink_.*", "a trace's run is set, not taken away"),
)  # fmt: skip

# What a client does by itself, or cannot be shown with the small client of the tests.
ALONE = (
    (r"add_trace|context|trace|update_current_trace|autolog|doctor|login|run|test", "in the client"),
    (r".*system_metrics.*|validate_evaluation_results|import_checkpoints", "in the client"),
    (r"test_webhook", "sends to an address on the Internet; the call itself is tested without the client"),
    (r"log_figure|log_image", "as `log_artifact`, from what the client draws"),
    (r"parse_prompt_uri|get_model_version_stages", "in the client"),
)  # fmt: skip


def public_names(told: str) -> dict[str, list[str]]:
    """The public functions of `mlflow` and methods of `MlflowClient`, from what the client printed for `ASK`."""
    return {of: sorted(names) for of, names in json.loads(told.splitlines()[-1]).items()}


def sources_of_tests() -> dict[str, str]:
    """The source of every test here, by its name."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        text = path.read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.name}::{node.name}"] = ast.get_source_segment(text, node) or ""
    return found


def shows(source: str, of: str, name: str) -> bool:
    """Whether a test calls the method."""
    before = r"\bmlflow\." if of == "mlflow" else r"(?<!\bmlflow)(?<!\bdata)(?<!\bartifacts)\."
    return re.search(rf"{before}{name}\b(?=[(,)\s])", source) is not None


def verdict(of: str, name: str, sources: dict[str, str]) -> tuple[str, str]:
    """ "yes", "no" or "client", and the test or the reason."""
    for pattern, why in NO:
        if re.fullmatch(pattern, name):
            return "no", why
    for test, source in sources.items():
        if shows(source, of, name):
            return "yes", f"`{test}`"
    for pattern, why in ALONE:
        if re.fullmatch(pattern, name):
            return "client", why
    return "", ""


def rows(text: str) -> list[tuple[str, str, str, str]]:
    """The rows of the page's table: of, name, verdict, the test or the reason."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    found = re.findall(r"^\| `(mlflow|MlflowClient)\.(\w+)` \| (\w+) \| (.*?) \|$", table, re.MULTILINE)
    return [(of, name, said, why) for of, name, said, why in found]


def main() -> None:
    """Write the table."""
    python = find_python()
    assert python is not None, "the client is not installed"
    sources = sources_of_tests()
    lines = ["| method | works | shown by, or why |", "| --- | --- | --- |"]
    told = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=True).stdout
    for of, names in public_names(told).items():
        for name in names:
            said, why = verdict(of, name, sources)
            if not said:
                print(f"nothing shows {of}.{name}")
            lines.append(f"| `{of}.{name}` | {said or 'untested'} | {why} |")
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
