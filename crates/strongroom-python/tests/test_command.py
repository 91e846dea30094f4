"""The command that comes with the package."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import strongroom


def command(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    script = Path(sysconfig.get_path("scripts")) / "strongroom"
    return subprocess.run([script, *words], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


def test_the_command_and_the_package_share_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    store = tmp_path / "store"
    assert command("--store", store, "init").returncode == 0
    done = command("--store", store, "put", tmp_path / "file", "a/b/c")
    assert done.returncode == 0 and done.stdout.endswith("  a/b/c\n"), done.stderr
    assert strongroom.open(store).load("a/b/c") == b"content"
    strongroom.open(store).store_bytes("a/b/d", b"more")
    assert command("--store", store, "cat", "a/b/d").stdout == "more"
    assert command("--store", store, "cat", "none").returncode == 4
    assert command("--none").returncode == 2


def test_the_command_says_the_version_of_the_package() -> None:
    assert command("--version").stdout == f"strongroom {strongroom.__version__}\n"
