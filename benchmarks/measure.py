"""How benchmarks measure: CPU time of the kernel alone, CPU time and peak memory of a whole command.

CPU time, because other programs run on the same cores; the least of several rounds, because they share caches.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gpuyard import simulation

__all__ = ["KERNEL", "Child", "command", "commands_clock", "least", "peak_bytes", "watched_kernel"]

_HERE = Path(__file__).resolve().parent


@dataclass
class KernelWatch:
    """Stands between :func:`gpuyard.simulation.schedule` and the start of the engine, and looks at its watch.

    The engine runs in a thread of its own, so the time is that thread's.
    """

    spent_s: float = 0.0
    """CPU seconds in the kernel since the process began: a clock that stands still outside it"""
    last_s: float = 0.0
    """CPU seconds of the last call"""
    table_bytes: dict[str, int] = field(default_factory=dict)
    """bytes of each table given to the last call, by the name of the parameter"""
    run: Callable[..., float] = field(default=simulation.start_engine)

    def __call__(self, *tables: Any) -> float:
        begun = time.thread_time()
        seconds = self.run(*tables)
        self.last_s = time.thread_time() - begun
        self.spent_s += self.last_s
        *names, more = inspect.signature(self.run).parameters
        names += [f"{more} {number}" for number in range(1, len(tables) - len(names) + 1)]
        self.table_bytes = {name: _bytes(table) for name, table in zip(names, tables, strict=True)}
        return seconds

    def clock(self) -> float:
        """Return :attr:`spent_s`."""
        return self.spent_s


def _bytes(tables: Any) -> int:
    """Return the bytes of all arrays in a tree of tuples."""
    if isinstance(tables, tuple):
        return sum(_bytes(each) for each in tables)
    return int(tables.nbytes) if isinstance(tables, np.ndarray) else 0


KERNEL = KernelWatch()


@contextmanager
def watched_kernel() -> Iterator[KernelWatch]:
    """Measure the kernel while the block runs."""
    simulation.start_engine = KERNEL  # type: ignore[assignment]  # takes the same tables
    try:
        yield KERNEL
    finally:
        simulation.start_engine = KERNEL.run


@dataclass(frozen=True, kw_only=True)
class Child:
    """What a command took, from its start to its exit."""

    code: int
    wall_s: float
    cpu_s: float
    """of all its threads"""
    peak_bytes: int
    stdout: str
    stderr: str


def command(*words: str, cache: Path | None = None, script: Path | None = None) -> Child:
    """Run ``gpuyard WORDS`` (or a script with these arguments) in a process of its own.

    Parameters
    ----------
    cache
        Folder of compiled code; by default the one this process uses.
    """
    environment = dict(os.environ) | ({} if cache is None else {"NUMBA_CACHE_DIR": str(cache)})
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as for any user: a second run does not compile the modules again
    program = ["-m", "gpuyard"] if script is None else [str(script)]
    with TemporaryDirectory() as folder:
        report = Path(folder) / "taken.json"
        started = [sys.executable, "-I", "-S", str(_HERE / "child.py"), str(report), sys.executable, *program, *words]
        answer = subprocess.run(started, check=True, capture_output=True, text=True, env=environment)
        return Child(**json.loads(report.read_text(encoding="utf-8")), stdout=answer.stdout, stderr=answer.stderr)


def commands_clock() -> float:
    """Return the CPU seconds of all commands run so far: a clock that stands still in this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def least(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Return the least value of each measure, taken in turn so that all meet the same neighbours."""
    values = [[measure() for measure in measures] for _ in range(rounds)]
    return [min(column) for column in zip(*values, strict=True)]


def peak_bytes(act: Callable[[], object]) -> int:
    """Return the most memory that was allocated at once while ``act`` ran, beyond what there was before."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
