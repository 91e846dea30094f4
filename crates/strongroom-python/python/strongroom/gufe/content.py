"""Objects by content, with versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING

from .._file import ObjectFile, with_buffer
from .._open import create
from .._storage import Algorithm
from .._store import Store
from ..errors import CorruptError, Error, MissingError
from . import _source
from ._location import as_native, canonical
from .base import BaseStorage, LocalPath, Location
from .errors import InvalidResourceError, MissingExternalResourceError, translated
from .stored import Stored

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from typing_extensions import Buffer


class ContentStorage(BaseStorage):
    """Objects in a content store: everything is kept once, every commit is a version, reads are verified.

    What a unit transfers is one commit: all of it is there, or nothing.

    :param store: a :class:`strongroom.Store`, or the URL or path of one, which is made if it is not there;
        see :func:`strongroom.open` for URLs.
    :param author: who commits, as it stands in the history of a store that is given by its URL.
    :param native_digest: record MD5 when something is stored, so that :meth:`get_metadata` reads nothing.
    """

    #: The store: versions, snapshots, batches.
    native: Store

    def __init__(self, store: Store | LocalPath, *, author: str = "", native_digest: bool = False) -> None:
        self.native = store if isinstance(store, Store) else create(store, author=author)
        self._native_digest = native_digest

    def create_bytes(self, location: Location, byte_data: Buffer) -> None:
        """Stores bytes where nothing is yet.

        :raises AlreadyExistsResourceError: if something is.
        """
        try:
            self.native.store_bytes(_name(location), byte_data, mode="create", digests=self._digests)
        except Error as error:
            raise translated(error) from error

    def store_paths(self, files: Mapping[str, LocalPath]) -> list[Stored]:
        """Stores copies of local files by location in one batch: all, or none.

        Those of one namespace, which is a unit's, are one commit.

        :raises FileNotFoundError: if one of them is not there.
        """
        batch = self.native.batch()
        for location, path in sorted(files.items()):
            _source.look_at(path)
            batch.store_path(_name(location), path, digests=self._digests)
        try:
            receipt = batch.commit()
        except MissingError as error:
            raise _source.absent(error.subject) from error
        except Error as error:
            raise translated(error) from error
        return [Stored(known.location, known.size, known.digest or "") for known in receipt.stored]

    def size(self, location: Location) -> int:
        """How many bytes an object has, from its record.

        :raises MissingExternalResourceError: if there is none.
        """
        try:
            return self.native.metadata(_name(location)).size
        except Error as error:
            raise translated(error) from error

    def digest(self, location: Location) -> str:
        """``b3:`` and the BLAKE3 of an object, from its record.

        :raises MissingExternalResourceError: if there is none.
        """
        try:
            return self.native.digest(_name(location))
        except Error as error:
            raise translated(error) from error

    def load_bytes(self, location: Location, start: int = 0, end: int | None = None) -> bytes:
        """The bytes of an object from ``start`` to before ``end``.

        :raises MissingExternalResourceError: if there is none.
        :raises ChangedExternalResourceError: if they are not those that were stored.
        """
        if start or end is not None:
            return super().load_bytes(location, start, end)
        try:
            return self.native.load(_name(location))
        except Error as error:
            raise translated(error) from error

    def load_path(self, location: Location, path: LocalPath) -> None:
        """Writes an object to a local file, verified, whole or not at all.

        :raises MissingExternalResourceError: if there is none.
        :raises ChangedExternalResourceError: if its bytes are not those that were stored.
        """
        try:
            self.native.load_path(_name(location), path)
        except Error as error:
            raise translated(error) from error

    def copy(self, source: Location, location: Location) -> None:
        """Gives an object another name, without its bytes moving.

        :raises MissingExternalResourceError: if there is none at ``source``.
        """
        batch = self.native.batch()
        batch.copy(_name(source), _name(location))
        try:
            batch.commit()
        except Error as error:
            raise translated(error) from error

    def delete_prefix(self, prefix: str) -> list[str]:
        """Removes all objects whose location begins with the string ``prefix``, and says which."""
        removed = sorted(self.iter_contents(prefix))
        try:
            self.native.delete_many(map(_name, removed))
        except Error as error:
            raise translated(error) from error
        return removed

    def verify(self) -> list[str]:
        """Reads everything; the locations whose content is not what was stored."""
        return [location for location in self if not self._is_sound(location)]

    def _is_sound(self, location: str) -> bool:
        try:
            with self.native.load_stream(_name(location)) as stream:
                while stream.read(8 << 20):
                    pass
        except CorruptError:
            return False
        except MissingError:
            # It was removed meanwhile.
            return True
        return True

    def _store_bytes(self, location: Location, byte_data: Buffer) -> None:
        name = _name(location)
        try:
            self.native.store_bytes(name, byte_data, digests=self._digests)
        except Error as error:
            raise translated(error) from error

    def _store_path(self, location: Location, path: LocalPath) -> None:
        name = _name(location)
        _source.look_at(path)
        try:
            self.native.store_path(name, path, digests=self._digests)
        except MissingError as error:
            raise _source.absent(path) from error
        except Error as error:
            raise translated(error) from error

    def _load_stream(self, location: Location) -> IO[bytes]:
        name = _name(location)
        try:
            reader = self.native._native.open(name).wait()
        except Error as error:
            raise translated(error) from error
        return with_buffer(_Verified(reader, name))

    def _exists(self, location: Location) -> bool:
        try:
            return self.native.exists(_name(location))
        except InvalidResourceError:
            return False
        except Error as error:
            raise translated(error) from error

    def _delete(self, location: Location) -> None:
        name = _name(location)
        try:
            self.native.delete(name)
        except MissingError as error:
            raise MissingExternalResourceError(f"Unable to delete '{name}': it does not exist") from error
        except Error as error:
            raise translated(error) from error

    def _get_filename(self, location: Location) -> str:
        return f"{self.native.url}/{canonical(location)}"

    def _iter_contents(self, prefix: str = "") -> Iterator[str]:
        try:
            yield from self.native.iter_contents(prefix)
        except Error as error:
            raise translated(error) from error

    def _get_hexdigest(self, location: Location) -> str:
        if not self._native_digest:
            return super()._get_hexdigest(location)
        try:
            return self.native.hexdigest(_name(location), "md5")
        except Error as error:
            raise translated(error) from error

    @property
    def _digests(self) -> tuple[Algorithm, ...]:
        return ("md5",) if self._native_digest else ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, ContentStorage) and other.native == self.native

    def __hash__(self) -> int:
        return hash((type(self), self.native))

    def __repr__(self) -> str:
        return f"<strongroom.gufe.ContentStorage {self.native.url!r}>"


def _name(location: Location) -> str:
    return as_native(canonical(location))


class _Verified(ObjectFile):
    """A file whose errors are gufe's."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            return super().readinto(buffer)
        except Error as error:
            raise translated(error) from error

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except Error as error:
            raise translated(error) from error
