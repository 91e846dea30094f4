"""The command that comes with the package."""

from __future__ import annotations

import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import strongroom
from strongroom import _command


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
    expected = f"strongroom {strongroom.__version__}\n"
    assert command("--version").stdout == expected
    module = [sys.executable, "-m", "strongroom", "--version"]
    assert subprocess.run(module, capture_output=True, text=True, timeout=60).stdout == expected


@pytest.mark.parametrize(
    ("before", "during"), [(signal.default_int_handler, signal.SIG_DFL), (signal.SIG_IGN, signal.SIG_IGN)]
)
def test_ctrl_c_ends_the_command_unless_it_was_ignored(
    monkeypatch: pytest.MonkeyPatch, before: object, during: object
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(_command, "run_command", lambda _: seen.append(signal.getsignal(signal.SIGINT)))
    own = signal.signal(signal.SIGINT, before)  # type: ignore[arg-type]
    try:
        with pytest.raises(SystemExit):
            _command.main()
    finally:
        signal.signal(signal.SIGINT, own)
    assert seen == [during]
