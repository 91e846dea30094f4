"""Objects as plain files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .._open import open_storage
from .._storage import Storage
from ..errors import Error, MissingError
from . import _bases, _source
from ._listing import files_below, remove_empty_folders
from ._location import as_native, canonical
from .base import BaseStorage, LocalPath, Location
from .errors import FolderResourceError, InvalidResourceError, MissingExternalResourceError, translated
from .stored import Stored

if TYPE_CHECKING:
    from typing_extensions import Buffer


class FileStorage(BaseStorage, _bases.FileStorage):
    """Objects as files ``root_dir/<location>``, which other programs read and may write.

    A file is replaced by a finished one, never written to, and durable when the call that stores it returns. That it was deleted
    is not made durable. Pipes and devices are no objects; to load one is to wait for whoever writes to it, as with ``open``.

    :param root_dir: the folder. Nothing is made before the first write.
    :param exist_ok: with ``True`` or ``False`` the storage is as gufe has it since its pull request 827: the folder is
        resolved and made at once, and must be new unless ``exist_ok``; files whose name begins with ``.`` are not listed.
    :param durable: with ``False`` a crash of the machine may lose what was written last.
    :param native_digest: compute MD5 without ``hashlib``.
    :raises FileExistsError: with ``exist_ok=False``, if the folder is there.
    :raises FileNotFoundError: with ``exist_ok``, if the folder's own folder is not.
    """

    #: The folder, as it was given, or resolved.
    root_dir: Path

    def __init__(
        self, root_dir: LocalPath, exist_ok: bool | None = None, *, durable: bool = True, native_digest: bool = False
    ) -> None:
        self.root_dir = Path(root_dir)
        self._lists_hidden = exist_ok is None
        if exist_ok is not None:
            self.root_dir = self.root_dir.resolve()
            self.root_dir.mkdir(exist_ok=exist_ok)
        # With a slash at its end, so that a location can be added.
        self._root = os.path.join(os.path.abspath(self.root_dir), "")
        self._durable = durable
        self._native_digest = native_digest
        self._opened: Storage | None = None

    @property
    def native(self) -> Storage:
        """The same as strongroom has it."""
        if self._opened is None:
            self._opened = open_storage(self._root)
        return self._opened

    def create_bytes(self, location: Location, byte_data: Buffer) -> None:
        """Stores bytes where nothing is yet.

        :raises AlreadyExistsResourceError: if something is.
        """
        name = self._native_name(location)
        try:
            self.native.store_bytes(name, byte_data, mode="create", durable=self._durable)
        except Error as error:
            raise translated(error) from error

    def store_paths(self, files: Mapping[str, LocalPath]) -> list[Stored]:
        """Stores copies of local files by location, in sorted order. If one fails, what is new of those before it
        is removed again; what was replaced stays replaced.

        :raises FileNotFoundError: if one of them is not there; then nothing was stored.
        """
        named = sorted((self._name(location), path) for location, path in files.items())
        for _, path in named:
            _source.look_at(path)
        stored: list[Stored] = []
        new: list[str] = []
        try:
            for name, path in named:
                is_new = not self._exists(name)
                stored.append(self._copied(name, path))
                if is_new:
                    new.append(as_native(name))
        except BaseException:
            self.native.delete_many(new)
            raise
        return stored

    def size(self, location: Location) -> int:
        """How many bytes an object has.

        :raises MissingExternalResourceError: if there is none.
        """
        try:
            return self.native.metadata(self._native_name(location)).size
        except Error as error:
            raise translated(error) from error

    def digest(self, location: Location) -> str:
        """``b3:`` and the BLAKE3 of an object, computed now.

        :raises MissingExternalResourceError: if there is none.
        """
        try:
            return self.native.digest(self._native_name(location))
        except Error as error:
            raise translated(error) from error

    def load_path(self, location: Location, path: LocalPath) -> None:
        """Writes an object to a local file, whole or not at all.

        :raises MissingExternalResourceError: if there is none.
        """
        try:
            self.native.load_path(self._native_name(location), path)
        except Error as error:
            raise translated(error) from error

    def delete_prefix(self, prefix: str) -> list[str]:
        """Removes all objects whose location begins with the string ``prefix``, and says which.

        Folders that it leaves empty go too, if ``prefix`` is one.
        """
        removed = super().delete_prefix(prefix)
        if removed and prefix.endswith("/"):
            remove_empty_folders(self._root + prefix)
        return removed

    def _store_bytes(self, location: Location, byte_data: Buffer) -> None:
        name = self._native_name(location)
        try:
            self.native.store_bytes(name, byte_data, durable=self._durable)
        except Error as error:
            raise translated(error) from error

    def _store_path(self, location: Location, path: LocalPath) -> None:
        name = self._name(location)
        source = _source.look_at(path)
        try:
            if os.path.samestat(source, os.stat(self._root + name)):
                return
        except OSError:
            # There is no file yet, or the store below says what is wrong.
            pass
        try:
            self.native.store_path(as_native(name), path, durable=self._durable)
        except MissingError as error:
            raise _source.absent(path) from error
        except Error as error:
            raise translated(error) from error

    def _copied(self, name: str, path: LocalPath) -> Stored:
        try:
            known = self.native.store_path(as_native(name), path, durable=self._durable, digests=("blake3",))
        except MissingError as error:
            raise _source.absent(path) from error
        except Error as error:
            raise translated(error) from error
        return Stored(name, known.size, known.digest or "")

    # What is only looked at needs nothing but the operating system, which says it soonest. What it can't say well is
    # asked of the native storage, whose errors tell absence from other reasons.

    def _load_stream(self, location: Location) -> IO[bytes]:
        name = self._name(location)
        try:
            return open(self._root + name, "rb")
        except OSError:
            pass
        try:
            return self.native.load_stream(as_native(name))
        except Error as error:
            raise translated(error) from error

    def _exists(self, location: Location) -> bool:
        try:
            name = self._name(location)
            return stat.S_ISREG(os.stat(self._root + name).st_mode)
        except (FileNotFoundError, NotADirectoryError, InvalidResourceError):
            return False
        except OSError:
            pass
        try:
            return self.native.exists(as_native(name))
        except Error as error:
            raise translated(error) from error

    def _delete(self, location: Location) -> None:
        name = self._name(location)
        path = self._root + name
        try:
            if stat.S_ISREG(os.stat(path).st_mode):
                os.unlink(path)
                return
        except OSError:
            pass
        try:
            self.native.delete(as_native(name))
        except MissingError as error:
            missing = FolderResourceError if os.path.isdir(path) else MissingExternalResourceError
            raise missing(f"Unable to delete '{path}': File does not exist") from error
        except Error as error:
            raise translated(error) from error

    def _get_filename(self, location: Location) -> str:
        return str(self.root_dir / self._name(location))

    def _iter_contents(self, prefix: str = "") -> Iterator[str]:
        return files_below(self._root, prefix, hidden=self._lists_hidden)

    def _get_hexdigest(self, location: Location) -> str:
        if not self._native_digest:
            return super()._get_hexdigest(location)
        try:
            return self.native.hexdigest(self._native_name(location), "md5")
        except Error as error:
            raise translated(error) from error

    def _name(self, location: Location) -> str:
        return canonical(location, self._root)

    def _native_name(self, location: Location) -> str:
        return as_native(self._name(location))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, FileStorage) and other.root_dir == self.root_dir

    def __hash__(self) -> int:
        return hash((type(self), self.root_dir))

    def __repr__(self) -> str:
        return f"<strongroom.gufe.FileStorage {str(self.root_dir)!r}>"
