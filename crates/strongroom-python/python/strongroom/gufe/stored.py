"""What was stored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """One object as it was stored."""

    #: Where.
    location: str
    #: How many bytes.
    size: int
    #: ``b3:`` or ``md5:`` and the digest in hexadecimal.
    digest: str
