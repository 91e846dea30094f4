"""What can go wrong, and what to do about it.

Each class is one kind of failure, and a subclass of the builtin that a Python program would catch: what is not there is a
``FileNotFoundError``, what must be new and is not a ``FileExistsError``, a call that is wrong a ``ValueError``.
"""

from __future__ import annotations

import errno as _errno
import io
from typing import ClassVar

__all__ = [
    "AlreadyExistsError",
    "ChangedError",
    "ConflictError",
    "CorruptError",
    "DeniedError",
    "Error",
    "InternalError",
    "InvalidError",
    "MissingError",
    "UnavailableError",
    "UnsupportedError",
]


class Error(Exception):
    """Anything that strongroom could not do."""

    #: The kind, as one lower-case word; the same as in the command's JSON.
    kind: ClassVar[str] = "internal"
    #: The number that an ``OSError`` of this kind has.
    _errno: ClassVar[int | None] = None

    #: What was tried: ``load``, ``store``, ``delete``.
    operation: str
    #: On what: a location, a path, a URL.
    subject: str
    #: Whether it may have taken effect all the same, since an answer was lost.
    may_have_happened: bool

    def __init__(self, message: str, operation: str = "", subject: str = "", may_have_happened: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.subject = subject
        self.may_have_happened = may_have_happened
        if isinstance(self, OSError):
            # What programs look at that catch builtins.
            for name, value in (("errno", self._errno), ("filename", subject)):
                setattr(self, name, value)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[Error], tuple[str, str, str, bool]]:
        return type(self), (self.message, self.operation, self.subject, self.may_have_happened)


class MissingError(Error, FileNotFoundError):
    """There is nothing under that name. Check the name, or store it first."""

    kind = "missing"
    _errno = _errno.ENOENT


class AlreadyExistsError(Error, FileExistsError):
    """There is something already, and it was to be new. Pick another name."""

    kind = "already-exists"
    _errno = _errno.EEXIST


class ChangedError(Error, OSError):
    """Content is not what it was when it was looked at before. Start over from the present content."""

    kind = "changed"
    _errno = _errno.ESTALE


class ConflictError(Error, OSError):
    """The name can't be used beside what is there, or somebody else was faster. Look at what is there."""

    kind = "conflict"
    _errno = _errno.EBUSY


class CorruptError(Error, OSError):
    """Stored bytes are damaged or lost. Run ``strongroom verify``, then ``strongroom repair`` from another copy."""

    kind = "corrupt"
    _errno = _errno.EIO


class DeniedError(Error, PermissionError):
    """Permission is lacking, or the place is read-only. Fix the permission."""

    kind = "denied"
    _errno = _errno.EACCES


class UnavailableError(Error, ConnectionError):
    """It can't be done now: a full disk, a time-out, too many open files. Remove the cause, try again."""

    kind = "unavailable"
    _errno = _errno.EAGAIN


class InvalidError(Error, ValueError):
    """The call itself is wrong: a bad location, a folder as a source. Fix the call."""

    kind = "invalid"


class UnsupportedError(Error, io.UnsupportedOperation):
    """This storage can't do it. Use another call or another storage."""

    kind = "unsupported"
    _errno = _errno.ENOTSUP


class InternalError(Error, RuntimeError):
    """Something that should not happen. Report it."""

    kind = "internal"


_KINDS: dict[str, type[Error]] = {
    kind.kind: kind
    for kind in (
        MissingError,
        AlreadyExistsError,
        ChangedError,
        ConflictError,
        CorruptError,
        DeniedError,
        UnavailableError,
        InvalidError,
        UnsupportedError,
        InternalError,
    )
}


def _of_kind(kind: str, message: str, operation: str, subject: str, may_have_happened: bool) -> Error:
    return _KINDS.get(kind, Error)(message, operation, subject, may_have_happened)
