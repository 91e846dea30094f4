"""Where content waits until it is stored."""

from __future__ import annotations

import io
import os
import tempfile
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: How much is kept in memory before it goes to a temporary file, in bytes.
MEMORY_SIZE = 8 << 20


class Spool:
    """A file in memory that becomes a temporary file when it is large."""

    def __init__(self) -> None:
        self.file: IO[bytes] = io.BytesIO()
        self._path: str | None = None

    def write(self, data: Buffer) -> int:
        """Writes all of it."""
        size = self.file.write(data)
        if self._path is None and self.file.tell() > MEMORY_SIZE:
            self._move_to_disk()
        return size

    def source(self) -> bytes | str:
        """The content, or the path of a file with it, which is there until :meth:`drop`."""
        if self._path is None:
            return cast("io.BytesIO", self.file).getvalue()
        self.file.flush()
        return self._path

    def drop(self) -> None:
        """Lets go of the content."""
        self.file.close()
        if self._path is not None:
            os.unlink(self._path)
            self._path = None

    def _move_to_disk(self) -> None:
        memory = cast("io.BytesIO", self.file)
        self.file = tempfile.NamedTemporaryFile(prefix="strongroom-", delete=False)
        self._path = self.file.name
        self.file.write(memory.getvalue())
        self.file.seek(memory.tell())
