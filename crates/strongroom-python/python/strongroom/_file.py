"""An object as a file that can be read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ._strongroom import Reader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: How much is read at a time where little is asked for, in bytes.
BUFFER_SIZE = 256 << 10
#: How much is taken at a time of what is stored, in bytes.
PIECE_SIZE = 8 << 20


class ObjectFile(io.RawIOBase):
    """The bytes of one object."""

    def __init__(self, reader: Reader, name: str) -> None:
        super().__init__()
        self._reader = reader
        self._at = 0
        self.name = name
        self.mode = "rb"

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._reader.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check_open()
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"whence is 0, 1 or 2, not {whence}")
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size}[whence]
        if at < 0:
            raise ValueError(f"position {at} is before the beginning")
        self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._check_open()
        view = memoryview(buffer).cast("B")
        read = self._reader.read(self._at, self._at + len(view)).wait()
        view[: len(read)] = read
        self._at += len(read)
        return len(read)

    def read(self, size: int | None = -1, /) -> bytes:
        self._check_open()
        end = self._reader.size if size is None or size < 0 else self._at + size
        read = self._reader.read(self._at, end).wait()
        self._at += len(read)
        return read

    def readall(self) -> bytes:
        return self.read()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def __repr__(self) -> str:
        return f"<strongroom.ObjectFile {self.name!r}, {self._reader.size} bytes>"


def with_buffer(raw: ObjectFile) -> io.BufferedReader:
    """The same, so that many small reads are few."""
    return io.BufferedReader(raw, min(BUFFER_SIZE, max(raw.size, 1)))


def buffered(reader: Reader, name: str) -> io.BufferedReader:
    """An object as a binary file."""
    return with_buffer(ObjectFile(reader, name))
