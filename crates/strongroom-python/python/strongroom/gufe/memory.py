"""Objects in this process's memory."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING

from .._storage import content
from . import _bases, _source
from ._digest import md5_of
from ._location import canonical
from .base import BaseStorage, LocalPath, Location
from .errors import AlreadyExistsResourceError, InvalidResourceError, MissingKeyError
from .stored import Stored

if TYPE_CHECKING:
    from typing_extensions import Buffer


#: Of two threads that create the same, one wins.
_CREATING = threading.Lock()


class MemoryStorage(BaseStorage, _bases.MemoryStorage):
    """Objects in a ``dict``, for tests and first steps; gone when the process ends. Equal to itself only."""

    #: The objects by location.
    _data: dict[str, bytes]

    def __init__(self) -> None:
        self._data = {}

    def create_bytes(self, location: Location, byte_data: Buffer) -> None:
        """Stores bytes where nothing is yet.

        :raises AlreadyExistsResourceError: if something is.
        """
        key, taken = self._key(location), content(byte_data)
        with _CREATING:
            if key in self._data:
                raise AlreadyExistsResourceError(f"store {key}: there is an object already", "store", key)
            self._data[key] = taken

    def store_paths(self, files: Mapping[str, LocalPath]) -> list[Stored]:
        """Stores copies of local files by location: all, or none.

        :raises FileNotFoundError: if one of them is not there.
        """
        taken = {self._key(location): _source.read(path) for location, path in sorted(files.items())}
        self._data.update(taken)
        return [Stored(key, len(data), f"md5:{md5_of(io.BytesIO(data))}") for key, data in taken.items()]

    def size(self, location: Location) -> int:
        """How many bytes an object has.

        :raises MissingExternalResourceError: if there is none.
        """
        return len(self._get(location))

    def _store_bytes(self, location: Location, byte_data: Buffer) -> tuple[str, _bases.Metadata]:
        key = self._key(location)
        self._data[key] = content(byte_data)
        return key, self.get_metadata(key)

    def _store_path(self, location: Location, path: LocalPath) -> None:
        key = self._key(location)
        self._data[key] = _source.read(path)

    def _load_stream(self, location: Location) -> IO[bytes]:
        return io.BytesIO(self._get(location))

    def _exists(self, location: Location) -> bool:
        try:
            return self._key(location) in self._data
        except InvalidResourceError:
            return False

    def _delete(self, location: Location) -> None:
        key = self._key(location)
        try:
            del self._data[key]
        except KeyError as error:
            raise MissingKeyError(f"Unable to delete '{key}': key does not exist") from error

    def _get_filename(self, location: Location) -> None:
        return None

    def _iter_contents(self, prefix: str = "") -> Iterator[str]:
        return (key for key in list(self._data) if key.startswith(prefix))

    def _get(self, location: Location) -> bytes:
        key = self._key(location)
        try:
            return self._data[key]
        except KeyError as error:
            raise MissingKeyError(f"load {key}: there is nothing at this location") from error

    def _key(self, location: Location) -> str:
        # Whoever assigns the dict may have keys of any form.
        if isinstance(location, str) and location in self._data:
            return location
        return canonical(location)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"<strongroom.gufe.MemoryStorage of {len(self._data)}>"
