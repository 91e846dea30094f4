"""gufe's own classes where it can be imported and has them, and stand-ins where not.

gufe is asked for each on its own: the oldest have storages and no manager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._stand_in import (
        ChangedExternalResourceError,
        ExternalResourceError,
        ExternalStorage,
        FileStorage,
        MemoryStorage,
        Metadata,
        MissingExternalResourceError,
        StorageManager,
    )
else:
    try:
        from gufe.storage.errors import (
            ChangedExternalResourceError,
            ExternalResourceError,
            MissingExternalResourceError,
        )
    except ImportError:
        from ._stand_in import ChangedExternalResourceError, ExternalResourceError, MissingExternalResourceError
    try:
        from gufe.storage.externalresource import FileStorage, MemoryStorage
        from gufe.storage.externalresource.base import ExternalStorage, Metadata
    except ImportError:
        from ._stand_in import ExternalStorage, FileStorage, MemoryStorage, Metadata
    try:
        from gufe.storage.storagemanager import StorageManager
    except ImportError:
        from ._stand_in import StorageManager

__all__ = [
    "ChangedExternalResourceError",
    "ExternalResourceError",
    "ExternalStorage",
    "FileStorage",
    "MemoryStorage",
    "Metadata",
    "MissingExternalResourceError",
    "StorageManager",
]
