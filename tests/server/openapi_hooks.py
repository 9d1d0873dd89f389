"""What Schemathesis cannot make from our OpenAPI by itself. Run by its own Python, which has nothing of ours.

Bodies of Arrow's format: whole ones, whose files `HOMEOSTAT_ARROW` names, and the same cut off, changed or lengthened.
Paths of this machine are led below the folder that `HOMEOSTAT_BELOW` names: what a case makes up must not read, or
write to, anything else.
"""

import os
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

ARROW = "application/vnd.apache.arrow.stream"
LOCAL = ("path", "folder", "project", "destination", "dest", "database")

whole = [path.read_bytes() for path in sorted(Path(os.environ["HOMEOSTAT_ARROW"]).iterdir())]
below = os.environ["HOMEOSTAT_BELOW"]


@st.composite
def arrow(draw):
    data = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["cut", "change", "insert"]))
        if what == "cut":
            data = data[:at]
        elif what == "change":
            piece = draw(st.binary(min_size=1, max_size=8))
            data = data[:at] + piece + data[at + len(piece) :]
        else:
            data = data[:at] + draw(st.binary(max_size=64)) + data[at:]
    return data


schemathesis.openapi.media_type(ARROW, arrow())


@schemathesis.check
def no_fault_of_ours(ctx, response, case):
    """A failure of the server's, but what it says itself that it cannot do, or not now."""
    if response.status_code < 500:
        return
    told = response.json()
    code = told["error_code"] if "error_code" in told else told["error"]["code"]
    expected = {501: ("NOT_IMPLEMENTED", "missing_extra"), 503: ("TEMPORARILY_UNAVAILABLE", "unavailable")}
    assert code in expected.get(response.status_code, ()), f"{response.status_code} {code}"


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and "/api/v1/" in getattr(context.operation, "path", ""):
        for name in LOCAL:
            if isinstance(body.get(name), str):
                body[name] = os.path.join(below, body[name].replace("..", "").lstrip("/")) if body[name] else below
    return body
