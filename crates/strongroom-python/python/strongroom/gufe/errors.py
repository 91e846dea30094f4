"""What can go wrong, for callers of gufe and of strongroom alike.

What is missing is gufe's :class:`MissingExternalResourceError`, which as with gufe is no ``FileNotFoundError``. Each other class is
one of gufe's and one of :mod:`strongroom.errors`, and so also the builtin that Python programs catch. The error of strongroom
that it came from is its ``__cause__``.
"""

from __future__ import annotations

from .. import errors as strongroom
from ._bases import ChangedExternalResourceError, ExternalResourceError, MissingExternalResourceError

__all__ = [
    "AlreadyExistsResourceError",
    "ChangedExternalResourceError",
    "ChangedResourceError",
    "ConflictResourceError",
    "CorruptResourceError",
    "DeniedResourceError",
    "ExternalResourceError",
    "FolderResourceError",
    "InternalResourceError",
    "InvalidResourceError",
    "MissingExternalResourceError",
    "MissingKeyError",
    "UnavailableResourceError",
    "UnsupportedResourceError",
]


class MissingKeyError(MissingExternalResourceError, KeyError):
    """There is nothing under that name in memory. Check the name, or store it first."""

    # A KeyError shows its message as a literal.
    __str__ = Exception.__str__


class FolderResourceError(MissingExternalResourceError, IsADirectoryError):
    """There is a folder under that name, and so nothing to delete. Delete what is in it."""


class AlreadyExistsResourceError(ExternalResourceError, strongroom.AlreadyExistsError):
    """There is something already, and it was to be new. Pick another name."""


class ChangedResourceError(ChangedExternalResourceError, strongroom.ChangedError):
    """A file changed while it was stored. Store it when it is finished."""


class ConflictResourceError(ExternalResourceError, strongroom.ConflictError, FileExistsError, IsADirectoryError):
    """The name can't be used beside what is there. Pick another name."""


class CorruptResourceError(ChangedExternalResourceError, strongroom.CorruptError):
    """Stored bytes are not those that were stored. Run ``strongroom verify``."""


class DeniedResourceError(ExternalResourceError, strongroom.DeniedError):
    """Permission is lacking. Fix the permission."""


class UnavailableResourceError(ExternalResourceError, strongroom.UnavailableError):
    """It can't be done now: a full disk, a time-out. Remove the cause, try again."""


class InvalidResourceError(ExternalResourceError, strongroom.InvalidError):
    """The call itself is wrong: a location that leaves its root, a name that is too long. Fix the call."""


class UnsupportedResourceError(ExternalResourceError, strongroom.UnsupportedError):
    """This storage can't do it. Use another call or another storage."""


class InternalResourceError(ExternalResourceError, strongroom.InternalError):
    """Something that should not happen. Report it."""


_OURS: dict[str, type[strongroom.Error]] = {
    ours.kind: ours
    for ours in (
        AlreadyExistsResourceError,
        ChangedResourceError,
        ConflictResourceError,
        CorruptResourceError,
        DeniedResourceError,
        UnavailableResourceError,
        InvalidResourceError,
        UnsupportedResourceError,
        InternalResourceError,
    )
}


def translated(
    error: strongroom.Error, missing: type[MissingExternalResourceError] = MissingExternalResourceError
) -> Exception:
    """The error to raise from ``error``; ``missing`` is the class for what is not there."""
    if isinstance(error, strongroom.MissingError):
        return missing(error.message)
    ours = _OURS.get(error.kind, InternalResourceError)
    return ours(error.message, error.operation, error.subject, error.may_have_happened)
