from __future__ import annotations

from collections.abc import Callable

import pytest

import homeostat as hs
from homeostat.core.leases import Leases
from homeostat.testing.leases import LeaseSuite


class TestLeases(LeaseSuite):
    @pytest.fixture
    def open_leases(self, reopen: Callable[[], hs.Workspace]) -> Callable[[], Leases]:
        return lambda: reopen().leases
