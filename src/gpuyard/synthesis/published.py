"""Published statistics of GPU clusters, as tables ready for sampling, each with its source and standing.

Standings: *read* in the named source; *computed* from a public data file; *assumption*: nobody published it, or it is
recalled without the source at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.synthesis.distributions import WHOLE_GPUS, Fractions, LogCdf, Sizes

__all__ = [
    "ACME_FIGURES",
    "ASSUMPTION",
    "CLUSTERS",
    "FRACTIONS_EVIDENCE",
    "HOURLY",
    "HOURLY_EVIDENCE",
    "PHILLY_CV",
    "PHILLY_INDEX",
    "PHILLY_JOBS",
    "PROFILES",
    "PROFILE_EVIDENCE",
    "WEEKLY",
    "WEEKLY_EVIDENCE",
    "Cluster",
    "Evidence",
    "Profile",
    "States",
    "like_class",
]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a figure comes from and how far it can be trusted."""

    standing: Literal["read", "computed", "assumption"]
    source: str


ASSUMPTION = Evidence("assumption", "no published figure; change it to suit the site")
ACME_FIGURES = "Acme data (Hu et al., NSDI 2024)"
HELIOS_FIGURES = "Helios data (Hu et al., SC 2021)"


@dataclass(frozen=True, kw_only=True, slots=True)
class States:
    """Shares of completed, cancelled and failed: of all jobs, and of the GPU time."""

    jobs: tuple[float, float, float]
    gpu_time: tuple[float, float, float]
    evidence: Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """What is published about the GPU jobs of one cluster.

    ``gpu_time`` is the share of the GPU time that each size holds; run times are tied to sizes so that it does, by
    :mod:`gpuyard.synthesis.coupling`.  ``burst`` and ``swing`` are those of
    :mod:`gpuyard.synthesis.clumping`; ``profile`` is one of PROFILES, or None.
    """

    runtimes: LogCdf
    sizes: Sizes
    longest: float
    states: States
    gpu_time: tuple[float, ...]
    evidence: Evidence
    burst: float
    swing: float
    clumping_evidence: Evidence
    profile: str | None = None
    fractions: Fractions = WHOLE_GPUS


def _powers(percentages: str) -> LogCdf:
    """Return the run times whose cumulative percentages at 1, 2, 4, ... s are given."""
    percent = [float(share) for share in percentages.split()]
    first = max(at for at, share in enumerate(percent) if share == 0) if percent[0] == 0 else 0
    return LogCdf(
        values=tuple(float(2**power) for power in range(first, len(percent))),
        cumulative=tuple(share / 100 for share in percent[first:]),
    )


def _steps(percentages: str) -> Sizes:
    """Return the sizes whose cumulative percentages at 1, 2, 4, ... GPUs are given; mass sits on the powers of two."""
    percent = [float(share) for share in percentages.split()]
    before = (0.0, *percent)
    return Sizes.steps({2**power: share - before[power] for power, share in enumerate(percent)})


def _held(jobs: str, gpu_time: str) -> tuple[float, ...]:
    """Return the share of the GPU time of each size, by cumulative percentages at 1, 2, 4, ... GPUs.

    What a size without jobs holds, by rounding, goes to the next; a size of 0.0 % holds half of the last digit.
    """
    shares: list[float] = []
    before_jobs = before_time = 0.0
    for in_jobs, in_time in zip(map(float, jobs.split()), map(float, gpu_time.split()), strict=True):
        if in_jobs > before_jobs:
            shares.append(max(in_time - before_time, 0.05) / 100)
            before_jobs, before_time = in_jobs, in_time
    return tuple(shares)


_SUMMARY = Evidence("read", "Acme data, cluster_summary.csv (Hu et al., NSDI 2024)")
_CURVES = Evidence("computed", "Acme data, curves of cdf_job_duration_util.pdf and cdf_job_gpunum.pdf (NSDI 2024)")
_SEREN_STATES = States(jobs=(0.497, 0.075, 0.429), gpu_time=(0.212, 0.664, 0.124), evidence=_SUMMARY)
_KALOS_STATES = States(jobs=(0.541, 0.062, 0.397), gpu_time=(0.313, 0.607, 0.080), evidence=_SUMMARY)
_PHILLY_STATES = States(jobs=(0.604, 0.090, 0.305), gpu_time=(0.321, 0.294, 0.386), evidence=_SUMMARY)
_HELIOS_STATES = States(jobs=(0.624, 0.221, 0.155), gpu_time=(0.513, 0.394, 0.093), evidence=_SUMMARY)
_PAI_STATES = States(
    jobs=_HELIOS_STATES.jobs,
    gpu_time=_HELIOS_STATES.gpu_time,
    evidence=Evidence("assumption", "PAI publishes no end states; those of Helios stand in"),
)

