"""The examples run, as a newcomer runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import strongroom

EXAMPLES = Path(__file__).parents[3] / "examples/python"


def test_the_campaign_is_stored_and_read_again(tmp_path: Path) -> None:
    example = EXAMPLES / "campaign.py"
    done = subprocess.run([sys.executable, example, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "'simulate-300': True" in done.stdout and "nsteps = 1000" in done.stdout
    store = strongroom.open(tmp_path / "store")
    assert store.metadata("campaign-1/simulate-300/trajectory.dcd").size == 1 << 20
