"""Names at the edge: one form for everything that means the same."""

from __future__ import annotations

import os
import posixpath

from .errors import InvalidResourceError

#: What a storage of files keeps unfinished files in.
TEMPORARY_FOLDER = ".strongroom-tmp"
#: The longest segment, and the longest location, in bytes.
MAX_SEGMENT_BYTES, MAX_BYTES = 255, 1024

#: Segments that nearly no location has.
_ODD = frozenset(("", ".", "..", TEMPORARY_FOLDER))


def canonical(location: str | os.PathLike[str], *roots: str) -> str:
    """The one location that ``location`` means: relative, ``/``-separated, without ``.``, ``..`` and empty segments.

    An absolute path inside one of the absolute ``roots`` is taken relative to it.

    :raises InvalidResourceError: if it leaves the root, is empty or too long, or has a NUL.
    :raises TypeError: if it is no string and no path.
    """
    text = location if isinstance(location, str) else os.fspath(location)
    if not isinstance(text, str):
        raise TypeError(f"a location is a str or a path, not {type(location).__name__}")
    if "\0" in text:
        raise _invalid(text, "a location can't contain NUL")
    if not _ODD.isdisjoint(text.split("/")):
        text = _normalised(text, roots)
    if len(text) > MAX_SEGMENT_BYTES or not text.isascii():
        _check_length(text)
    return text


def as_native(name: str) -> str:
    """A canonical location as the native part takes it, which would read ``b3:00`` as a digest.

    :raises InvalidResourceError: if it is not UTF-8.
    """
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise _invalid(name, "a location is UTF-8") from error
    return f"./{name}" if name.startswith("b3:") else name


def _normalised(text: str, roots: tuple[str, ...]) -> str:
    if not text:
        raise _invalid(text, "a location can't be empty")
    name = posixpath.normpath(text)
    if name.startswith("/"):
        name = _inside(text, name, roots)
    if name == ".":
        raise _invalid(text, "a location can't be empty")
    segments = name.split("/")
    if segments[0] == "..":
        raise _invalid(text, "a location can't leave its root")
    if TEMPORARY_FOLDER in segments:
        raise _invalid(text, f"{TEMPORARY_FOLDER} is reserved for temporary files; pick another name")
    return name


def _inside(text: str, path: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        for ancestor in (root, os.path.realpath(root)):
            if os.path.commonpath((ancestor, path)) == os.path.normpath(ancestor):
                return os.path.relpath(path, ancestor)
    raise _invalid(text, "a location is relative, or a path inside the root")


def _check_length(text: str) -> None:
    try:
        # What other programs called their files need not be UTF-8.
        size = len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise _invalid(text, "a location is UTF-8") from error
    if size > MAX_BYTES:
        raise _invalid(text, f"it has {size} bytes, at most {MAX_BYTES} are allowed; shorten it")
    longest = max(len(os.fsencode(segment)) for segment in text.split("/"))
    if longest > MAX_SEGMENT_BYTES:
        raise _invalid(text, f"a segment has {longest} bytes, at most {MAX_SEGMENT_BYTES} are allowed; shorten it")


def _invalid(text: str, detail: str) -> InvalidResourceError:
    shown = ascii(text) if len(text) <= 80 else f"{ascii(text[:80])}..."
    return InvalidResourceError(f"name {shown}: {detail}", "name", text)