PHILLY_INDEX, PHILLY_CV, PHILLY_JOBS = 159.0, 15.0, 38.7
"""Index of dispersion of Philly's hourly counts, CV of the times between submissions, and submissions an hour."""
_PHILLY_BURST, _PHILLY_SWING = 63.5, 1.534
_PHILLY_CLUMPS = Evidence(
    "computed", "fitted here to an index of dispersion of 159 and a CV of 15 (Philly, 82,247 jobs)"
)
_AS_PHILLY = Evidence("assumption", "as fitted to Philly: no other cluster has published both figures")
_HELIOS_CLUMPS = Evidence(
    "computed", "fitted here to indices of dispersion of 39 an hour and 150 a day (Venus, HeliosData)"
)

CLUSTERS: MappingProxyType[str, Cluster] = MappingProxyType(
    {
        "seren": Cluster(
            runtimes=_powers(
                "2.2 2.8 5.6 11.8 23.4 31.7 37.1 48.9 65.6 79.2 88.0 92.9 96.0 97.5 98.4 99.2 99.6 99.8 99.9 100"
            ),
            sizes=_steps("53.9 65.4 67.9 96.7 97.9 98.8 99.3 99.6 99.7 99.9 100"),
            longest=1_209_604,
            states=_SEREN_STATES,
            gpu_time=_held(
                "53.9 65.4 67.9 96.7 97.9 98.8 99.3 99.6 99.7 99.9 100",
                "1.3 1.8 2.4 11.9 13.2 19.1 27.6 41.7 56.3 69.7 100",
            ),
            evidence=_CURVES,
            burst=_PHILLY_BURST,
            swing=_PHILLY_SWING,
            clumping_evidence=_AS_PHILLY,
        ),
        "kalos": Cluster(
            runtimes=_powers("0 0 0 0 1.5 18.7 38.2 50.5 69.1 79.4 85.9 92.8 97.1 98.7 99.1 99.5 99.7 99.8 99.9 100"),
            sizes=_steps("86.0 88.4 88.4 93.9 94.3 94.7 95.3 95.7 96.9 98.9 100"),
            longest=625_740,
            states=_KALOS_STATES,
            gpu_time=_held(
                "86.0 88.4 88.4 93.9 94.3 94.7 95.3 95.7 96.9 98.9 100", "0.1 0.1 0.2 0.6 0.6 2.0 3.3 3.7 24.9 64.1 100"
            ),
            evidence=_CURVES,
            burst=_PHILLY_BURST,
            swing=_PHILLY_SWING,
            clumping_evidence=_AS_PHILLY,
        ),
        "philly": Cluster(
            runtimes=_powers(
                "0 0.1 0.2 0.8 3.6 8.4 18.9 27.0 31.5 36.3 54.9 67.5 79.3 84.6 90.3 92.7 94.9 96.9 98.4 99.3 99.8 100"
            ),
            sizes=_steps("82.2 84.5 92.0 98.9 99.8 100"),
            longest=4_240_676,
            states=_PHILLY_STATES,
            gpu_time=_held("82.2 84.5 92.0 98.9 99.8 100", "16.1 19.4 38.2 88.0 97.2 100"),
            evidence=_CURVES,
            burst=_PHILLY_BURST,
            swing=_PHILLY_SWING,
            clumping_evidence=_PHILLY_CLUMPS,
            profile="philly",
        ),
        "helios": Cluster(
            runtimes=_powers(
                "4.0 4.9 6.4 7.7 10.7 16.2 24.9 37.8 56.6 67.6 75.2 84.1 87.5 90.8 94.4 96.3 97.8 98.9 99.5 99.9 100"
            ),
            sizes=_steps("72.0 74.7 80.5 94.7 97.7 99.4 99.7 99.9 100"),
            longest=4_320_009,
            states=_HELIOS_STATES,
            gpu_time=_held("72.0 74.7 80.5 94.7 97.7 99.4 99.7 99.9 100", "5.3 7.2 12.1 41.3 61.5 86.6 94.4 97.5 100"),
            evidence=_CURVES,
            burst=15.0,
            swing=1.13,
            clumping_evidence=_HELIOS_CLUMPS,
            profile="helios",
        ),
        "pai": Cluster(
            runtimes=_powers(
                "0.1 0.1 0.1 0.4 3.0 11.9 21.1 28.9 39.6 50.9 60.8 69.8 78.5 87.1 93.2 97.1 99.0 99.7 100"
            ),
            sizes=_steps("96.8 98.6 99.1 100"),
            longest=626_371,
            states=_PAI_STATES,
            gpu_time=_held("96.8 98.6 99.1 100", "67.0 72.9 78.7 100"),
            evidence=_CURVES,
            burst=_PHILLY_BURST,
            swing=_PHILLY_SWING,
            clumping_evidence=_AS_PHILLY,
            fractions=Fractions.of({250: 0.272, 500: 0.451}),
        ),
    }
)
"""By name.  In the shares of jobs by size, those of a fraction of a GPU count as jobs of one GPU."""
FRACTIONS_EVIDENCE = Evidence(
    "assumption",
    "70 % of PAI's instances ask for less than one GPU (Weng et al., NSDI 2022), 0.68 GPUs on average (computed); "
    "quarters and halves assumed",
)

