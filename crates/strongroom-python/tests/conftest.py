"""What tests have in common."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import strongroom

# Helpers that tests import by name.
sys.path.insert(0, os.path.dirname(__file__))

_NUMBERS = itertools.count()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is to be tried, what is skipped is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the environment is not the tests' business."""
    monkeypatch.setenv("STRONGROOM_CACHE", "off")
    for name in ("STRONGROOM_STORE", "STRONGROOM_SINGLE_WRITER", "STRONGROOM_CACHE_CONTENT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet."""
    return str(tmp_path / "store") if request.param == "folder" else f"memory://{next(_NUMBERS)}"


@pytest.fixture
def store(url: str) -> Iterator[strongroom.Store]:
    """An empty content store."""
    yield strongroom.create(url)


@pytest.fixture
def plain(url: str) -> strongroom.Storage:
    """An empty plain storage."""
    return strongroom.open_storage(url)


@pytest.fixture
def folder_store(tmp_path: Path) -> strongroom.Store:
    """An empty content store in a folder, which other processes see too."""
    return strongroom.create(tmp_path / "store")


@pytest.fixture(params=["store", "plain"])
def storage(request: pytest.FixtureRequest, url: str) -> strongroom.Storage:
    """A content store or a plain storage: what holds for both."""
    return strongroom.create(url) if request.param == "store" else strongroom.open_storage(url)
