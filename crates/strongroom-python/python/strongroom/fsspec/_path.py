"""``strongroom://`` for universal_pathlib."""

from __future__ import annotations

from upath import UPath


class StrongroomPath(UPath):
    """A location in a store as a path: ``UPath("strongroom://campaign/run-1", store="campaign-store")``."""
