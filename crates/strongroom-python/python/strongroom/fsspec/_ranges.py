"""Which bytes to load, where parts of objects are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

#: Bytes that nobody wants, and that are loaded rather than asking twice.
GAP_SIZE = 64 << 10
#: Parts are not loaded together beyond this, but at the same time.
LOADED_SIZE = 8 << 20

#: The bytes of an object from one place to before another, as Python's slices have them.
Part: TypeAlias = tuple[str, "int | None", "int | None"]


class Plan:
    """Fewer parts to load, which have the wanted ones in them: each once, and together where little is between them."""

    def __init__(self, wanted: Sequence[Part], gap: int = GAP_SIZE) -> None:
        self._wanted = wanted
        self._gap = gap
        self._loaded_by: dict[Part, Part] = {}
        self._plan()

    @property
    def whole(self) -> list[str]:
        """Objects to be loaded as a whole."""
        return [path for path, start, end in self._loads() if start is None and end is None]

    @property
    def parts(self) -> list[Part]:
        """Parts to be loaded."""
        return [part for part in self._loads() if part[1:] != (None, None)]

    def wanted(self, loaded: Mapping[Part, bytes | BaseException]) -> list[bytes | BaseException]:
        """What is wanted, in its order, out of what was loaded."""
        return [_cut(part, self._loaded_by[part], loaded) for part in self._wanted]

    def _loads(self) -> list[Part]:
        return list(dict.fromkeys(self._loaded_by.values()))

    def _plan(self) -> None:
        spans: dict[str, set[tuple[int, int]]] = {}
        for path, start, end in self._wanted:
            if end is not None and 0 <= (start or 0) <= end:
                spans.setdefault(path, set()).add((start or 0, end))
            else:
                self._loaded_by[path, start, end] = (path, start or None, end)
        for path, some in spans.items():
            for group in _groups(sorted(some), self._gap):
                together = (path, group[0][0], max(end for _, end in group))
                self._loaded_by.update(((path, start, end), together) for start, end in group)
                self._loaded_by.update(((path, None, end), together) for start, end in group if start == 0)


def _groups(spans: Sequence[tuple[int, int]], gap: int) -> list[list[tuple[int, int]]]:
    groups: list[list[tuple[int, int]]] = []
    first = last = 0
    for start, end in spans:
        if groups and (end <= last or (start <= last + gap and end - first <= LOADED_SIZE)):
            groups[-1].append((start, end))
            last = max(last, end)
        else:
            groups.append([(start, end)])
            first, last = start, end
    return groups


def _cut(part: Part, loaded_by: Part, loaded: Mapping[Part, bytes | BaseException]) -> bytes | BaseException:
    data = loaded[loaded_by]
    _, start, end = part
    if isinstance(data, BaseException) or end is None or end < 0 or (start or 0) < 0 or part == loaded_by:
        return data
    first = loaded_by[1] or 0
    return data[(start or 0) - first : end - first]
