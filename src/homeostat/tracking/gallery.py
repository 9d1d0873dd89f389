"""What runs logged to be looked at: images, figures, histograms, tables, texts and sounds, by key and step."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.delivery import MEDIA_INDEX
from homeostat.tracking.media import Media

_RUNS, _ENTRIES, _INDEX_BYTES = 50, 5000, 8 << 20
# As MLflow's clients name what `log_image(image, key=…, step=…)` keeps.
_MLFLOW = re.compile(r"images/(.+)\+step\+(\d+)\+timestamp\+(\d+)\+[0-9a-f-]+\.png")


@verb(permission="tracking:read")
def list_media(ws: Workspace, ids: list[str]) -> dict[str, list[Media]]:
    """What `log_image`, `log_figure`, `log_histogram`, `log_table`, `log_text` and `log_audio` kept, by run, in the
    order of steps; and what MLflow's `log_image` kept with a key.

    At most 50 runs, of each the last 5000 entries. A run that has none, or does not exist, is left out; read what an
    entry names with `read_artifact(id, entry.path)`.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     with hs.run(ws=ws) as run:
    ...         path = run.log_text("summary", "better", step=3)
    ...     [(m.kind, m.key, m.step, m.path == path) for m in ws.tracking.list_media([run.id])[run.id]]
    [('text', 'summary', 3, True)]
    """
    if len(ids) > _RUNS:
        raise InvalidInput(f"{len(ids)} runs", hint=f"at most {_RUNS} at a time")
    rows = ws.db.read(lambda c: _files(c, ids))
    found: dict[str, list[Media]] = {}
    for run_id, path, digest, size, at_ms in rows:
        if path != MEDIA_INDEX:
            found.setdefault(run_id, []).extend(_of_mlflow(path, at_ms))
        elif size <= _INDEX_BYTES:
            found.setdefault(run_id, []).extend(_of_index(ws, digest))
    return {
        run_id: sorted(entries, key=lambda entry: (entry.step, entry.at_ms))[-_ENTRIES:]
        for run_id, entries in found.items()
        if entries
    }


def _files(c: sa.Connection, ids: list[str]) -> list[tuple[str, str, str, int, int]]:
    table = store.artifact
    query = (
        sa.select(store.run.c.id, table.c.path, table.c.digest, table.c.size, table.c.at_ms)
        .join(store.run, store.run.c.seq == table.c.run_seq)
        .where(
            store.run.c.id.in_(ids),
            sa.or_(table.c.path == MEDIA_INDEX, sa.and_(table.c.path > "images/", table.c.path < "images0")),
        )
    )
    return [tuple(row) for row in c.execute(query)]


def _of_index(ws: Workspace, digest: str) -> Iterable[Media]:
    """The entries of an index. It is a file like others, and whoever may log may have written anything into it."""
    try:
        told = msgspec.json.decode(ws.blobs.get_bytes(digest))
    except (msgspec.DecodeError, NotFound):
        return
    for entry in told if isinstance(told, list) else []:
        try:
            yield msgspec.convert(entry, Media)
        except msgspec.ValidationError:
            continue


def _of_mlflow(path: str, at_ms: int) -> Iterable[Media]:
    if named := _MLFLOW.fullmatch(path):
        key, step, logged = named.groups()
        at = int(logged) if len(logged) < 16 else at_ms
        yield Media(path=path, kind="image", key=key.replace("~", "/"), step=int(step), at_ms=at)
