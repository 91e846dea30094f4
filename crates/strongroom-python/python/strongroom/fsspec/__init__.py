"""``strongroom://`` for pandas, zarr, xarray and all who use fsspec.

::

    import fsspec
    import pandas

    options = {"store": "campaign-store", "create": True}
    frame.to_parquet("strongroom://campaign/run-1/energies.parquet", storage_options=options)

    fs = fsspec.filesystem("strongroom", store="campaign-store")
    fs.ls("campaign/run-1")
    with fs.transaction:                                        # all of it appears at once, or nothing
        fs.put("scratch/run-1", "campaign/run-1", recursive=True)
        fs.pipe("campaign/run-1/notes.txt", b"all is well")

It needs fsspec: ``pip install "strongroom[fsspec]"``.

=================================  ======================================================================
``strongroom://campaign/run-1/a``  what is at a location
``strongroom://b3:53b63a6f…``      content by its digest, or as many digits of it as are unique; read only
=================================  ======================================================================

Folders are there by what is in them. Making one succeeds and does nothing; with the last object in it, it is gone.
"""

from __future__ import annotations

from ._filesystem import StrongroomFileSystem
from ._reader import StrongroomFile
from ._transaction import StrongroomTransaction
from ._writer import StrongroomWriter

__all__ = ["StrongroomFile", "StrongroomFileSystem", "StrongroomTransaction", "StrongroomWriter"]
