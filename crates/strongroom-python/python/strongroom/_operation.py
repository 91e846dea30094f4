"""Native calls for ``async`` callers."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from ._strongroom import Operation

T = TypeVar("T")


async def awaited(operation: Operation[T]) -> T:
    """Does it while the event loop goes on. Cancelled, it is given up; nothing half is left of it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def done(value: T, error: BaseException | None) -> None:
        # On a thread of its own; the loop may be closed by now, and then nobody waits.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    task = operation.start(done)
    try:
        return await future
    except BaseException:
        task.cancel()
        raise
