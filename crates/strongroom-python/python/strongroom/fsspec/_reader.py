"""An object that is open for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from ._filesystem import StrongroomFileSystem


class StrongroomFile(AbstractBufferedFile):  # type: ignore[misc]
    """The bytes of one object, of the version that was there when it was opened, behind one of fsspec's caches.

    Pickled, it is opened anew, on what is there then.
    """

    def __init__(self, fs: StrongroomFileSystem, path: str, **options: Any) -> None:
        self._reader = fs.store._native.open(path).wait()
        # Whatever a caller believes, that is the size.
        super().__init__(fs, path, "rb", **{**options, "size": self._reader.size})

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._reader.read(start, end).wait()

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        cache = self.cache.name if self.cache else "none"
        return _reopened, (self.fs, self.path, self.blocksize, cache, self.loc)


def _reopened(fs: StrongroomFileSystem, path: str, block_size: int, cache_type: str, at: int) -> StrongroomFile:
    file = StrongroomFile(fs, path, block_size=block_size, cache_type=cache_type)
    file.seek(at)
    return file
