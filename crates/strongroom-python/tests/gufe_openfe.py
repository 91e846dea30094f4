"""Programs of openfe that use storages, in small, written from sections 2.7 and 3.6 of the description of gufe.

They know of nothing but gufe's interface, and of gufe's ``FileStorage`` where openfe asks for it.
"""

from __future__ import annotations

import json
import os
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

# What gufe has, or stands for it.
from strongroom.gufe import (
    ChangedExternalResourceError,
    ExternalStorage,
    Metadata,
    MissingExternalResourceError,
)
from strongroom.gufe._bases import FileStorage


class MetadataStore(Mapping[str, Metadata]):
    """The metadata of objects, in the storage that they are in."""

    def __init__(self, external_store: ExternalStorage) -> None:
        self.external_store = external_store
        self._cache = self.load_all_metadata()

    @abstractmethod
    def store_metadata(self, location: str, metadata: Metadata) -> None: ...

    @abstractmethod
    def load_all_metadata(self) -> dict[str, Metadata]: ...

    def __getitem__(self, location: str) -> Metadata:
        return self._cache[location]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)

    def read(self, location: str) -> dict[str, dict[str, str]]:
        with self.external_store.load_stream(location) as stream:
            found: dict[str, dict[str, str]] = json.loads(stream.read().decode())
        return found


class JSONMetadataStore(MetadataStore):
    """All in one object."""

    def store_metadata(self, location: str, metadata: Metadata) -> None:
        self._cache[location] = metadata
        self._dump()

    def load_all_metadata(self) -> dict[str, Metadata]:
        if not self.external_store.exists("metadata.json"):
            return {}
        return {location: Metadata(**data) for location, data in self.read("metadata.json").items()}

    def __delitem__(self, location: str) -> None:
        del self._cache[location]
        self._dump()

    def _dump(self) -> None:
        data = {location: metadata.to_dict() for location, metadata in self._cache.items()}
        self.external_store.store_bytes("metadata.json", json.dumps(data).encode())


class PerFileJSONMetadataStore(MetadataStore):
    """One object for each."""

    def store_metadata(self, location: str, metadata: Metadata) -> None:
        data = {"path": location, "metadata": metadata.to_dict()}
        self.external_store.store_bytes(f"metadata/{location}.json", json.dumps(data).encode())
        self._cache[location] = metadata

    def load_all_metadata(self) -> dict[str, Metadata]:
        found = {}
        for location in self.external_store.iter_contents("metadata/"):
            data = self.read(location)
            if set(data) != {"path", "metadata"}:
                raise ChangedExternalResourceError(f"Bad metadata file: '{location}'")
            found[str(data["path"])] = Metadata(**data["metadata"])
        return found

    def __delitem__(self, location: str) -> None:
        del self._cache[location]
        self.external_store.delete(f"metadata/{location}.json")


class ResultServer:
    """Objects with metadata, that are compared with it when they are read."""

    def __init__(self, external_store: ExternalStorage, metadata_store: MetadataStore) -> None:
        self.external_store = external_store
        self.metadata_store = metadata_store

    def store_bytes(self, location: str, byte_data: bytes) -> None:
        self.external_store.store_bytes(location, byte_data)
        self._record(location)

    def store_path(self, location: str, path: Path) -> None:
        self.external_store.store_path(location, path)
        self._record(location)

    def validate(self, location: str, allow_changed: bool = False) -> None:
        try:
            recorded = self.metadata_store[location]
        except KeyError as error:
            raise MissingExternalResourceError(f"Metadata for '{location}' not found") from error
        found = self.external_store.get_metadata(location)
        if found != recorded:
            text = f"Metadata mismatch for {location}: this object may have changed. {found} is not {recorded}"
            if not allow_changed:
                raise ChangedExternalResourceError(text)
            warnings.warn(text, stacklevel=2)

    def load_stream(self, location: str, allow_changed: bool = False) -> IO[bytes]:
        self.validate(location, allow_changed)
        return self.external_store.load_stream(location)  # type: ignore[return-value]

    def delete(self, location: str) -> None:
        del self.metadata_store[location]  # type: ignore[attr-defined]
        self.external_store.delete(location)

    def __iter__(self) -> Iterator[str]:
        return (location for location in self.external_store if not location.startswith("metadata"))

    def find_missing_files(self) -> list[str]:
        return [location for location in self.metadata_store if not self.external_store.exists(location)]

    def _record(self, location: str) -> None:
        self.metadata_store.store_metadata(location, self.external_store.get_metadata(location))


class Warehouse:
    """Flat keys over storages with names."""

    def __init__(self, stores: Mapping[str, ExternalStorage]) -> None:
        self.stores = stores

    def exists(self, key: str) -> bool:
        return any(key in store for store in self.stores.values())

    def store_for(self, key: str) -> ExternalStorage:
        for store in self.stores.values():
            if key in store:
                return store
        raise ValueError(f"{key} is in no store")

    def store(self, name: str, key: str, data: object) -> None:
        if not self.exists(key):
            self.stores[name].store_bytes(key, json.dumps(data).encode())

    def load(self, key: str) -> object:
        with self.store_for(key).load_stream(key) as stream:
            return json.loads(stream.read())

    def keys(self, name: str, prefix: str) -> list[str]:
        return sorted(self.stores[name].iter_contents(prefix))


class Worker:
    """Writes into the real folder of a storage."""

    def __init__(self, shared_store: ExternalStorage) -> None:
        if not isinstance(shared_store, FileStorage):
            raise TypeError("a worker needs a FileStorage")
        self.folder = shared_store.root_dir

    def work(self, key: str) -> None:
        folder = self.folder / "protocol_unit_results"
        os.makedirs(folder, exist_ok=True)
        (folder / key).write_bytes(b"index")
