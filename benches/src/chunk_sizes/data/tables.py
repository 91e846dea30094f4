"""Writes the versions of a table: tables.py KIND SIZE PATH..."""

import random
import shutil
import sqlite3
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = random.Random(81)


def rows(count):
    """A table as a simulation reports it: 38 bytes a row."""
    units = [f"dag/unit-{n:03}" for n in range(100)]
    unit = pa.DictionaryArray.from_arrays(pa.array([n * 100 // count for n in range(count)], pa.int8()), units)
    uniform = lambda: pc.random(count, initializer=SEED.getrandbits(63))
    return pa.table({
        "step": pa.array(range(count), pa.int64()),
        "unit": unit.cast(pa.string()),
        "energy": uniform(),
        **{axis: uniform().cast(pa.float32(), safe=False) for axis in "xyz"},
    })


def parquet(size, paths, append=False, cut_by_content=False):
    count = max(size // 38, 1000)
    table = rows(count)
    for number, path in enumerate(paths):
        if number and append:
            table = pa.concat_tables([table, rows(count // 100)])
        elif number:
            for _ in range(2):
                place = SEED.randrange(table.num_rows)
                table = pa.concat_tables([table[:place], rows(100), table[place:]])
        pq.write_table(table.combine_chunks(), path, use_content_defined_chunking=cut_by_content)


def sqlite(size, paths):
    count = max(size // 2100, 200)
    insert = lambda: ("dag/unit-%03d" % SEED.randrange(100), SEED.random(), SEED.randbytes(2000))
    for number, path in enumerate(paths):
        if number:
            shutil.copyfile(paths[number - 1], path)
        with sqlite3.connect(path) as database:
            if number == 0:
                database.execute("CREATE TABLE result (id INTEGER PRIMARY KEY, unit TEXT, energy REAL, data BLOB)")
                database.execute("CREATE INDEX by_unit ON result (unit)")
            else:
                start = SEED.randrange(count - count // 100)
                changed = [*range(start, start + count // 100), *(SEED.randrange(count) for _ in range(20))]
                database.executemany(
                    "UPDATE result SET energy = ?, data = ? WHERE id = ?",
                    ((SEED.random(), SEED.randbytes(2000), row) for row in changed),
                )
            database.executemany(
                "INSERT INTO result (unit, energy, data) VALUES (?, ?, ?)",
                (insert() for _ in range(count // 100 if number else count)),
            )
        database.close()


def main(kind, size, *paths):
    write = {
        "parquet": parquet,
        "parquet-append": lambda size, paths: parquet(size, paths, append=True),
        "parquet-cdc": lambda size, paths: parquet(size, paths, cut_by_content=True),
        "sqlite": sqlite,
    }
    write[kind](int(size), paths)


main(*sys.argv[1:])
