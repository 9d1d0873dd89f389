"""What `homeostat.core.blobs.BlobStore` promises, wherever the bytes lie."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest

from homeostat.core.blobs import BlobStore
from homeostat.core.clock import now_ms
from homeostat.core.errors import Corrupt, InvalidInput, NotFound
from homeostat.core.parts import Part, Parts
from homeostat.core.records import canonical_json

NOWHERE = "0" * 64


class BlobSuite:
    """Tests of a blob store. `open_blobs` opens the same, at first empty, store each time it is called; `damage`
    replaces the bytes kept under a digest by others, as a failing disk would."""

    @pytest.fixture
    def open_blobs(self) -> Callable[[], BlobStore]:
        raise NotImplementedError("give the suite a fixture that returns a function that opens the store")

    @pytest.fixture
    def damage(self) -> Callable[[str, bytes], None]:
        raise NotImplementedError("give the suite a fixture that returns a function (digest, bytes) that damages")

    @pytest.fixture
    def blobs(self, open_blobs: Callable[[], BlobStore]) -> BlobStore:
        return open_blobs()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "folder"
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "a.txt").write_bytes(b"a")
        (folder / "deep" / "same.txt").write_bytes(b"a")
        (folder / "deep" / "er" / "Ω 1.bin").write_bytes(bytes(range(256)) * 100)
        (folder / "deep" / "empty").write_bytes(b"")
        return folder

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 12_000], ids=["empty", "one byte", "3 MB"])
    def test_bytes_come_back_under_their_digest(self, blobs: BlobStore, data: bytes) -> None:
        digest = blobs.put_bytes(data)
        assert digest == blake3.blake3(data).hexdigest()
        assert blobs.get_bytes(digest) == data
        assert blobs.local_path(digest).read_bytes() == data
        assert blobs.exists(digest)

    def test_a_file_is_its_bytes(self, blobs: BlobStore, tmp_path: Path) -> None:
        data = bytes(range(256)) * 12_000
        (tmp_path / "file").write_bytes(data)
        assert blobs.put_file(tmp_path / "file") == blobs.put_bytes(data)
        assert (tmp_path / "file").read_bytes() == data

    def test_only_what_was_put_before_is_removed(self, blobs: BlobStore) -> None:
        digest = blobs.put_bytes(b"short-lived")
        (entry,) = blobs.entries()
        assert (entry.digest, entry.size) == (digest, 11)
        assert blobs.beginning(digest) == b"s"
        assert blobs.beginning(blobs.put_bytes(b"")) == b""
        assert not blobs.remove(digest, entry.put_ms - 5_000)
        assert blobs.get_bytes(digest) == b"short-lived"
        assert blobs.remove(digest, entry.put_ms + 5_000)
        assert not blobs.exists(digest)
        assert not blobs.remove(digest, entry.put_ms + 5_000)
        with pytest.raises(NotFound):
            blobs.local_path(digest)
        assert blobs.put_bytes(b"short-lived") == digest
        assert blobs.get_bytes(digest) == b"short-lived"

    def test_a_file_may_arrive_in_pieces(self, blobs: BlobStore) -> None:
        pieces = [b"", b"one", bytes(range(256)) * 12_000, bytearray(b"two")]
        whole = b"".join(pieces)
        incoming = blobs.receive()
        for piece in pieces:
            incoming.write(piece)
        kept = incoming.keep()
        assert (kept.digest, kept.size, incoming.size) == (blake3.blake3(whole).hexdigest(), len(whole), len(whole))
        assert blobs.get_bytes(kept.digest) == whole
        incoming.drop()
        assert blobs.get_bytes(kept.digest) == whole

    def test_what_is_dropped_on_its_way_is_not_kept(self, blobs: BlobStore) -> None:
        incoming = blobs.receive()
        incoming.write(b"half of it")
        incoming.drop()
        incoming.drop()
        assert list(blobs.digests()) == []

    def test_a_file_may_arrive_in_parts(self, blobs: BlobStore, open_blobs: Callable[[], BlobStore]) -> None:
        upload = blobs.parts.begin(b"what it is for")
        for number, data in ((3, b"third"), (1, b"wrong"), (2, b""), (1, bytes(range(256)) * 12_000)):
            send(open_blobs().parts, upload, number, data)
        tags = {number: send(blobs.parts, upload, number, data) for number, data in ((2, b"second"), (4, b"unused"))}
        parts = [Part(number=1), Part(number=2, tag=tags[2]), Part(number=3)]
        whole = bytes(range(256)) * 12_000 + b"secondthird"
        assert blobs.parts.about(upload) == b"what it is for"
        assert blobs.parts.size(upload, parts) == len(whole)
        incoming = blobs.receive()
        blobs.parts.pour(upload, parts, incoming)
        assert blobs.get_bytes(incoming.keep().digest) == whole
        assert [entry.size for entry in blobs.entries()] == [len(whole)]
        for wrong, match in (
            (Part(number=5), "part 5 of the upload is not there"),
            (Part(number=1, tag="x"), "another"),
        ):
            with pytest.raises(InvalidInput, match=match):
                blobs.parts.pour(upload, [wrong], blobs.receive())
        blobs.parts.drop(upload)
        blobs.parts.drop(upload)
        for ask in (blobs.parts.about, lambda name: send(blobs.parts, name, 1, b"late")):
            with pytest.raises(NotFound, match="there is no upload"):
                ask(upload)

    @pytest.mark.parametrize("name", ["", "..", "../../etc", "0" * 31, "0" * 33, "F" * 32, "0" * 32 + "\n"])
    def test_only_an_upload_takes_parts(self, blobs: BlobStore, name: str) -> None:
        for ask in (blobs.parts.about, blobs.parts.drop, lambda upload: send(blobs.parts, upload, 1, b"x")):
            with pytest.raises(NotFound, match="there is no upload"):
                ask(name)

    def test_uploads_that_nobody_completes_are_swept(self, blobs: BlobStore) -> None:
        upload = blobs.parts.begin(b"left behind")
        send(blobs.parts, upload, 1, b"half of it")
        assert blobs.parts.sweep(now_ms() - 60_000) == 0
        assert blobs.parts.about(upload) == b"left behind"
        assert blobs.parts.sweep(now_ms() + 60_000) == 1
        assert blobs.parts.sweep(now_ms() + 60_000) == 0
        with pytest.raises(NotFound, match="there is no upload"):
            blobs.parts.about(upload)

    def test_everything_kept_is_listed(self, blobs: BlobStore, open_blobs: Callable[[], BlobStore]) -> None:
        assert list(blobs.digests()) == []
        kept = {blobs.put_bytes(bytes([number])) for number in range(30)}
        blobs.put_bytes(bytes([1]))
        assert sorted(open_blobs().digests()) == sorted(kept)

    def test_another_opening_sees_them(self, blobs: BlobStore, open_blobs: Callable[[], BlobStore]) -> None:
        digest = blobs.put_bytes(b"seen")
        assert open_blobs().get_bytes(digest) == b"seen"

    def test_what_is_not_kept_is_not_found(self, blobs: BlobStore) -> None:
        assert not blobs.exists(NOWHERE)
        with pytest.raises(NotFound, match="no bytes"):
            blobs.get_bytes(NOWHERE)
        with pytest.raises(NotFound, match="no bytes"):
            blobs.local_path(NOWHERE)
        with pytest.raises(NotFound, match="no bytes"):
            blobs.get_tree(NOWHERE)

    @pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a" * 63, "A" * 64, "0" * 64 + "\n", "0" * 65])
    def test_only_a_digest_names_bytes(self, blobs: BlobStore, name: str) -> None:
        for ask in (blobs.get_bytes, blobs.exists, blobs.local_path):
            with pytest.raises(InvalidInput, match="not a digest"):
                ask(name)

    def test_damaged_bytes_are_not_given_out(self, blobs: BlobStore, damage: Callable[[str, bytes], None]) -> None:
        digest = blobs.put_bytes(b"as written")
        damage(digest, b"as rotten!")
        with pytest.raises(Corrupt, match="damaged"):
            blobs.get_bytes(digest)

    def test_a_cut_off_copy_is_not_given_out(self, blobs: BlobStore, damage: Callable[[str, bytes], None]) -> None:
        digest = blobs.put_bytes(b"as written")
        damage(digest, b"as wri")
        with pytest.raises(Corrupt, match="damaged"):
            blobs.get_bytes(digest)

    def test_many_may_put_the_same_at_once(self, blobs: BlobStore) -> None:
        data = b"popular" * 50_000
        given: list[str] = []
        threads = [threading.Thread(target=lambda: given.append(blobs.put_bytes(data))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(given) == {blake3.blake3(data).hexdigest()}
        assert len(given) == 8
        assert blobs.get_bytes(given[0]) == data

    def test_a_folder_comes_back_whole(self, blobs: BlobStore, folder: Path, tmp_path: Path) -> None:
        tree = blobs.put_tree(folder)
        assert set(tree.files) == {"a.txt", "deep/same.txt", "deep/er/Ω 1.bin", "deep/empty"}
        assert tree.files["a.txt"] == tree.files["deep/same.txt"]
        assert tree.size == 2 + 25_600
        assert blobs.get_tree(tree.digest) == tree
        target = blobs.materialise_tree(tree.digest, tmp_path / "again")
        assert contents(target) == contents(folder)

    def test_equal_folders_have_equal_names(self, blobs: BlobStore, folder: Path, tmp_path: Path) -> None:
        tree = blobs.put_tree(folder)
        twin = tmp_path / "twin"
        for relative in sorted(tree.files, reverse=True):
            (twin / relative).parent.mkdir(parents=True, exist_ok=True)
            (twin / relative).write_bytes((folder / relative).read_bytes())
        assert blobs.put_tree(twin).digest == tree.digest
        (twin / "a.txt").write_bytes(b"b")
        assert blobs.put_tree(twin).digest != tree.digest

    def test_an_empty_folder_is_a_tree(self, blobs: BlobStore, tmp_path: Path) -> None:
        (tmp_path / "nothing").mkdir()
        tree = blobs.put_tree(tmp_path / "nothing")
        assert tree.files == {}
        assert contents(blobs.materialise_tree(tree.digest, tmp_path / "again")) == {}

    def test_a_link_is_refused(self, blobs: BlobStore, folder: Path) -> None:
        (folder / "link").symlink_to("/etc/hostname")
        with pytest.raises(InvalidInput, match="is a link"):
            blobs.put_tree(folder)

    @pytest.mark.parametrize("name", ["../out", "/out", "deep/../../out", "deep\\..\\out", "a\x00b", ""])
    def test_a_forged_tree_writes_nothing_outside(self, blobs: BlobStore, tmp_path: Path, name: str) -> None:
        content = blobs.put_bytes(b"evil")
        forged = blobs.put_bytes(canonical_json({name: {"digest": content, "size": 4}}).encode())
        with pytest.raises(InvalidInput, match="does not lie inside"):
            blobs.materialise_tree(forged, tmp_path / "target")
        assert contents(tmp_path) == {}

    def test_a_damaged_file_is_not_left_in_a_folder(
        self, blobs: BlobStore, folder: Path, tmp_path: Path, damage: Callable[[str, bytes], None]
    ) -> None:
        tree = blobs.put_tree(folder)
        damage(tree.files["deep/er/Ω 1.bin"].digest, b"rotten")
        with pytest.raises(Corrupt, match="damaged"):
            blobs.materialise_tree(tree.digest, tmp_path / "again")
        assert not (tmp_path / "again" / "deep" / "er" / "Ω 1.bin").exists()


def send(parts: Parts, upload: str, number: int, data: bytes) -> str:
    """Send `data` as a part through this machine."""
    incoming = parts.receive(upload, number)
    try:
        incoming.write(data)
        return incoming.keep()
    finally:
        incoming.drop()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes, but for what a store keeps there itself."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "store" not in path.relative_to(folder).parts
    }
