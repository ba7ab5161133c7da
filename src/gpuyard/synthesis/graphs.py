"""Units as graphs of parts, one after the other and maybe in rounds: arrays between CPU stages, active learning.

A graph that goes on for weeks is *standing*: it may have begun before the window, and each of its jobs is submitted
when it is due.  Another is submitted at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.expansion import Draws, Jobs, Main, Site, Stage
from gpuyard.synthesis.published import ASSUMPTION, Evidence
from gpuyard.synthesis.reading import (
    read_checkpoints,
    read_counts,
    read_curve,
    read_part,
    read_positive,
    read_sizes,
    read_whole,
)
from gpuyard.synthesis.stages import Steps
from gpuyard.synthesis.standing_graphs import Step, standing_jobs
from gpuyard.units import counted

__all__ = ["Graph", "Part"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One stage of a graph; its jobs wait for all jobs of the part before.

    Parameters
    ----------
    width
        Least and most jobs, log-uniform.
    gpus
        Of each job: the sizes of the kind, drawn for each job or once for the unit; or others; or none.
    cores
        CPU cores of each job without GPUs.
    array
        The jobs are one array.
    """

    stage: Stage
    runtimes: LogCdf
    width: tuple[int, int] = (1, 1)
    gpus: Sizes | Literal["each", "unit", "none"] = "each"
    cores: float = 0.0
    array: bool = False
    evidence: Evidence = ASSUMPTION

    def changed(self, given: Changes, before: Main, after: Main) -> Part:
        """Return the part with what a user changed of it, and of its kind."""
        stage = before.changed(self.stage, after)
        limit = given.take("array_limit", read_whole, stage.array_limit or 0)
        if limit < 0:
            raise ConfigError(f"array_limit of {given.where} must be 1 or more, or 0 for none, got {limit}")
        gpus: Sizes | Literal["each", "unit", "none"] = self.gpus
        if gpus == "none":
            cores = given.take("cores", read_positive, self.cores)
        else:
            cores, gpus = self.cores, given.take("gpus", read_sizes, gpus)
        changed = replace(
            self,
            stage=stage._replace(
                priority=given.take("priority", read_whole, stage.priority),
                activity=given.take("activity", read_part, stage.activity),
                array_limit=limit or None,
                checkpoint_interval=given.take("checkpoint_interval", read_checkpoints, stage.checkpoint_interval),
            ),
            runtimes=given.take(
                "runtime", read_curve, after.runtimes if self.runtimes == before.runtimes else self.runtimes
            ),
            width=given.take("width", read_counts, self.width),
            gpus=gpus,
            cores=cores,
        )
        given.finish()
        return changed

    def __str__(self) -> str:
        low, high = self.width
        jobs = counted(low, "job") if low == high else f"{low} to {high} jobs"
        if self.gpus == "none":
            what = f" of {self.cores:g} cores"
        elif isinstance(self.gpus, Sizes):
            what = f" of {' or '.join(str(gpus) for gpus in self.gpus.gpus)} GPUs"
        else:
            what = {"each": "", "unit": " of equal size"}[self.gpus]
        limit = f", {self.stage.array_limit} at once" if self.stage.array_limit is not None else ""
        shortest, longest = (f"{value / 3600:.2g}" for value in (self.runtimes.values[0], self.runtimes.values[-1]))
        return f"{jobs}{what}{', an array' if self.array else ''}{limit}, {shortest} to {longest} h"


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """Parts in a row, repeated in rounds."""

    parts: tuple[Part, ...]
    rounds: tuple[int, int] = (1, 1)  # least and most, evenly
    standing: bool = False
    rounds_evidence: Evidence = ASSUMPTION

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One a part."""
        return tuple(part.stage for part in self.parts)

    @property
    def most_at_once(self) -> int:
        """Those that stand are few and long."""
        return 16 if self.standing else 1 << 14

    def figures(self) -> list[tuple[str, str, Evidence]]:
        """Return each part in words, and the rounds."""
        rows = [(f"part {part.stage.name}", str(part), part.evidence) for part in self.parts]
        if self.rounds != (1, 1):
            rows.append(("rounds", f"{self.rounds[0]} to {self.rounds[1]}", self.rounds_evidence))
        return rows

    def changed(self, given: Changes, before: Main, after: Main) -> Graph:
        """Return the graphs with what a user changed of them."""
        named = given.inner("parts", f"parts of {given.where}")
        parts = tuple(
            part.changed(named.inner(part.stage.name, f"part '{part.stage.name}' of {given.where}"), before, after)
            for part in self.parts
        )
        named.finish()
        return replace(self, parts=parts, rounds=given.take("rounds", read_counts, self.rounds))

    def jobs(self, draws: Draws, units: NDArray[np.int64], sizes: Sizes, site: Site, span: float) -> Jobs:
        """Return the jobs of the graphs."""
        low, high = self.rounds
        rounds = low + np.floor(draws.uniform("rounds", units) * (high - low + 1)).astype(np.int64)
        own = sizes.quantile(draws.uniform("size-of-unit", units))
        if self.standing:
            return self._standing(draws, units, rounds, [_gpus(part, sizes, own) for part in self.parts], site, span)
        steps = Steps(draws, units, site.node_cpus, longest=span)
        for number in range(int(rounds.max(initial=0))):
            for place, part in enumerate(self.parts):
                width = self._width(part, draws.uniform("width", units, number * len(self.parts) + place))
                steps.step(
                    place, np.where(number < rounds, width, 0), part.runtimes,
                    gpus=_gpus(part, sizes, own), cpus=part.cores, array=part.array,
                )  # fmt: skip
        return steps.jobs()

    def _standing(
        self,
        draws: Draws,
        units: NDArray[np.int64],
        rounds: NDArray[np.int64],
        gpus: list[Sizes | NDArray[np.int64] | int],
        site: Site,
        span: float,
    ) -> Jobs:
        """Return the part of the graphs that falls into the window."""
        most, parts = int(rounds.max(initial=0)), len(self.parts)
        chance = draws.uniform("width", units[:, np.newaxis], np.arange(most * parts))
        width = np.empty(chance.shape, dtype=np.int64)
        for place, part in enumerate(self.parts):
            width[:, place::parts] = self._width(part, chance[:, place::parts].copy())
        width[np.arange(most * parts) // parts >= rounds[:, np.newaxis]] = 0
        round_of_steps = [
            Step(
                stage=place, runtimes=part.runtimes, gpus=gpus[place], array=part.array,
                cores=min(part.cores, site.node_cpus or 0.0) or None,
                only_delays=site.node_cpus is None and part.gpus == "none",
            )
            for place, part in enumerate(self.parts)
        ]  # fmt: skip
        return standing_jobs(draws, units, round_of_steps * most, width, span)

    @staticmethod
    def _width(part: Part, chance: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many jobs a part has, log-uniform, same shape."""
        least, most = part.width
        return np.floor(least * ((most + 1) / least) ** chance).astype(np.int64)


def _gpus(part: Part, sizes: Sizes, own: NDArray[np.int64]) -> Sizes | NDArray[np.int64] | int:
    if part.gpus == "none":
        return 0
    if part.gpus == "unit":
        return own
    return part.gpus if isinstance(part.gpus, Sizes) else sizes
