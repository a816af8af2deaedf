"""Figures that several benchmarks take."""

import os
from collections.abc import Sequence
from pathlib import Path


def percentile_95(values: Sequence[float]) -> float:
    """Return the value that one in twenty is above."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def cpu_seconds(pid: int) -> float:
    """Return how long a process has run on a core."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
