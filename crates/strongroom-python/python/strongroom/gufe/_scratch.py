"""The files in a unit's scratch folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ._location import canonical
from .errors import InvalidResourceError


def files_of(scratch: Path, names: Iterable[str]) -> dict[str, Path]:
    """The files called ``names``, and those in folders called so, by their names and sorted by them.

    What is not there is in it too: whoever stores it says so.

    :raises InvalidResourceError: if a folder has a symlink to a folder in it, which is not followed.
    """
    found: dict[str, Path] = {}
    for name in names:
        path = scratch / name
        if path.is_dir():
            for file in _below(path):
                found[canonical(file.relative_to(scratch))] = file
        else:
            found[name] = path
    return dict(sorted(found.items()))


def _below(folder: Path) -> Iterable[Path]:
    for path, folders, files in os.walk(folder, onerror=_raise):
        for name in folders:
            if os.path.islink(os.path.join(path, name)):
                detail = "a symlink to a folder is not followed; register the folder that it points to"
                raise InvalidResourceError(f"transfer {os.path.join(path, name)}: {detail}", "transfer", path)
        yield from (Path(path, name) for name in files)


def _raise(error: OSError) -> None:
    raise error
