"""The yardstick: a hand-written C++ program that does nothing but what a FIFO schedule on nodes cannot do without.

It is no part of the project.  ``GPUYARD_YARDSTICK`` names the folder that holds ``limit.cpp``; by default it is
``../shared/limit`` beside the project.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv as csv_format
from numpy.typing import NDArray

__all__ = ["NoYardstickError", "Verdict", "Yardstick", "build_yardstick"]

_PROJECT = Path(__file__).resolve().parent.parent


class NoYardstickError(Exception):
    """The yardstick cannot be compiled here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the yardstick says of a workload: CPU seconds, instants, and each job's start (ms) and first node."""

    cpu_s: float
    passes: int
    start: NDArray[np.int64]
    node: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """The compiled program."""

    program: Path

    def cpu_s(self, jobs: Path, nodes: int, policy: str = "fifo") -> float:
        """Return the CPU time of one simulation, without reading and writing, as the program states it."""
        return float(self._say(jobs, nodes, policy)["cpu_s"])

    def judge(self, jobs: Path, nodes: int, policy: str = "fifo") -> Verdict:
        """Return the schedule with best fit on nodes of 8 GPUs: strict ``fifo``, or ``easyx``, its EASY."""
        out = jobs.with_suffix(".starts.csv")
        said = self._say(jobs, nodes, policy, "--out", str(out))
        table = csv_format.read_csv(out)
        return Verdict(
            cpu_s=float(said["cpu_s"]),
            passes=int(said["passes"]),
            start=table["start"].to_numpy(),
            node=table["node"].to_numpy(),
        )

    def _say(self, jobs: Path, nodes: int, policy: str, *more: str) -> dict[str, str]:
        command = [str(self.program), str(jobs), str(nodes), policy, "nodes", *more]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        return dict(re.findall(r"(\S+?)=(\S+)", answer.stdout))


def build_yardstick(folder: Path) -> Yardstick:
    """Compile the yardstick into a folder.

    Raises
    ------
    NoYardstickError
        If its source or a compiler is missing.
    """
    place = Path(os.environ.get("GPUYARD_YARDSTICK", _PROJECT.parent / "shared" / "limit"))
    source = place / "limit.cpp"
    if not source.is_file():
        raise NoYardstickError(f"no yardstick at {source}; set GPUYARD_YARDSTICK to its folder")
    if shutil.which("g++") is None:
        raise NoYardstickError("no g++ to compile the yardstick with")
    program = folder / "limit"
    subprocess.run(["g++", "-O3", "-march=native", "-o", str(program), str(source)], check=True, capture_output=True)
    return Yardstick(program=program)
