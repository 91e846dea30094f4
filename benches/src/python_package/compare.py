"""How fast the Python package is, beside plain files and disk-objectstore.

    compare.py FOLDER [--smoke] [--json FILE] [WORDS ...]

Each row is the same work, done by each contender in turn, five rounds after one that does not count; another one begins each time.
Printed are medians, and how many times faster ours is than plain files of the same durability.

* ``files``: objects as plain files, written in place, as simple storages do it: half a file can be seen, and nothing is durable.
* ``files, synced``: the same, whole or absent and durable: a temporary file, fsync, rename, fsync of the folder.
* ``gufe.FileStorage``: ours, plain files too, whole or absent; durable, or not (``durable=False``).
* ``gufe.ContentStorage``: ours, by content, always durable and verified.
* ``Store``: ours, many objects by one call.
* ``disk-objectstore``: by content, durable, one by one as loose objects, many by one call straight into a pack.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import random
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import strongroom
from disk_objectstore import Container
from strongroom import gufe

ROUNDS = 5


class PathStorage:
    """Objects as files below a folder, by nothing but Python's own calls."""

    def __init__(self, root: Path, synced: bool = False) -> None:
        self.root = root
        self.synced = synced

    def store_bytes(self, location: str, data: bytes) -> None:
        with self._written(location) as file:
            file.write(data)

    def store_path(self, location: str, source: Path) -> None:
        with source.resolve().open("rb") as given, self._written(location) as file:
            shutil.copyfileobj(given, file)

    def load_stream(self, location: str) -> IO[bytes]:
        return (self.root / location).open("rb")

    def exists(self, location: str) -> bool:
        return (self.root / location).exists()

    def __contains__(self, location: str) -> bool:
        return any(known == location for known in self.iter_contents())

    def delete(self, location: str) -> None:
        if not self.exists(location):
            raise FileNotFoundError(location)
        (self.root / location).unlink()

    def get_metadata(self, location: str) -> str:
        with self.load_stream(location) as file:
            return hashlib.md5(file.read()).hexdigest()

    def iter_contents(self, prefix: str = "") -> Iterator[str]:
        begin = (self.root / prefix).parent if prefix else self.root
        for folder, _, names in os.walk(begin):
            for name in names:
                location = (Path(folder) / name).relative_to(self.root).as_posix()
                if location.startswith(prefix):
                    yield location

    @contextmanager
    def _written(self, location: str) -> Iterator[IO[bytes]]:
        path = self.root / location
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.synced:
            with path.open("wb") as file:
                yield file
            return
        unfinished = path.with_name(f"{path.name}.unfinished")
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class Objects:
    """disk-objectstore, with the words of the others: it has digests where others have names."""

    def __init__(self, root: Path) -> None:
        self.container = Container(root)
        self.container.init_container()
        self.keys: dict[str, str] = {}

    def store_bytes(self, location: str, data: bytes) -> None:
        self.keys[location] = self.container.add_object(data)

    def store_path(self, location: str, source: Path) -> None:
        with source.open("rb") as file:
            self.keys[location] = self.container.add_streamed_object(file)

    def load_stream(self, location: str) -> AbstractContextManager[Any]:
        return self.container.get_object_stream(self.keys[location])

    def exists(self, location: str) -> bool:
        return self.container.has_object(self.keys[location])

    def delete(self, location: str) -> None:
        self.container.delete_objects([self.keys.pop(location)])


Make = Callable[[Path], Any]

FILES: dict[str, Make] = {"files": PathStorage, "files, synced": lambda root: PathStorage(root, synced=True)}
OURS: dict[str, Make] = {
    "gufe.FileStorage, not durable": lambda root: gufe.FileStorage(root, durable=False),
    "gufe.FileStorage": gufe.FileStorage,
    "gufe.ContentStorage": lambda root: gufe.ContentStorage(root),
}
OBJECTS: dict[str, Make] = {"disk-objectstore": Objects}
#: Against which each is measured: the one that does the same for durability. What only reads needs none.
WRITES_AGAINST = {
    "gufe.FileStorage, not durable": "files",
    "gufe.FileStorage": "files, synced",
    "gufe.ContentStorage": "files, synced",
    "Store": "files, synced",
    "disk-objectstore": "files, synced",
}


