"""What ``register`` returns."""

from __future__ import annotations

from collections.abc import Mapping

from ..workflow import CONTAINER, LABEL
from ._location import canonical


class Handle(str):
    """A location that says which storage it belongs to, and a plain string for all who know nothing of handles.

    JSON keeps of a ``str`` only its text; :meth:`to_dict` and :meth:`from_dict` keep all.
    """

    #: ``shared``, ``permanent`` or what else the storage is called.
    container: str

    def __new__(cls, label: str, container: str = "permanent") -> Handle:
        """:raises InvalidResourceError: if ``label`` is no location."""
        handle = super().__new__(cls, canonical(label))
        handle.container = container
        return handle

    def to_dict(self) -> dict[str, str]:
        """``{":container:": "shared", ":label:": "dag/unit/file"}``."""
        return {CONTAINER: self.container, LABEL: str(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Handle:
        """What :meth:`to_dict` gave.

        :raises InvalidResourceError: if its label is no location.
        """
        return cls(data[LABEL], data[CONTAINER])
