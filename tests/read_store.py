#!/usr/bin/env python3
"""Reads a strongroom content store by what FORMAT.md says, and by nothing else.

  read_store.py STORE ls [--json] [PREFIX]           digest, size and location of every object, or all that is known of it
  read_store.py STORE ls [--json] --at V NAMESPACE   the same of one namespace, at a version or a tag of it
  read_store.py STORE cat [--at V] LOCATION          an object's bytes
  read_store.py STORE export FOLDER                  every object as a file in a new folder
  read_store.py STORE recover FOLDER                 all content by its digest, from packs/ and files/ alone
  read_store.py STORE dump FILE                      every field of a pack, a run or an index file

Needs Python 3.10 or newer and `pip install blake3 zstandard`.
"""
import argparse, bisect, functools, json, os, pathlib, re, struct, sys
from collections import namedtuple
import zstandard
from blake3 import blake3

FORMAT, FEATURES = "1", set()
PACK, INDEX, RUN = MAGICS = b"SRPACK1\n", b"SRINDX1\n", b"SRRUN01\n"
FOOTER_BYTES, VERSIONS = 56, 1 << 40
RECORD_BYTES, BLOCK_RECORDS = 56, 73
CHUNK, CHUNK_LIST, CELL_LIST = 0, 1, 2

Place = namedtuple("Place", "pack offset stored method")
Record = namedtuple("Record", "digest offset stored size pack kind method")
Packed = namedtuple("Packed", "place size")  # a list that lies in a pack
Content = namedtuple("Content", "kept digest size body")  # body: bytes, Place, a list or Packed, (nonce, a list or Packed)
Entry = namedtuple("Entry", "name version time content attributes")  # content: None for a removed name
Block = namedtuple("Block", "first offset stored size method checksum")
Index = namedtuple("Index", "count packs chunk_counts filter rows")


class Damaged(Exception):
    """A file is not what FORMAT.md says."""


def need(sound, what):
    if not sound:
        raise Damaged(what)


class Fields:
    """Takes fields from bytes, one after the other; `show` is told of each."""

    def __init__(self, data, base=0, show=None):
        self.data, self.at, self.base, self.show = data, 0, base, show

    def raw(self, length, what, value=lambda part: None):
        part = self.data[self.at : self.at + length]
        need(len(part) == length, f"it ends within a field: {what}")
        if self.show:
            self.show(self.base + self.at, part, what, value(part))
        self.at += length
        return part

    def number(self, length, what, signed=False, most=None):
        def decode(part):
            return int.from_bytes(part, "little", signed=signed)

        number = decode(self.raw(length, what, decode))
        need(most is None or number <= most, f"an unknown {what}")
        return number

    def numbers(self, **lengths):
        return [self.number(length, what) for what, length in lengths.items()]

    def hex(self, length, what):
        return self.raw(length, what).hex()

    def short(self, what, value=lambda part: None):
        return self.raw(self.number(2, f"length of {what}"), what, value)

    def text(self, what):
        return self.short(what, lambda part: repr(part.decode())).decode()

    def method(self):
        return self.number(1, "method: 0 plain, 1 zstd", most=1)

    def several(self, what, least_bytes, take):
        count = self.number(4, what)
        need(count * least_bytes <= len(self.data) - self.at, f"{what}: more than there is room for")
        return [take(self) for _ in range(count)]

    def end(self):
        need(not self.more(), "there are bytes behind its end")

    def more(self):
        return self.at < len(self.data)


# FORMAT.md: Envelope


def open_envelope(path, magic):
    """Where the body ends, and the directory."""
    with open(path, "rb") as file:
        begin, size = file.read(8), file.seek(0, os.SEEK_END)
        file.seek(max(size - FOOTER_BYTES, 0))
        footer = file.read()
        need(begin == magic == footer[-8:] and size >= 8 + FOOTER_BYTES, f"{path} is cut short or another kind of file")
        body_end, length, reserved, checksum, _ = struct.unpack("<QII32s8s", footer)
        need(8 <= body_end and body_end + length + FOOTER_BYTES == size, f"{path}: its length is not what its footer says")
        file.seek(body_end)
        directory = file.read(length)
    need(blake3(magic + footer[:16] + directory).digest() == checksum, f"{path}: its directory is damaged")
    need(reserved == 0, f"{path}: it needs a newer reader")
    return body_end, directory