class Bench:
    """The data, and the rows."""

    def __init__(self, folder: Path, smoke: bool, words: list[str]) -> None:
        self.folder = folder
        self.words = words
        self.large = (8 << 20) if smoke else (1 << 30)
        self.count = 50 if smoke else 10_000
        self.durable_count = 20 if smoke else 2_000
        self.rounds = 1 if smoke else ROUNDS
        self.rows: list[dict[str, Any]] = []
        self.folders = 0

    def run(self) -> None:
        source = self.folder / "large"
        with source.open("wb") as file:
            for _ in range(self.large >> 20):
                file.write(os.urandom(1 << 20))
        data = source.read_bytes()
        small = [os.urandom(4096) for _ in range(self.count)]
        names = [f"d{number % 64}/{number:05}" for number in range(self.count)]
        paths = self._files("small", names, small)
        writers, readers = FILES | OURS | OBJECTS, {"files": FILES["files"]} | OURS | OBJECTS
        every = range(self.count)
        some = range(self.durable_count)

        self.writing("one large file", writers, lambda s: s.store_path("a/b/large", source), 1)
        self.writing("one large `bytes`", writers, lambda s: s.store_bytes("a/b/large", data), 1)
        self.writing(
            "small objects, one by one",
            writers,
            lambda s: [s.store_bytes(names[at], small[at]) for at in some],
            len(some),
        )
        self.measure(
            "small objects, replaced one by one",
            FILES | OURS,
            lambda s: [s.store_bytes(names[at], small[at]) for at in some],
            lambda s: [s.store_bytes(names[at], small[at - 1]) for at in some],
            len(some),
            WRITES_AGAINST,
            anew=False,
        )
        self.writing(
            "small files, one by one", writers, lambda s: [s.store_path(names[at], paths[at]) for at in some], len(some)
        )
        self.writing(
            "small objects, by one call",
            {
                "files": FILES["files"],
                "files, synced": FILES["files, synced"],
                "Store": lambda root: strongroom.create(root, cache=None),
                "disk-objectstore": OBJECTS["disk-objectstore"],
            },
            lambda s: self._store_all(s, names, small),
            self.count,
        )

        def large_once(storage: Any) -> None:
            storage.store_path("a/b/large", source)

        def read_all(storage: Any) -> None:
            with storage.load_stream("a/b/large") as file:
                assert len(file.read()) == self.large

        def read_pieces(storage: Any) -> None:
            with storage.load_stream("a/b/large") as file:
                assert sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b"")) == self.large

        self.reading("one large object, by one `read`", readers, large_once, read_all, 1)
        self.reading("one large object, by 1 MiB", readers, large_once, read_pieces, 1)
        hashed = {"files": FILES["files"]} | OURS
        self.reading("MD5 of one large object", hashed, large_once, lambda s: s.get_metadata("a/b/large"), 1)

        def fill(storage: Any) -> None:
            batch = getattr(storage, "store_paths", None)
            if batch is not None:
                batch(dict(zip(names, paths, strict=True)))
            else:
                self._store_all(storage, names, small)

        order = list(every)
        random.Random(1).shuffle(order)

        def load(storage: Any) -> None:
            for at in order:
                with storage.load_stream(names[at]) as file:
                    assert len(file.read()) == 4096

        self.reading("small objects, loaded one by one", readers, fill, load, self.count)
        self.reading("MD5 of small objects", hashed, fill, lambda s: [s.get_metadata(n) for n in names], self.count)
        self.reading("`exists`", readers, fill, lambda s: [s.exists(n) for n in names], self.count)
        self.reading("`in`, there", hashed, fill, lambda s: [n in s for n in names[:3]], 3)
        self.reading("`in`, not there", hashed, fill, lambda s: [f"no/{n}" in s for n in names[:3]], 3)
        self.reading("all names", hashed, fill, lambda s: self._counted(s.iter_contents(), self.count), 1)
        self.reading("names in a folder", hashed, fill, lambda s: sum(1 for _ in s.iter_contents("d1/")), 1)
        self.reading("names by a beginning", hashed, fill, lambda s: sum(1 for _ in s.iter_contents("d1")), 1)
        self.deleting(FILES | OURS | OBJECTS, fill, names[: self.durable_count])

    def writing(self, row: str, contenders: dict[str, Make], work: Callable[[Any], Any], count: int) -> None:
        self.measure(row, contenders, lambda _: None, work, count, WRITES_AGAINST, anew=True)

    def reading(
        self,
        row: str,
        contenders: dict[str, Make],
        prepare: Callable[[Any], None],
        work: Callable[[Any], Any],
        count: int,
    ) -> None:
        self.measure(row, contenders, prepare, work, count, dict.fromkeys(OURS | OBJECTS, "files"), anew=False)

    def deleting(self, contenders: dict[str, Make], fill: Callable[[Any], None], names: list[str]) -> None:
        def delete(storage: Any) -> None:
            for name in names:
                storage.delete(name)

        # None of those of files makes durable that one is gone. What the commit of a content store is, it is durable too.
        against = WRITES_AGAINST | {"gufe.FileStorage": "files", "gufe.ContentStorage": "files"}
        self.measure("deleted one by one", contenders, fill, delete, len(names), against, anew=True)

    def measure(
        self,
        row: str,
        contenders: dict[str, Make],
        prepare: Callable[[Any], None],
        work: Callable[[Any], Any],
        count: int,
        against: dict[str, str],
        anew: bool,
    ) -> None:
        if self.words and not any(word in row for word in self.words):
            return
        large = "large" in row
        # Those with many files stay until the end: ext4 without a journal makes files slowly after others were deleted.
        folders: dict[str, Path] = {}
        times: dict[str, list[float]] = {name: [] for name in contenders}
        kept: dict[str, Any] = {}
        for round_number in range(self.rounds + 1):
            order = list(contenders)
            for name in order[round_number % len(order) :] + order[: round_number % len(order)]:
                if anew or name not in kept:
                    kept.pop(name, None)
                    if name in folders:
                        shutil.rmtree(folders.pop(name))
                    folder = self._folder()
                    if large:
                        folders[name] = folder
                    kept[name] = contenders[name](folder)
                    prepare(kept[name])
                    self._settle(large)
                gc.collect()
                begin = time.perf_counter()
                work(kept[name])
                took = time.perf_counter() - begin
                if round_number > 0:
                    times[name].append(took)
        kept.clear()
        for folder in folders.values():
            shutil.rmtree(folder)
        medians = {name: statistics.median(each) for name, each in times.items()}
        for name, median in medians.items():
            rival = against.get(name)
            ratio = medians[rival] / median if rival else None
            self.rows.append(
                {"row": row, "contender": name, "seconds": median, "each": median / count, "ratio": ratio, "all": times[name]}
            )
            shown = f"{ratio:.2f}x" if ratio else ""
            print(f"| {row} | {name} | {_shown(median, count)} | {shown} |", flush=True)

    def _folder(self) -> Path:
        self.folders += 1
        return self.folder / "work" / str(self.folders)

    def _settle(self, large: bool) -> None:
        """Nothing waits to be written, and as much memory as will be needed was in use a moment ago; else luck is measured."""
        os.sync()
        if large:
            with (self.folder / "warm").open("wb") as file:
                for _ in range(2 * self.large >> 20):
                    file.write(bytes(1 << 20))
            (self.folder / "warm").unlink()

    def _files(self, folder: str, names: list[str], contents: list[bytes]) -> list[Path]:
        paths = [self.folder / folder / name for name in names]
        for path, content in zip(paths, contents, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return paths

    @staticmethod
    def _store_all(storage: Any, names: list[str], contents: list[bytes]) -> None:
        if isinstance(storage, strongroom.Store):
            with storage.batch() as batch:
                for name, content in zip(names, contents, strict=True):
                    batch.store_bytes(name, content)
        elif isinstance(storage, Objects):
            storage.keys = dict(zip(names, storage.container.add_objects_to_pack(contents), strict=True))
        else:
            for name, content in zip(names, contents, strict=True):
                storage.store_bytes(name, content)

    @staticmethod
    def _counted(names: Iterator[str], count: int) -> None:
        found = sum(1 for _ in names)
        assert found == count, found


def _shown(seconds: float, count: int) -> str:
    return f"{seconds:.3f} s" if count == 1 else f"{count / seconds:,.0f} /s"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--smoke", action="store_true")
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("words", nargs="*")
    # Words may follow options.
    given = arguments.parse_intermixed_args()
    os.environ["STRONGROOM_CACHE"] = "off"
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    print("| work | by | speed | beside files |\n|---|---|---|---|")
    bench = Bench(given.folder, given.smoke, given.words)
    try:
        bench.run()
    finally:
        shutil.rmtree(given.folder)
    if given.json:
        given.json.write_text(json.dumps(bench.rows, indent=1))
    slower = [f"{row['row']}: {row['contender']}" for row in bench.rows if (row["ratio"] or 1) < 1]
    if slower:
        print("\nSlower than files: " + "; ".join(slower), file=sys.stderr)


main()
