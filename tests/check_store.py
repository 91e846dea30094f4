#!/usr/bin/env python3
"""Checks a strongroom content store against FORMAT.md: check_store.py STORE [LOCATION] [< the object's bytes]

Reads everything there is and compares what is said twice: index files with packs, cells with digests, counts with entries.
With a LOCATION, checks instead that the object there is cut where FORMAT.md says, by the table at its end.
"""
import json, pathlib, re, struct, sys
from blake3 import blake3
from read_store import CELL_LIST, CHUNK, CHUNK_LIST, INDEX
from read_store import Fields, Place, Store, may_have, need, open_envelope, take_index, take_index_records, take_list_body

GRID_BYTES = 1 << 20
IV = 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19
ORDER = 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8
COLUMNS = [(n, 4 + n, 8 + n, 12 + n) for n in range(4)]
DIAGONALS = [(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4) for n in range(4)]


def turn(word, bits):
    return (word >> bits | word << (32 - bits)) & 0xFFFFFFFF


def parent(left, right, is_root):
    """BLAKE3's parent node: its compression function over two chaining values."""
    block = struct.unpack("<16I", left + right)
    state = [*IV, *IV[:4], 0, 0, 64, 4 | 8 * is_root]
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(COLUMNS + DIAGONALS):
            for word, turn_d, turn_b in ((block[2 * n], 16, 12), (block[2 * n + 1], 8, 7)):
                state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
                state[d] = turn(state[d] ^ state[a], turn_d)
                state[c] = (state[c] + state[d]) & 0xFFFFFFFF
                state[b] = turn(state[b] ^ state[c], turn_b)
        block = [block[n] for n in ORDER]
    return struct.pack("<8I", *(state[n] ^ state[n + 8] for n in range(8)))


def digest_of_cells(cells, size, is_root=True):
    if len(cells) == 1:
        return cells[0]
    left = 1 << ((size - 1).bit_length() - 1)
    at = left // GRID_BYTES
    return parent(digest_of_cells(cells[:at], left, False), digest_of_cells(cells[at:], size - left, False), is_root)


def check_cells(store, content):
    cells, count = store.items(content, CELL_LIST), -(-content.size // GRID_BYTES)
    need(len(cells) == (count if count > 1 else 0), f"b3:{content.digest}: the number of its cells is wrong")
    merged = digest_of_cells(cells, content.size).hex() if cells else content.digest
    need(merged == content.digest, f"b3:{content.digest}: its cells are wrong")


def first_to_hold(store, log, version):
    """The first commit that a run holds; None if what it was made of is no longer there."""
    try:
        live = store.live_runs(log, version - 1)
    except FileNotFoundError:
        return None
    if sum(run.path.stat().st_size for run in live) < 1 << 16:
        return 1
    return max((run.version for run in live if run.version <= version - (version & -version)), default=0) + 1


def check_history(store, log):
    runs = [store.run(log, version) for version in store.versions(log)]
    commits = {run.version: run.commit for run in runs} | {0: "0" * 32}
    for run in runs:
        need(run.parent == commits.get(run.version - 1, run.parent), f"{run.path} does not follow the version before")
        if first := first_to_hold(store, log, run.version):
            need(run.first == first, f"{run.path} holds commits from {run.first} on, not from {first} on")
        entries = run.entries()
        put, removed = ([entry for entry in entries if (entry.version, entry.content is not None) == (run.version, is_put)]
                        for is_put in (True, False))
        need(len(put) == run.put and (run.first == 1 or len(removed) == run.removed), f"{run.path}: its counts are wrong")
        need(all(run.first <= entry.version <= run.version for entry in entries), f"{run.path}: an entry is not its own")
        need(all(run.may_have(entry.name) for entry in entries), f"{run.path}: its filter is wrong")
        need(run.first > 1 or all(entry.content for entry in entries), f"{run.path}: it has removed names for nothing")
    return len(runs)


def check_pack(store, pack):
    for record in store.table(pack):
        held = store.at_place(Place(pack, record.offset, record.stored, record.method), record.size)
        if record.kind == CHUNK:
            need(blake3(held).hexdigest() == record.digest, f"pack {pack}: chunk b3:{record.digest} is damaged")
        else:
            take_list_body(Fields(held), record.kind, record.digest)


def check_index(store, path):
    body_end, directory = open_envelope(path, INDEX)
    index = take_index(Fields(directory))
    records = take_index_records(path, index, body_end)
    own = [record._replace(pack=at) for at, pack in enumerate(index.packs) for record in store.table(pack)]
    need(sorted(own) == sorted(records), f"{path} does not say what its packs say")
    need(all(may_have(index, record.digest) for record in records), f"{path}: its filter is wrong")
    absent = sum(may_have(index, blake3(n.to_bytes(4, "big")).hexdigest()) for n in range(1000))
    need(absent < 50, f"{path}: its filter has too many bits set")
    # The body of a chunk list has its object's digest, a count and a digest of its own besides 65 bytes a chunk.
    counts = {(record.size - 68) // 65 for record in records if record.kind == CHUNK_LIST}
    need(index.chunk_counts == sorted(counts), f"{path}: its chunk counts are wrong")


def check(store):
    logs = [(0, namespace) for namespace in store.namespaces()]
    runs = sum(check_history(store, log) for log in [*logs, (1, "")])
    tagged = [store.state((0, namespace), version) for _, namespace, version in store.tags()]
    current = [store.state(log) for log in logs]
    for content in {entry.content.digest: entry.content for state in [*current, *tagged] for entry in state}.values():
        for _ in store.read(content):
            pass
        if content.kept == "whole":
            check_cells(store, content)
    files, indexes = list(store.root.glob("files/*/*")), list(store.root.glob("index/*"))
    for pack in store.packs():
        check_pack(store, pack)
    for path in files:
        need(blake3().update_mmap(path).hexdigest() == path.name.partition(".")[0], f"{path} is not what its name says")
    for path in indexes:
        check_index(store, path)
    counts = {"namespaces": len(logs), "runs": runs, "objects": sum(map(len, current)), "packs": len(store.packs())}
    print(json.dumps({**counts, "files": len(files), "indexes": len(indexes), "tags": len(tagged)}))


def cuts(content, minimum, average, maximum, gear):
    """Where chunks end."""
    minimum, mask = max(minimum, 64), (1 << 64) - (1 << (64 - average.bit_length() + 1))
    start = 0
    while start < len(content):
        end, hash_ = min(start + maximum, len(content)), 0
        for at in range(start + minimum - 64, end):
            hash_ = (hash_ * 2 + gear[content[at]]) % (1 << 64)
            if at >= start + minimum and hash_ & mask == 0:
                end = at + 1
                break
        yield end
        start = end


def check_cuts(store, location, content):
    document = (pathlib.Path(__file__).parent.parent / "FORMAT.md").read_text()
    gear = [int(word, 16) for word in re.findall(r"\b[0-9a-f]{16}\b", document[document.index("## Appendix") :])]
    need(len(gear) == 256, "FORMAT.md has no gear table")
    sizes = json.loads((store.root / "strongroom.json").read_text())["chunk_bytes"]
    expected, end = [], 0
    for _, size, _ in store.items(store.find(location, None).content, CHUNK_LIST):
        expected.append(end := end + size)
    need(list(cuts(content, **sizes, gear=gear)) == expected, f"{location} is not cut where FORMAT.md says")
    print(len(expected))


if __name__ == "__main__":
    opened = Store(sys.argv[1]).open()
    check(opened) if len(sys.argv) == 2 else check_cuts(opened, sys.argv[2], sys.stdin.buffer.read())
