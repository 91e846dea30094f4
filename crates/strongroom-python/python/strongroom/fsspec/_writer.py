"""Objects that are open for writing."""

from __future__ import annotations

import io
import shutil
import warnings
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec.compression import compr  # type: ignore[import-untyped]
from fsspec.core import get_compression  # type: ignore[import-untyped]

from .._storage import Mode
from ..errors import AlreadyExistsError, ChangedError, MissingError
from ._spool import Spool

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._filesystem import StrongroomFileSystem


class StrongroomWriter(io.BufferedIOBase):
    """A file that is stored, whole, when it is closed.

    It is not stored when the ``with`` block that it was opened for raises, after :meth:`discard`, and when it is dropped
    without being closed. In a transaction it is stored when the transaction ends.

    ``with fsspec.open(url, "wb")``, other than ``with fs.open(path, "wb")``, closes its file as if all were well when its block
    raises, and then what was written until then is stored.
    """

    def __init__(self, fs: StrongroomFileSystem, path: str, mode: str, autocommit: bool) -> None:
        super().__init__()
        self.fs = fs
        self.path = path
        self.mode = mode
        self.autocommit = autocommit
        self._spool = Spool()
        self._before: str | None = None
        try:
            if mode == "xb":
                self._check_new()
            elif mode == "ab":
                self._begin_with_what_is_there()
        except BaseException:
            self.discard()
            raise

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        self._check_open()
        return self._spool.write(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check_open()
        return self._spool.file.seek(offset, whence)

    def tell(self) -> int:
        self._check_open()
        return self._spool.file.tell()

    def truncate(self, size: int | None = None, /) -> int:
        self._check_open()
        return self._spool.file.truncate(size)

    def close(self) -> None:
        """Stores what was written, or leaves that to the transaction."""
        if self.closed:
            return
        try:
            if not self.autocommit:
                self._stage()
            else:
                self.commit()
        except BaseException:
            self.discard()
            raise
        super().close()

    def commit(self) -> None:
        """Stores what was written: of a file that was opened with ``autocommit=False``, after it is closed."""
        self._check_unchanged()
        self.fs._store_now(self.path, self._spool.source(), self._mode())
        self._spool.drop()

    def discard(self) -> None:
        """Closes the file, and stores nothing."""
        self._spool.drop()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        # Nobody said that it is complete.
        if not self.closed:
            self.abandon()
        self._spool.drop()

    def abandon(self) -> None:
        """:meth:`discard` for a file that was dropped."""
        self.discard()
        warnings.warn(f"{self.path} was not closed, and is not stored", ResourceWarning, stacklevel=3)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def _mode(self) -> Mode:
        # Nothing was there to append to; whoever was faster is not overwritten.
        new = self.mode == "xb" or (self.mode == "ab" and self._before is None)
        return "create" if new else "overwrite"

    def _stage(self) -> None:
        changes = self.fs._changes()
        if changes is None:
            return
        self._check_unchanged()
        mode: Mode = "overwrite" if self.mode == "ab" and self.path in changes else self._mode()
        changes.put(self.path, self._spool.source(), mode)

    def _check_new(self) -> None:
        changes = self.fs._changes()
        pending = changes is not None and self.path in changes
        removed = changes is not None and changes.removes(self.path)
        if pending or (not removed and self.fs.store.exists(self.path)):
            raise AlreadyExistsError(f"open {self.path}: there is an object already", "open", self.path)

    def _begin_with_what_is_there(self) -> None:
        changes = self.fs._changes()
        before: IO[bytes] | None = None
        if changes is not None and self.path in changes:
            before = changes.open(self.path)
        elif changes is None or not changes.removes(self.path):
            before = self._stored()
        if before is not None:
            with before:
                shutil.copyfileobj(before, cast("IO[bytes]", self._spool))

    def _stored(self) -> IO[bytes] | None:
        try:
            self._before = self.fs.store.metadata(self.path).digest
        except MissingError:
            return None
        # By its digest, so that it is what will be looked for at the end.
        return self.fs.store.load_stream(self._before or self.path)

    def _check_unchanged(self) -> None:
        if self._before is not None and self.fs.store.metadata(self.path).digest != self._before:
            detail = "it was replaced while this file was open; append to what is there now"
            raise ChangedError(f"append to {self.path}: {detail}", "append", self.path)


class CompressedWriter(io.BufferedIOBase):
    """A compressor that ends as the file below it does."""

    def __init__(self, compressor: IO[bytes], writer: StrongroomWriter) -> None:
        super().__init__()
        self._compressor = compressor
        self._writer = writer

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        return self._compressor.write(data)

    def flush(self) -> None:
        if not self._compressor.closed:
            self._compressor.flush()

    def close(self) -> None:
        """Ends the compressed stream and closes the file."""
        if self.closed:
            return
        try:
            self._end()
        except BaseException:
            self._writer.discard()
            raise
        self._writer.close()

    def discard(self) -> None:
        """Closes the file, and stores nothing."""
        try:
            self._end()
        finally:
            self._writer.discard()

    def abandon(self) -> None:
        """:meth:`discard` for a file that was dropped."""
        try:
            self._end()
        finally:
            self._writer.abandon()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        if not self.closed:
            self.abandon()

    def _end(self) -> None:
        # While there is still something below that it can write its end to.
        self._compressor.close()
        super().close()


def compressed(writer: StrongroomWriter, compression: str) -> StrongroomWriter | CompressedWriter:
    """The same with a compressor of fsspec's before it; ``infer`` means what the name says."""
    name = get_compression(writer.path, compression)
    if name is None:
        return writer
    return CompressedWriter(compr[name](writer, mode=writer.mode[0]), writer)


class TextWriter(io.TextIOWrapper):
    """Text that ends as the file below it does."""

    def __init__(self, writer: StrongroomWriter | CompressedWriter, **options: Any) -> None:
        super().__init__(cast("IO[bytes]", writer), **options)
        self._writer = writer

    def discard(self) -> None:
        """Closes the file, and stores nothing."""
        self._writer.discard()

    def close(self) -> None:
        """Stores what was written; nothing, if not all of it came as far as the file below."""
        if not self.closed:
            try:
                self.flush()
            except BaseException:
                self._writer.discard()
                raise
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        if not self.closed:
            self._writer.abandon()
