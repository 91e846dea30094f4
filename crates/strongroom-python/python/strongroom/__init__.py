"""Keeps what a workflow produces: once, by content, under names that are never half-written.

::

    import strongroom

    store = strongroom.create("campaign-store")          # a folder, s3://bucket/prefix, gs://…, az://…, memory://name
    store.store_bytes("campaign/run-1/energies.csv", b"step,energy\\n0,-1.5\\n")
    store.load("campaign/run-1/energies.csv")

    with store.batch("first run") as batch:              # all of it appears at once, or nothing
        batch.store_path("campaign/run-1/trajectory.dcd", "scratch/trajectory.dcd")
        batch.store_bytes("campaign/run-1/notes.txt", b"all is well")

    with store.load_stream("campaign/run-1/trajectory.dcd") as file:
        file.seek(-1024, 2)
        tail = file.read()

=============================  ==========================================================================
:func:`open`, :func:`create`   a :class:`Store`: content-addressed, with versions
:func:`open_storage`           a :class:`Storage`: plain files or objects under their own names
:func:`run_dag`                units of a workflow, their contexts and handles (:mod:`strongroom.workflow`)
:mod:`strongroom.errors`       what can go wrong
:mod:`strongroom.gufe`         the storage classes of gufe
:mod:`strongroom.fsspec`       ``strongroom://`` for pandas, zarr, xarray and all who use fsspec
=============================  ==========================================================================
"""

from __future__ import annotations

from . import errors
from ._open import create, create_async, open, open_async, open_storage
from ._storage import LocalFile, Storage
from ._store import Batch, Snapshot, Store, Tag
from ._strongroom import Commit, Metadata, Receipt, __version__
from .errors import (
    AlreadyExistsError,
    ChangedError,
    ConflictError,
    CorruptError,
    DeniedError,
    Error,
    InternalError,
    InvalidError,
    MissingError,
    UnavailableError,
    UnsupportedError,
)
from .workflow import Handle, StorageManager, Unit, UnitContext, run_dag

__all__ = [
    "AlreadyExistsError",
    "Batch",
    "ChangedError",
    "Commit",
    "ConflictError",
    "CorruptError",
    "DeniedError",
    "Error",
    "Handle",
    "InternalError",
    "InvalidError",
    "LocalFile",
    "Metadata",
    "MissingError",
    "Receipt",
    "Snapshot",
    "Storage",
    "StorageManager",
    "Store",
    "Tag",
    "Unit",
    "UnitContext",
    "UnavailableError",
    "UnsupportedError",
    "__version__",
    "create",
    "create_async",
    "errors",
    "open",
    "open_async",
    "open_storage",
    "run_dag",
]
