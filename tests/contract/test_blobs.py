from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import pytest

import homeostat as hs
from homeostat.core.blobs import BlobStore, digest_of
from homeostat.core.errors import Corrupt, NotFound, StorageFull, Unavailable
from homeostat.core.parts import Part
from homeostat.engines.localfs import LocalBlobs
from homeostat.engines.objectstore import ObjectBlobs
from homeostat.testing.blobs import BlobSuite
from tests.contract.object_store import VARIABLES, ObjectStore

_fresh = itertools.count()


class Answered(NamedTuple):
    headers: Message
    body: bytes


def ask(method: str, url: str, body: bytes | None = None) -> Answered:
    request = Request(url, body, {"Content-Type": "application/octet-stream"}, method=method)
    with urlopen(request, timeout=300) as answer:
        return Answered(answer.headers, answer.read())


class TestLocal(BlobSuite):
    @pytest.fixture
    def open_blobs(self, tmp_path: Path) -> Callable[[], BlobStore]:
        return lambda: LocalBlobs((tmp_path / "store").as_uri(), tmp_path)

    @pytest.fixture
    def damage(self, blobs: BlobStore) -> Callable[[str, bytes], None]:
        return lambda digest, data: blobs.local_path(digest).write_bytes(data) and None

    def test_a_killed_writer_leaves_nothing_half(self, blobs: BlobStore, tmp_path: Path):
        """The writer dies after half the bytes are on disk, before the name is given."""
        script = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from homeostat.engines.localfs import LocalBlobs\n"
            "store = LocalBlobs(sys.argv[1], Path(sys.argv[2]))\n"
            "def half(file):\n"
            "    file.write(b'x' * 500_000); file.flush()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "store._keep(half)\n"
        )
        done = subprocess.run([sys.executable, "-c", script, (tmp_path / "store").as_uri(), str(tmp_path)], check=False)
        assert done.returncode == -9
        assert not blobs.exists(digest_of(b"x" * 500_000))
        assert len(list((tmp_path / "store" / "incoming").iterdir())) == 1
        arriving = blobs.receive()
        LocalBlobs((tmp_path / "store").as_uri(), tmp_path)
        (left,) = (tmp_path / "store" / "incoming").iterdir()  # that of the living process
        arriving.write(b"whole")
        arriving.keep()
        assert not left.exists()
        assert blobs.get_bytes(blobs.put_bytes(b"x" * 500_000)) == b"x" * 500_000

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
    def test_a_full_disk_says_so(self, blobs: BlobStore, tmp_path: Path):
        incoming = tmp_path / "store" / "incoming"
        kept = blobs.put_bytes(b"kept")
        script = (
            "import resource, sys\n"
            "from pathlib import Path\n"
            "import signal\n"
            "from homeostat.engines.localfs import LocalBlobs\n"
            "from homeostat.core.errors import StorageFull\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "store = LocalBlobs(sys.argv[1], Path(sys.argv[2]))\n"
            "try:\n"
            "    store.put_bytes(b'y' * 500_000)\n"
            "except StorageFull as error:\n"
            "    print(error.message)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, (tmp_path / "store").as_uri(), str(tmp_path)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert "no space left for bytes" in done.stdout
        assert list(incoming.iterdir()) == []
        assert blobs.get_bytes(kept) == b"kept"
        assert StorageFull.status == 507


class TestMemory(BlobSuite):
    @pytest.fixture
    def open_blobs(self, tmp_path: Path) -> Callable[[], BlobStore]:
        url, home = f"memory://fresh-{os.getpid()}-{next(_fresh)}/prefix", tmp_path / "store"
        return lambda: ObjectBlobs(url, home)

    @pytest.fixture
    def damage(self, blobs: ObjectBlobs) -> Callable[[str, bytes], None]:
        return lambda digest, data: blobs._put(digest, data)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    server = ObjectStore()
    yield server
    server.stop()


class TestS3(BlobSuite):
    @pytest.fixture
    def bucket(self, server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
        for name, value in {**VARIABLES, "AWS_ENDPOINT_URL": server.endpoint}.items():
            monkeypatch.setenv(name, value)
        return server.new_bucket()

    @pytest.fixture
    def open_blobs(self, bucket: str, tmp_path: Path) -> Callable[[], BlobStore]:
        return lambda: ObjectBlobs(f"s3://{bucket}/some/prefix", tmp_path / "store")

    @pytest.fixture
    def damage(self, server: ObjectStore, bucket: str) -> Callable[[str, bytes], None]:
        def replace(digest: str, data: bytes) -> None:
            assert server.request("PUT", f"/{bucket}/some/prefix/{digest[:2]}/{digest}", data) == 200

        return replace

    def test_a_bucket_that_is_not_there_says_so(self, server: ObjectStore, blobs: BlobStore, tmp_path: Path):
        elsewhere = ObjectBlobs("s3://no-such-bucket", tmp_path / "store")
        with pytest.raises(Unavailable, match="does not answer as it should"):
            elsewhere.put_bytes(b"x")

    def test_a_part_is_put_and_bytes_are_read_without_us(self, blobs: BlobStore) -> None:
        upload = blobs.parts.begin(b"")
        part = blobs.parts.address(upload, 1, 60)
        assert part is not None
        tag = ask("PUT", part.url, b"signed").headers["ETag"].strip('"')
        incoming = blobs.receive()
        blobs.parts.pour(upload, [Part(number=1, tag=tag)], incoming)
        digest = incoming.keep().digest
        assert blobs.signs
        assert ask("GET", blobs.address(digest, 60)).body == b"signed"
        with pytest.raises(NotFound):
            blobs.address(digest_of(b"not kept"), 60)

    def test_what_is_read_is_what_was_put(self, blobs: BlobStore, damage: Callable[[str, bytes], None]) -> None:
        digest = blobs.put_bytes(b"far away")
        damage(digest, b"far astray")
        with pytest.raises(Corrupt):
            blobs.local_path(digest)

    def test_a_workspace_keeps_its_bytes_there(
        self, server: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        monkeypatch.setenv("HOMEOSTAT_BYTES", f"s3://{bucket}/ws")
        with hs.open(tmp_path / "store" / "home") as ws:
            digest = ws.blobs.put_bytes(b"far away")
        assert server.request("HEAD", f"/{bucket}/ws/{digest[:2]}/{digest}") == 200
