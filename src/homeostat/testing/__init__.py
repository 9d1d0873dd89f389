"""Contract suites: what every database, blob store and lease table promises, as tests anyone can run on their own.

A suite is a class of plain tests. Give it an engine through its one fixture and pytest does the rest:

    class TestMyStore(BlobSuite):
        @pytest.fixture
        def open_blobs(self, tmp_path):
            return lambda: MyStore(tmp_path)

Needs pytest.
"""
