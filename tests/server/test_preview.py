"""A run's files under this server's address: shown without power, or not at all."""

from __future__ import annotations

import pytest

from tests.server.running import Running

FILES = {
    "report.html": b"<script>alert(1)</script>",
    "plots/roc.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "data.xml": b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>",
    "notes.txt": b"<script>alert(1)</script>",
    "model.pkl": b"x",
    "page.xhtml": b"<html/>",
    "big.txt": b"".join(b"line %d\n" % n for n in range(500_000)),
    "tone.wav": b"RIFF",
}


@pytest.fixture
def run(server: Running) -> str:
    tracking = server.workspace.tracking
    run = tracking.create_run(id="r1")
    for path, data in FILES.items():
        tracking.log_artifact(run.id, path, data)
    return run.id


def test_what_is_shown_has_no_power(server: Running, run: str):
    kinds = {"report.html": "text/html", "plots/roc.svg": "image/svg+xml", "data.xml": "text/plain",
             "notes.txt": "text/plain", "tone.wav": "audio/wav"}  # fmt: skip
    for path, kind in kinds.items():
        answer = server.request("GET", f"/preview/{run}/{path}")
        assert (answer.status, answer.body) == (200, FILES[path])
        headers = {name.lower(): value for name, value in answer.headers.items()}
        assert headers["content-type"].startswith(kind)
        assert headers["x-content-type-options"] == "nosniff"
        policy = [part.strip() for part in headers["content-security-policy"].split(";")]
        assert "sandbox" in policy and "default-src 'none'" in policy and "frame-ancestors 'self'" in policy


def test_of_a_long_text_either_end_is_shown_in_whole_lines(server: Running, run: str):
    head = server.request("GET", f"/preview/{run}/big.txt?part=head")
    tail = server.request("GET", f"/preview/{run}/big.txt?part=tail")
    assert head.status == tail.status == 200
    assert head.body.startswith(b"line 0\nline 1\n") and head.body.endswith(b"\n") and len(head.body) <= 256 << 10
    assert tail.body.startswith(b"line ") and tail.body.endswith(b"line 499999\n") and len(tail.body) <= 256 << 10
    assert server.request("GET", f"/preview/{run}/notes.txt?part=tail").body == FILES["notes.txt"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("r1/model.pkl", 400), ("r1/page.xhtml", 400), ("r1/big.txt", 413), ("r1/none.txt", 404),
        ("gone/notes.txt", 404), ("r1/../../etc/passwd", 400), ("r1/..%2f..%2fetc%2fpasswd", 400),
        ("r1/%2e%2e/secret.txt", 400), ("r1/a%00.txt", 400), ("r%001/notes.txt", 400),
        ("r1/notes.txt?part=middle", 400), ("r1/gone.txt?part=tail", 404),
        ("r1//etc/passwd", 400), ("r1/a%5c..%5cb.txt", 400),
    ],
)  # fmt: skip
def test_what_is_not_shown_says_why(server: Running, run: str, path: str, status: int):
    answer = server.request("GET", f"/preview/{path}")
    assert answer.status == status
    assert answer.json["error"]["message"]
