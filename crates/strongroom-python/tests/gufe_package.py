"""A package that can be imported as gufe, written from the description of its storage classes, generation C.

Run with a folder as argument, it writes the package there.
"""

from __future__ import annotations

import sys
from pathlib import Path

FILES = {
    "gufe/__init__.py": "",
    "gufe/storage/__init__.py": "from .storagemanager import StorageManager\n",
    "gufe/storage/errors.py": '''
class ExternalResourceError(Exception):
    pass

class MissingExternalResourceError(ExternalResourceError):
    pass

class ChangedExternalResourceError(ExternalResourceError):
    pass
''',
    "gufe/storage/storagemanager.py": '''
class StorageManager:
    def __init__(self, scratch_dir, storage, dag_label, unit_label):
        raise AssertionError("a subclass has its own")
''',
    "gufe/storage/externalresource/__init__.py": '''
from .base import ExternalStorage
from .filestorage import FileStorage
from .memorystorage import MemoryStorage
''',
    "gufe/storage/externalresource/base.py": '''
import abc, dataclasses, hashlib

@dataclasses.dataclass
class Metadata:
    md5: str

    def to_dict(self):
        return dataclasses.asdict(self)

class Stream:
    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return self.stream.__enter__()

    def __exit__(self, *error):
        return self.stream.__exit__(*error)

class ExternalStorage(abc.ABC):
    def store_bytes(self, location, byte_data):
        return self._store_bytes(location, byte_data)

    def store_path(self, location, path):
        self._store_path(location, path)

    def load_stream(self, location):
        return Stream(self._load_stream(location))

    def exists(self, location):
        return self._exists(location)

    def delete(self, location):
        return self._delete(location)

    def get_metadata(self, location):
        return Metadata(md5=self._get_hexdigest(location))

    def get_filename(self, location):
        return self._get_filename(location)

    def iter_contents(self, prefix=""):
        return self._iter_contents(prefix)

    def __iter__(self):
        return self.iter_contents()

    def _get_hexdigest(self, location):
        with self.load_stream(location) as stream:
            return hashlib.md5(stream.read()).hexdigest()

    @abc.abstractmethod
    def _iter_contents(self, prefix=""): ...
    @abc.abstractmethod
    def _store_bytes(self, location, byte_data): ...
    @abc.abstractmethod
    def _store_path(self, location, path): ...
    @abc.abstractmethod
    def _exists(self, location): ...
    @abc.abstractmethod
    def _delete(self, location): ...
    @abc.abstractmethod
    def _get_filename(self, location): ...
    @abc.abstractmethod
    def _load_stream(self, location): ...
''',
    "gufe/storage/externalresource/filestorage.py": '''
from pathlib import Path
from .base import ExternalStorage

class FileStorage(ExternalStorage):
    def __init__(self, root_dir, exist_ok=False):
        self.root_dir = Path(root_dir).resolve()
        self.root_dir.mkdir(exist_ok=exist_ok)

    def __eq__(self, other):
        return isinstance(other, FileStorage) and self.root_dir == other.root_dir

    def _unused(self, *arguments):
        raise AssertionError("a subclass has its own")

    _iter_contents = _store_bytes = _store_path = _exists = _delete = _get_filename = _load_stream = _unused
''',
    "gufe/storage/externalresource/memorystorage.py": '''
from .base import ExternalStorage

class MemoryStorage(ExternalStorage):
    def __init__(self):
        self._data = {}

    def __eq__(self, other):
        return self is other

    def _unused(self, *arguments):
        raise AssertionError("a subclass has its own")

    _iter_contents = _store_bytes = _store_path = _exists = _delete = _get_filename = _load_stream = _unused
''',
}


def write_package(folder: Path) -> None:
    """Makes ``gufe`` importable for whoever has ``folder`` in the path."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write_package(Path(sys.argv[1]))
