"""How long a newcomer waits: `tidemark demo --once` in an empty folder, from start to exit.

It has no peer; the figure is the promise of the README. Not part of a smoke run: the test suite runs the demo anyway.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measurement import Measurement, at_most

STATED_SECONDS = 120.0


def run(*, smoke: bool) -> list[Measurement]:
    """Run the demo once in a temporary folder.

    Raises:
        subprocess.CalledProcessError: The demo failed; its output is in the error.
    """
    if smoke:
        return []
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "tidemark", "demo", "--once"],
            cwd=Path(folder),
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        seconds = time.perf_counter() - begun
    return [at_most("demo, empty folder", seconds, unit="s", target=STATED_SECONDS, smoke=smoke)]
