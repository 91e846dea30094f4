"""The end of a DAG."""

from __future__ import annotations

import os

from ._bases import ExternalStorage, FileStorage
from ._location import canonical
from .base import BaseStorage


def clear_dag(shared: ExternalStorage, dag_label: str, permanent: ExternalStorage | None = None) -> list[str]:
    """Removes what the units of a DAG have shared, in any process, and says what it was.

    Call it when the last unit is done. Nothing is removed if ``permanent`` is the same storage.

    :raises InvalidResourceError: if the label is no location.
    """
    prefix = f"{canonical(dag_label)}/"
    if permanent is not None and _are_same(shared, permanent):
        return []
    if isinstance(shared, BaseStorage):
        return shared.delete_prefix(prefix)
    removed = sorted(shared.iter_contents(prefix))
    for location in removed:
        shared.delete(location)
    return removed


def _are_same(one: ExternalStorage, other: ExternalStorage) -> bool:
    if one is other or one == other:
        return True
    if isinstance(one, FileStorage) and isinstance(other, FileStorage):
        return os.path.realpath(one.root_dir) == os.path.realpath(other.root_dir)
    return False
