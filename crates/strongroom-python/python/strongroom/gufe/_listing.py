"""The files of a folder by their relative names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ._location import TEMPORARY_FOLDER, canonical
from .errors import DeniedResourceError, InvalidResourceError


def files_below(root: str, prefix: str, *, hidden: bool) -> Iterator[str]:
    """The files below ``root``, which ends with a slash, whose relative name begins with the string ``prefix``.

    Only folders that can have such files are read. Symlinks to folders are not followed.

    :raises DeniedResourceError: if a folder may not be read.
    """
    folder, slash, beginning = prefix.rpartition("/")
    if slash:
        try:
            # No location begins with what is not canonical.
            if canonical(folder) != folder:
                return
        except InvalidResourceError:
            return
    pending = [(root + folder, folder + slash, beginning)]
    while pending:
        path, above, beginning = pending.pop()
        for name, is_folder in _entries(path).items():
            if not name.startswith(beginning):
                continue
            if not is_folder:
                if hidden or not name.startswith("."):
                    yield above + name
            elif name != TEMPORARY_FOLDER:
                pending.append((f"{path}/{name}", f"{above}{name}/", ""))


def remove_empty_folders(path: str) -> None:
    """Removes a folder, and those in it, as far as there are no files in them."""
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            # Something is in it, or somebody else was faster.
            continue


def _entries(path: str) -> dict[str, bool]:
    """All at once, since a folder that changes while it is read may tell a name twice; folders by ``True``."""
    try:
        with os.scandir(path) as entries:
            return {
                entry.name: entry.is_dir(follow_symlinks=False)
                for entry in entries
                # Neither symlinks to folders, nor pipes and such.
                if (not entry.is_dir() if entry.is_symlink() else entry.is_file() or entry.is_dir())
            }
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise DeniedResourceError(f"list {path}: permission is lacking", "list", path) from error
