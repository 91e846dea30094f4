"""``python -m strongroom``: the command."""

from ._command import main

main()
