"""The command ``strongroom``."""

from __future__ import annotations

import signal
import sys

from ._strongroom import run_command


def main() -> None:
    """Does what the command line says. Ctrl-C is the command's own matter, not Python's."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run_command(["strongroom", *sys.argv[1:]]))