HOURLY = (
    0.90, 0.79, 0.65, 0.53, 0.49, 0.48, 0.48, 0.44, 0.51, 0.80, 1.15, 1.28,
    1.23, 1.26, 1.39, 1.47, 1.55, 1.40, 1.13, 1.23, 1.33, 1.25, 1.16, 1.08,
)  # fmt: skip
"""Submissions by local hour 0 to 23, mean 1."""
HOURLY_EVIDENCE = Evidence("computed", f"{HELIOS_FIGURES}, mean of Venus, Earth, Saturn and Uranus")

WEEKLY = (0.86, 1.07, 1.14, 1.29, 1.44, 0.61, 0.59)
"""Submissions by day, Monday to Sunday, mean 1."""
WEEKLY_EVIDENCE = Evidence("computed", "Philly trace as reduced for Sia (Jeon et al., ATC 2019), 82,247 jobs")


class Profile(NamedTuple):
    """Relative submissions by hour 0 to 23 and by day, Monday to Sunday, each of mean 1."""

    hourly: tuple[float, ...]
    weekly: tuple[float, ...]

    def rates(self) -> NDArray[np.float64]:
        """Return the rates of the hours of a week from Monday, shape (168,)."""
        return np.outer(self.weekly, self.hourly).ravel()


PROFILES: MappingProxyType[str, Profile] = MappingProxyType(
    {
        "helios": Profile(HOURLY, (1.02, 1.10, 1.27, 1.20, 0.95, 0.68, 0.77)),
        "philly": Profile(
            (
                1.27, 0.98, 1.12, 1.10, 0.70, 1.15, 1.67, 2.09, 1.11, 1.01, 1.02, 0.87,
                0.75, 0.70, 0.64, 0.65, 0.88, 0.67, 0.80, 0.73, 1.02, 0.92, 1.13, 1.01,
            ),
            WEEKLY,
        ),
    }
)  # fmt: skip
"""Profiles of one cluster: Helios' week is that of Venus; Philly's hours are those of its log's clock."""
PROFILE_EVIDENCE: MappingProxyType[str, Evidence] = MappingProxyType(
    {
        "helios": Evidence("computed", f"{HELIOS_FIGURES}: hours of four clusters, week of Venus, 125,214 GPU jobs"),
        "philly": Evidence(
            "computed", "Philly trace as reduced for Sia (Jeon et al., ATC 2019), on the clock of the log"
        ),
    }
)


def like_class(cluster: str, *, p50: float, p90: float, p99: float) -> LogCdf:
    """Return run times of one class from its published p50, p90 and p99 in seconds.

    Below the median and beyond p99 the class follows its cluster's curve, scaled to meet those quantiles; nothing runs
    longer than the cluster's longest job.
    """
    curve, longest = CLUSTERS[cluster].runtimes, CLUSTERS[cluster].longest
    median, tail = float(curve.quantile(0.50)), float(curve.quantile(0.99))
    knots = [(value * p50 / median, chance) for value, chance in _knots(curve) if chance < 0.50]
    knots += [(p50, 0.50), (p90, 0.90), (p99, 0.99)]
    beyond = [(value * p99 / tail, chance) for value, chance in _knots(curve) if chance > 0.99]
    knots += [(value, chance) for value, chance in beyond if value < longest and chance < 1.0]
    knots.append((min(beyond[-1][0], longest), 1.0))
    return LogCdf(values=tuple(value for value, _ in knots), cumulative=tuple(chance for _, chance in knots))


def _knots(curve: LogCdf) -> list[tuple[float, float]]:
    return list(zip(curve.values, curve.cumulative, strict=True))
