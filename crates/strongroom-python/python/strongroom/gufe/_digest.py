"""MD5 as gufe's callers expect it."""

from __future__ import annotations

import hashlib
from typing import IO

#: How much is read at a time, in bytes.
PIECE_SIZE = 1 << 20


def md5_of(stream: IO[bytes]) -> str:
    """The MD5 of what a binary file gives, in hexadecimal, in bounded memory.

    By the name ``hashlib.md5`` as it is at this moment, and called with content: programs put their own in its place.
    """
    piece = stream.read(PIECE_SIZE)
    digest = hashlib.md5(piece)
    while piece:
        piece = stream.read(PIECE_SIZE)
        if piece:
            digest.update(piece)
    return digest.hexdigest()
