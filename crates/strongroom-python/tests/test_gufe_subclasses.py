"""Where gufe can be imported, ours are subclasses of its classes, and behave the same: section 3.7 of its description.

The process of these tests may have gufe or not, so each case is a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from gufe_package import write_package

TESTS = Path(__file__).parent

CLASSES = """
import strongroom.gufe as ours
from gufe.storage import errors
from gufe.storage.externalresource import ExternalStorage, FileStorage, MemoryStorage
from gufe.storage.externalresource.base import ExternalStorage as Base, Metadata
from gufe.storage.externalresource.filestorage import FileStorage as File
from gufe.storage.externalresource.memorystorage import MemoryStorage as Memory

file, memory, content = ours.FileStorage("root"), ours.MemoryStorage(), ours.ContentStorage("store")
assert all(isinstance(storage, Base) and isinstance(storage, ExternalStorage) for storage in (file, memory, content))
assert isinstance(file, FileStorage) and isinstance(file, File)
assert isinstance(memory, MemoryStorage) and isinstance(memory, Memory)
assert not isinstance(content, (FileStorage, MemoryStorage))
assert ours.ExternalStorage is Base
assert ours.Metadata is Metadata
for name in ("ExternalResourceError", "MissingExternalResourceError", "ChangedExternalResourceError"):
    assert getattr(ours.errors, name) is getattr(errors, name), name
for storage in (file, memory, content):
    storage.store_bytes("a", b"x")
    assert storage.get_metadata("a") == Metadata(md5="9dd4e461268c8034f5c8564e155c67a6")
    for call in (storage.load_stream, storage.delete):
        try:
            call("none")
        except errors.MissingExternalResourceError:
            pass
        else:
            raise AssertionError(call)
assert {file, memory, content}
assert file == ours.FileStorage("root")
"""


def run(arguments: Sequence[str], path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python in ``folder``, with ``path`` in front of where modules are looked for."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    # The oldest gufe has not all that the tests know, and what it has not is skipped.
    environment.pop("CI", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package gufe in it."""
    write_package(tmp_path / "packages")
    return tmp_path / "packages"


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder with the storage of the gufe that is installed, without the chemistry that its own package imports."""
    spec = importlib.util.find_spec("gufe")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("gufe is not installed")
    folder = tmp_path / "real" / "gufe"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "storage").symlink_to(Path(spec.submodule_search_locations[0]) / "storage")
    return folder.parent


def test_3_7_1_ours_are_subclasses_of_gufes(package: Path, tmp_path: Path) -> None:
    done = run(["-c", CLASSES], package, tmp_path)
    assert done.returncode == 0, done.stderr


def test_2_5_our_manager_is_one_of_gufe(package: Path, tmp_path: Path) -> None:
    program = (
        "from gufe.storage import StorageManager\n"
        "import strongroom.gufe as ours\n"
        "manager = ours.StorageManager('scratch', ours.MemoryStorage(), 'dag', 'unit')\n"
        "assert isinstance(manager, StorageManager)\n"
        "assert manager.register('a') == 'dag/unit/a'\n"
    )
    done = run(["-c", program], package, tmp_path)
    assert done.returncode == 0, done.stderr


def test_3_7_9_gufes_own_file_storage_is_another(package: Path, tmp_path: Path) -> None:
    program = (
        "from gufe.storage.externalresource import FileStorage\n"
        "import strongroom.gufe as ours\n"
        "theirs = FileStorage('root')\n"
        "mine = ours.FileStorage('root', exist_ok=True)\n"
        "assert theirs.root_dir == mine.root_dir\n"
        "assert mine != theirs and theirs != mine\n"
        "mine.store_bytes('dag/u/a', b'')\n"
        "assert ours.clear_dag(mine, 'dag', theirs) == []\n"
    )
    done = run(["-c", program], package, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["storage", "file", "memory", "content", "manager", "errors", "engine", "openfe"])
def test_3_7_1_everything_holds_with_gufe_as_well(package: Path, tmp_path: Path, name: str) -> None:
    options = ["--rootdir", str(TESTS), "-c", os.devnull, "-p", "no:cacheprovider", "-q", "-W", "error"]
    done = run(["-m", "pytest", *options, str(TESTS / f"test_gufe_{name}.py")], package, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    ["raise ImportError('no chemistry here')", "import a_module_that_is_not_there", ""],
    ids=["not importable", "a dependency is missing", "no storage in it"],
)
def test_without_a_usable_gufe_there_are_stand_ins(tmp_path: Path, text: str) -> None:
    (tmp_path / "packages" / "gufe").mkdir(parents=True)
    (tmp_path / "packages" / "gufe" / "__init__.py").write_text(text)
    program = (
        "import strongroom.gufe as ours\n"
        "assert ours.ExternalStorage.__module__.startswith('strongroom')\n"
        "storage = ours.FileStorage('root')\n"
        "storage.store_bytes('a', b'x')\n"
        "assert storage.load_bytes('a') == b'x'\n"
    )
    done = run(["-c", program], tmp_path / "packages", tmp_path)
    assert done.returncode == 0, done.stderr


def test_1_1_a_gufe_without_a_manager_gives_the_storages(package: Path, tmp_path: Path) -> None:
    (package / "gufe" / "storage" / "storagemanager.py").unlink()
    (package / "gufe" / "storage" / "__init__.py").write_text("")
    done = run(["-c", CLASSES], package, tmp_path)
    assert done.returncode == 0, done.stderr


def test_1_1_ours_are_subclasses_of_the_classes_of_the_gufe_that_is_installed(real: Path, tmp_path: Path) -> None:
    done = run(["-c", CLASSES], real, tmp_path)
    assert done.returncode == 0, f"gufe {importlib.metadata.version('gufe')}: {done.stderr}"


@pytest.mark.parametrize("name", ["storage", "file", "memory", "content", "manager", "errors", "engine", "openfe"])
def test_1_1_everything_holds_with_the_gufe_that_is_installed(real: Path, tmp_path: Path, name: str) -> None:
    options = ["--rootdir", str(TESTS), "-c", os.devnull, "-p", "no:cacheprovider", "-q", "-W", "error"]
    done = run(["-m", "pytest", *options, str(TESTS / f"test_gufe_{name}.py")], real, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
