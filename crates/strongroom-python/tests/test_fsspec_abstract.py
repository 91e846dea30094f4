"""fsspec's own tests of file systems, on a fresh store each."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest

pytest.importorskip("fsspec")

from fsspec.tests import abstract  # noqa: E402

from strongroom.fsspec import StrongroomFileSystem  # noqa: E402


class Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, tmp_path: Path) -> StrongroomFileSystem:
        return StrongroomFileSystem(store=tmp_path / "store", create=True, cache=None)

    @pytest.fixture
    def fs_path(self) -> str:
        return "campaign/run-1"

    @pytest.fixture
    def fs_join(self):
        return posixpath.join

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, Fixtures):
    pass


class TestGet(abstract.AbstractGetTests, Fixtures):
    pass


class TestPut(abstract.AbstractPutTests, Fixtures):
    pass


if hasattr(abstract, "AbstractPipeTests"):

    class TestPipe(abstract.AbstractPipeTests, Fixtures):
        pass


if hasattr(abstract, "AbstractOpenTests"):

    class TestOpen(abstract.AbstractOpenTests, Fixtures):
        pass