def read_at(path, offset, stored, method, size):
    """Stored bytes, and the `size` bytes that they hold: plain, or as one zstd frame."""
    with open(path, "rb") as file:
        file.seek(offset)
        held = kept = file.read(stored)
    if method == 1:
        need(size <= 64 << 20, f"{path}: more is compressed than may be")
        try:
            need(zstandard.get_frame_parameters(kept).content_size == size, f"{path}: a zstd frame has another length")
            held = zstandard.ZstdDecompressor().decompress(kept, max_output_size=size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Damaged(f"{path}: a zstd frame is damaged: {error}") from error
    need(len(kept) == stored and len(held) == size, f"{path}: what it holds has another length")
    return kept, held


# FORMAT.md: Packs, Index files


def take_records(fields, packs):
    records = []
    while fields.more():
        digest, *numbers = fields.hex(32, "record: digest"), *fields.numbers(offset=8, stored=4, size=4, pack=4)
        record = Record(digest, *numbers, fields.number(1, "kind: 0 chunk, 1 chunk list, 2 cell list", most=2), fields.method())
        fields.number(2, "reserved", most=0)
        need(record.pack < packs, "a record names a pack that is not listed")
        need(not records or records[-1].digest <= digest, "its records are not in order")
        records.append(record)
    return records


def take_pack(fields):
    return fields.hex(16, "the pack's nonce"), take_records(fields, 1)


def take_index(fields):
    count = fields.number(8, "records")
    packs = fields.several("packs", 16, lambda fields: fields.hex(16, "pack"))
    chunk_counts = fields.several("chunk counts", 4, lambda fields: fields.number(4, "chunks"))
    index = Index(count, packs, chunk_counts, fields.raw(fields.number(4, "length of filter"), "filter"), [])
    while fields.more():
        index.rows.append((fields.raw(8, "block: beginning of its first digest"), fields.raw(16, "checksum")))
    need(len(index.rows) == -(-count // BLOCK_RECORDS) and index.filter, "its blocks are not those of its records")
    return index


def take_index_records(path, index, body_end, show=None):
    """All records; a faster reader reads the block that may have a digest."""
    need(body_end == 8 + index.count * RECORD_BYTES, f"{path}: its body is not what its directory says")
    records = []
    for at, (first, checksum) in enumerate(index.rows):
        offset = 8 + at * BLOCK_RECORDS * RECORD_BYTES
        length = min(BLOCK_RECORDS * RECORD_BYTES, body_end - offset)
        block = read_at(path, offset, length, 0, length)[0]
        need(blake3(block).digest()[:16] == checksum and block.startswith(first), f"{path}: a block is damaged")
        records += take_records(Fields(block, offset, show), len(index.packs))
    need(records == sorted(records, key=lambda record: record.digest), f"{path}: its blocks are not in order")
    return records


def may_have(file, digest):
    """What the filter of an index file or a run says: if not, nothing in it has this digest."""
    bits = [word * len(file.filter) * 8 >> 32 for word in struct.unpack("<6I", bytes.fromhex(digest)[8:])]
    return all(file.filter[bit // 8] >> bit % 8 & 1 for bit in bits)


# FORMAT.md: Content


def take_place(fields):
    return Place(fields.hex(16, "pack"), *fields.numbers(offset=8, stored=4), fields.method())


def take_chunk(fields):
    return fields.hex(32, "chunk: digest"), fields.number(4, "size"), take_place(fields)


def take_items(fields, kind):
    if kind == CELL_LIST:
        return fields.several("cells", 32, lambda fields: fields.raw(32, "cell"))
    return fields.several("chunks", 65, take_chunk)


def take_list(fields, kind):
    is_packed = fields.number(1, "list: 0 here, 1 in a pack", most=1)
    return Packed(take_place(fields), *fields.numbers(size=4)) if is_packed else take_items(fields, kind)


def take_list_body(fields, kind, digest):
    need(fields.hex(32, "the object's digest") == digest, "a list belongs to another object")
    items = take_items(fields, kind)
    need(blake3(fields.data[: fields.at]).digest() == fields.raw(32, "digest of the list"), "a list is damaged")
    fields.end()
    return items


def take_content(fields, kind):
    digest, size = fields.hex(32, "digest"), fields.number(8, "size")
    if kind == 1:
        return Content("inline", digest, size, fields.short("content"))
    if kind == 2:
        return Content("packed", digest, size, take_place(fields))
    if kind == 3:
        return Content("chunked", digest, size, take_list(fields, CHUNK_LIST))
    return Content("whole", digest, size, (fields.hex(16, "the file's nonce"), take_list(fields, CELL_LIST)))


# FORMAT.md: Runs


def take_entry(fields):
    name, version, time = fields.text("name"), fields.number(8, "set by version"), fields.number(8, "time", signed=True)
    kind = fields.number(1, "kind: 0 removed, 1 inline, 2 packed, 3 chunked, 4 whole", most=4)
    content = take_content(fields, kind) if kind else None
    count = fields.number(2, "attributes") if kind else 0
    attributes = dict((fields.text("key"), fields.short("value")) for _ in range(count))
    need(len(attributes) == count, "an attribute stands twice")
    return Entry(name, version, time, content, attributes)


def take_block(fields):
    place = fields.text("block: first name"), *fields.numbers(offset=8, stored=4, size=4)
    return Block(*place, fields.method(), fields.raw(16, "checksum"))


class Run:
    def __init__(self, path, show=None):
        body_end, directory = open_envelope(path, RUN)
        fields = Fields(directory, body_end, show)
        self.path, self.version, self.first = path, *fields.numbers(version=8, first=8)
        self.commit, self.parent = fields.hex(16, "commit"), fields.hex(16, "parent")
        self.time = fields.number(8, "time", signed=True)
        self.put, self.removed = fields.numbers(put=4, removed=4)
        self.log = fields.number(1, "log: 0 namespace, 1 tags", most=1), fields.text("namespace")
        self.author, self.message, self.count = fields.text("author"), fields.text("message"), fields.number(8, "entries")
        self.blocks = fields.several("blocks", 35, take_block)
        self.filter = fields.raw(fields.number(4, "length of filter"), "filter")
        fields.end()
        need(0 < self.first <= self.version, f"{path}: its versions do not fit together")

    def block(self, block, show=None):
        kept, held = read_at(self.path, *block[1:3], block.method, block.size)
        need(blake3(kept).digest()[:16] == block.checksum, f"{self.path}: a block is damaged")
        if show and block.method == 1:
            show(block.offset, kept, "block, compressed; its fields are counted from its beginning", None)
        fields, entries = Fields(held, 0 if block.method else block.offset, show), []
        while fields.more():
            entries.append(take_entry(fields))
        return entries

    def entries(self):
        found = [entry for block in self.blocks for entry in self.block(block)]
        names = [entry.name.encode() for entry in found]
        need(len(found) == self.count and names == sorted(set(names)), f"{self.path}: its entries are not in order")
        return found

    def may_have(self, name):
        return not self.filter or may_have(self, blake3(name.encode()).hexdigest())

    def get(self, name):
        if not self.may_have(name):
            return None
        at = bisect.bisect_right([block.first.encode() for block in self.blocks], name.encode()) - 1
        return next((entry for entry in self.block(self.blocks[at]) if entry.name == name), None) if at >= 0 else None


# FORMAT.md: Names


def encode_segment(segment, folds_case):
    strange = rb"[^a-z0-9._-]" if folds_case else rb"[^A-Za-z0-9._-]"
    encoded = re.sub(strange, lambda byte: b"%%%02X" % byte[0][0], segment.encode()).decode()
    return encoded if len(encoded) <= 200 else encoded[:120] + "~" + blake3(segment.encode()).hexdigest()[:32]


def split(location):
    """The namespace of a location, and the name in it."""
    segments = location.split("/")
    cut = min(2, len(segments) - 1)
    return "/".join(segments[:cut]), "/".join(segments[cut:])


class Store:
    def __init__(self, root):
        self.root, self.tables = pathlib.Path(root), {}

    def open(self):
        description = json.loads((self.root / "strongroom.json").read_text())
        if description["format"] != FORMAT:
            sys.exit(f"read_store: the store has format {description['format']!r}, this program knows {FORMAT!r}")
        if unknown := set(description["required_features"]) - FEATURES:
            sys.exit(f"read_store: the store needs features that this program does not know: {', '.join(unknown)}")
        checksum = description.pop("checksum")
        text = json.dumps(description, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if blake3(text.encode()).hexdigest() != checksum:
            sys.exit("read_store: strongroom.json is damaged")
        self.folds_case = description["folds_case"]
        return self

    def folder(self, log):
        is_tags, namespace = log
        segments = ["@tags"] if is_tags else [encode_segment(part, self.folds_case) for part in namespace.split("/") if part]
        return self.root.joinpath("names", *segments, "@")

    def versions(self, log):
        """Those that are there, the newest first, which is the order of their names."""
        names = sorted(os.listdir(self.folder(log))) if self.folder(log).is_dir() else []
        return [VERSIONS - int(name, 16) for name in names if re.fullmatch("[0-9a-f]{10}", name)]

    def run(self, log, version):
        run = Run(self.folder(log) / f"{VERSIONS - version:010x}")
        need(run.log == log and run.version == version, f"{run.path} is another version's run")
        return run

    def live_runs(self, log, version=None):
        """Those that a version is read from, the newest first; without a version, the head."""
        runs, next_version = [], max(self.versions(log), default=0) if version is None else version
        while next_version > 0:
            runs.append(self.run(log, next_version))
            next_version = runs[-1].first - 1
        return runs

    def state(self, log, version=None):
        entries = {}
        for run in reversed(self.live_runs(log, version)):
            entries.update((entry.name, entry) for entry in run.entries())
        return [entries[name] for name in sorted(entries, key=str.encode) if entries[name].content]

    def namespaces(self):
        for folder in sorted((self.root / "names").glob("**/@")):
            if folder.parent.name != "@tags" and (files := sorted(folder.iterdir())):
                log = Run(files[0]).log
                need(self.folder(log) == folder, f"{folder} is another namespace's")
                yield log[1]

    def tags(self):
        for entry in self.state((1, "")):
            name, _, namespace = entry.name.partition("/")
            yield name, namespace, int.from_bytes(b"".join(self.read(entry.content)), "little")

    def version(self, namespace, at):
        if at is None or at.isdigit():
            return at and int(at)
        found = [version for tag, of, version in self.tags() if (tag, of) == (at, namespace)]
        return found[0] if found else sys.exit(f"read_store: namespace {namespace!r} has no tag {at!r}")

    def find(self, location, at):
        namespace, name = split(location)
        for run in self.live_runs((0, namespace), self.version(namespace, at)):
            if entry := run.get(name):
                return entry if entry.content else None

    def objects(self, prefix="", at=None):
        for namespace in self.namespaces() if at is None else [prefix]:
            for entry in self.state((0, namespace), self.version(namespace, at)):
                location = f"{namespace}/{entry.name}" if namespace else entry.name
                if location.startswith(prefix):
                    yield location, entry

    # FORMAT.md: Reading content

    def pack_path(self, pack):
        return self.root / "packs" / pack[:2] / pack

    def table(self, pack):
        """A pack's own records."""
        if pack not in self.tables:
            body_end, directory = open_envelope(self.pack_path(pack), PACK)
            name, records = take_pack(Fields(directory))
            need(name == pack, f"{self.pack_path(pack)} is another pack")
            inside = all(8 <= record.offset and record.offset + record.stored <= body_end for record in records)
            need(inside, f"pack {pack}: a record is beyond its end")
            self.tables[pack] = records
        return self.tables[pack]

    def packs(self):
        return sorted(path.name for path in self.root.glob("packs/*/*"))

    def elsewhere(self, kind, digest):
        """Sizes and places of content, by the records of all packs; a faster reader asks the index files first."""
        records = ((pack, record) for pack in self.packs() for record in self.table(pack))
        found = ((pack, record) for pack, record in records if (record.kind, record.digest) == (kind, digest))
        return [(record.size, Place(pack, record.offset, record.stored, record.method)) for pack, record in found]

    def at_place(self, place, size):
        return read_at(self.pack_path(place.pack), place.offset, place.stored, place.method, size)[1]

    def first_sound(self, what, known, others, read):
        """What `read` makes of the first place where it is not damaged."""
        for places in (lambda: [known], others):
            for size, place in places():
                try:
                    return read(self.at_place(place, size))
                except (Damaged, FileNotFoundError):
                    continue
        raise Damaged(f"{what} is lost or damaged")

    def chunk(self, digest, size, place):
        def read(held):
            need(blake3(held).hexdigest() == digest and len(held) == size, "a chunk is damaged")
            return held

        others = functools.partial(self.elsewhere, CHUNK, digest)
        return self.first_sound(f"chunk b3:{digest}", (size, place), others, read)

    def items(self, content, kind):
        """The chunks or cells of an object."""
        found = content.body[1] if kind == CELL_LIST else content.body
        if not isinstance(found, Packed):
            return found
        what, known = f"the list of b3:{content.digest}", (found.size, found.place)
        others = functools.partial(self.elsewhere, kind, content.digest)
        return self.first_sound(what, known, others, lambda held: take_list_body(Fields(held), kind, content.digest))

    def read(self, content):
        """The bytes of an object, part by part, each verified; at the end all of them."""
        hasher, size = blake3(), 0
        for part in self.parts(content):
            hasher.update(part)
            size += len(part)
            yield part
        need((hasher.hexdigest(), size) == (content.digest, content.size), f"b3:{content.digest} is damaged")

    def parts(self, content):
        if content.kept == "inline":
            yield content.body
        elif content.kept == "packed":
            yield self.chunk(content.digest, content.size, content.body)
        elif content.kept == "chunked":
            yield from (self.chunk(*chunk) for chunk in self.items(content, CHUNK_LIST))
        else:
            stem = self.root / "files" / content.digest[:2] / content.digest
            for path in [stem.with_suffix("." + content.body[0]), *sorted(stem.parent.glob(f"{content.digest}.*"))]:
                if path.is_file() and blake3().update_mmap(path).hexdigest() == content.digest:
                    with open(path, "rb") as file:
                        yield from iter(lambda: file.read(1 << 20), b"")
                    return
            raise Damaged(f"the file of b3:{content.digest} is lost or damaged")


# The commands


def ls(store, options):
    for location, entry in store.objects(options.prefix, options.at):
        content = entry.content
        if options.json:
            attributes = {key: value.hex() for key, value in entry.attributes.items()}
            known = {"location": location, "digest": content.digest, "size": content.size, "kept": content.kept}
            print(json.dumps({**known, "version": entry.version, "time": entry.time, "attributes": attributes}))
        else:
            print(f"{content.digest} {content.size:>12}  {location}")


def cat(store, options):
    entry = store.find(options.location, options.at) or sys.exit(f"read_store: there is no {options.location!r}")
    sys.stdout.buffer.writelines(store.read(entry.content))


def export(store, options):
    folder, links = pathlib.Path(options.folder), []
    folder.mkdir(parents=True)
    for location, entry in store.objects():
        need(not {"", ".", ".."} & set(location.split("/")), f"{location!r} is no location")
        path = folder / location
        path.parent.mkdir(parents=True, exist_ok=True)
        if "symlink" in entry.attributes:
            links.append((path, b"".join(store.read(entry.content))))
            continue
        with open(path, "xb") as file:
            file.writelines(store.read(entry.content))
        path.chmod(0o755 if "executable" in entry.attributes else 0o644)
        if modified := entry.attributes.get("modified"):
            os.utime(path, ns=(int.from_bytes(modified, "little", signed=True),) * 2)
    for path, target in links:  # last, so that nothing is written through them
        os.symlink(target, os.fsencode(path))


def recover(store, options):
    folder = pathlib.Path(options.folder)
    folder.mkdir(parents=True)

    def keep(content):
        with open(folder / content.digest, "wb") as file:
            file.writelines(store.parts(content))
        need(blake3().update_mmap(file.name).hexdigest() == content.digest, f"b3:{content.digest} is damaged")

    for pack in store.packs():
        for record in store.table(pack):
            place = Place(pack, record.offset, record.stored, record.method)
            if record.kind == CHUNK:
                keep(Content("packed", record.digest, record.size, place))
            elif record.kind == CHUNK_LIST:
                keep(Content("chunked", record.digest, None, Packed(place, record.size)))
    for path in store.root.glob("files/*/*.*"):
        keep(Content("whole", *path.name.split(".")[:1], None, (path.name.split(".")[1], [])))


def dump(store, options):
    def show(offset, part, what, value):
        rows = [part[at : at + 16].hex(" ") for at in range(0, min(len(part), 64), 16)] or [""]
        print(f"{offset:06x}  {rows[0]:<47}  {what}{'' if value is None else f' = {value}'}")
        for at, row in enumerate(rows[1:], 1):
            print(f"{offset + 16 * at:06x}  {row}")
        if len(part) > 64:
            print(f"        and {len(part) - 64} more bytes")

    path, data = store.root / options.file, (store.root / options.file).read_bytes()
    need(data[:8] in MAGICS, f"{path} is no pack, run or index file")
    body_end, directory = open_envelope(path, data[:8])
    Fields(data, 0, show).raw(8, "magic")
    if data[:8] == RUN:
        for block in Run(path).blocks:
            Run(path).block(block, show)
        Run(path, show)
    elif data[:8] == INDEX:
        take_index_records(path, take_index(Fields(directory)), body_end, show)
        take_index(Fields(directory, body_end, show))
    else:
        for record in sorted(take_pack(Fields(directory))[1], key=lambda record: record.offset):
            stored = data[record.offset : record.offset + record.stored]
            show(record.offset, stored, ("chunk", "chunk list", "cell list")[record.kind] + ", compressed" * record.method, None)
        take_pack(Fields(directory, body_end, show))
    footer = Fields(data[-FOOTER_BYTES:], len(data) - FOOTER_BYTES, show)
    footer.number(8, "where the directory begins"), footer.number(4, "its length"), footer.number(4, "reserved")
    footer.hex(32, "checksum"), footer.raw(8, "magic")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (ls, cat, export, recover, dump):
        sub = commands.add_parser(command.__name__)
        sub.set_defaults(command=command)
        if command in (ls, cat):
            sub.add_argument("--at")
        if command == ls:
            sub.add_argument("--json", action="store_true")
        name = {ls: "prefix", cat: "location", dump: "file"}.get(command, "folder")
        sub.add_argument(name, nargs="?" if command == ls else None, default="")
    options = parser.parse_args()
    try:
        store = Store(options.store)
        options.command(store if options.command in (recover, dump) else store.open(), options)
    except (Damaged, FileNotFoundError, UnicodeDecodeError) as error:
        sys.exit(f"read_store: {error}")


if __name__ == "__main__":
    main()
