"""The storage classes of gufe, with nothing half-written, nothing outside its root, and no error in place of another.

::

    from strongroom.gufe import ContentStorage, FileStorage, StorageManager

    shared = FileStorage("campaign/shared")              # plain files, for whoever wants a folder
    permanent = ContentStorage("s3://bucket/campaign")   # everything once, with versions

    with StorageManager(scratch, permanent, "dag", "unit") as manager:
        handle = manager.register("energies.csv")
        (scratch / "energies.csv").write_text("step,energy\\n")
    # Here all registered files are there, or an exception says why none is.
    manager.load(handle)

They are subclasses of gufe's own where gufe can be imported, and work without it.

=========================  =============================================================================================
:class:`FileStorage`       an object is a plain file ``root_dir/<location>``
:class:`MemoryStorage`     a ``dict``, for tests
:class:`ContentStorage`    a content store, local or in a bucket
:class:`StorageManager`    a unit's files, between scratch and storage
:class:`Handle`            a location that says which storage it belongs to
:class:`Receipt`           what a transfer stored
:func:`clear_dag`          removes what the units of a DAG have shared
:mod:`.errors`             what can go wrong
=========================  =============================================================================================
"""

from __future__ import annotations

from . import errors
from ._bases import (
    ChangedExternalResourceError,
    ExternalResourceError,
    ExternalStorage,
    Metadata,
    MissingExternalResourceError,
)
from .base import BaseStorage
from .clearing import clear_dag
from .content import ContentStorage
from .file import FileStorage
from .handle import Handle
from .manager import StorageManager
from .memory import MemoryStorage
from .receipt import Entry, Receipt
from .stored import Stored

__all__ = [
    "BaseStorage",
    "ChangedExternalResourceError",
    "ContentStorage",
    "Entry",
    "ExternalResourceError",
    "ExternalStorage",
    "FileStorage",
    "Handle",
    "MemoryStorage",
    "Metadata",
    "MissingExternalResourceError",
    "Receipt",
    "StorageManager",
    "Stored",
    "clear_dag",
    "errors",
]
