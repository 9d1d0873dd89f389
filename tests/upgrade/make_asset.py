"""Keeps today's database for the tests of later versions: `python -m tests.upgrade.make_asset`.

Run it once when a schema version is final; `assets/VERSION.sqlite.gz` is then never made again. Beside it lie the
answers that the verbs gave (`VERSION.json`).
"""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import homeostat as hs
from homeostat.core.schema import VERSION
from tests.upgrade.story import answers, live

ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with hs.open(folder / "home") as ws:
            live(ws, folder)
            said = answers(ws)
        # Closed, the write-ahead log is folded in: one file.
        data = (folder / "home" / "homeostat.db").read_bytes()
    (ASSETS / f"{VERSION}.sqlite.gz").write_bytes(gzip.compress(data, mtime=0))
    (ASSETS / f"{VERSION}.json").write_text(json.dumps(said, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
