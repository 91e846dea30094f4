"""Local files that are stored."""

from __future__ import annotations

import errno
import os
import stat

from .errors import ChangedResourceError


def look_at(path: str | os.PathLike[str]) -> os.stat_result:
    """What the operating system knows of a file.

    :raises FileNotFoundError: if there is none.
    :raises IsADirectoryError: if it is a folder.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    return status


def absent(path: str | os.PathLike[str]) -> FileNotFoundError:
    """The error for a file that is not there."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def read(path: str | os.PathLike[str]) -> bytes:
    """The content of a file as it was at one moment.

    :raises ChangedResourceError: if it changes meanwhile.
    """
    look_at(path)
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != after.st_size:
        name = os.fspath(path)
        raise ChangedResourceError(f"read {name}: the file changed while it was stored", "read", name)
    return content
