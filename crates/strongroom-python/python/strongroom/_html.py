"""Stores and snapshots in notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._store import Snapshot, Store

#: How many rows are shown.
ROWS = 20


def of_store(store: Store) -> str:
    """The store's namespaces."""
    namespaces = store.namespaces()
    rows = ((namespace or ".", *_last_commit(store, namespace)) for namespace in islice(namespaces, ROWS))
    return _table(f"{store!r}", ("namespace", "version", "last commit", "message"), rows, len(namespaces) > ROWS)


def of_snapshot(snapshot: Snapshot) -> str:
    """The objects of a snapshot."""
    found = list(islice(snapshot.objects(), ROWS + 1))
    rows = ((each.location, _size(each.size), (each.digest or "")[:15] + "…") for each in found[:ROWS])
    return _table(f"{snapshot!r}", ("location", "size", "digest"), rows, len(found) > ROWS)


def _last_commit(store: Store, namespace: str) -> tuple[str, str, str]:
    last = store.log(namespace, limit=1)
    if not last:
        return ("0", "", "")
    time = datetime.fromtimestamp(last[0].time, timezone.utc)
    return (str(last[0].version), time.strftime("%Y-%m-%d %H:%M"), last[0].message)


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]], has_more: bool) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    more = "<p>… and more</p>" if has_more else ""
    return f"<p><code>{escape(title)}</code></p><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>{more}"
