"""Real-time services: replicas that live for hours to the whole window, present from the first second.

A service occupies places of 1 to 16 GPUs.  The places of all services together hold their share of the offered load at
every moment: when a replica's life ends, its successor (a roll-out) is submitted at the same instant.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gpuyard.streams import Stream
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.kinds import Kind, activity_of_power
from gpuyard.synthesis.published import CLUSTERS, Evidence

__all__ = ["PERMANENT", "place_sizes", "realtime_kind", "replicas"]

PERMANENT = 0.5
"""Share of the places whose replica lives for the whole window: an assumption."""


def realtime_kind() -> Kind:
    """Return the only kind of the class 'realtime'."""
    return Kind(
        name="service", job_class="realtime", share=1.0, priority=100, activity=activity_of_power(0.50), rhythm="flat",
        sizes=Sizes.steps({1: 0.25, 2: 0.20, 4: 0.25, 8: 0.20, 16: 0.10}),
        runtimes=LogCdf.between(6 * 3600.0, 168 * 3600.0), states=CLUSTERS["seren"].states,
        size_evidence=Evidence("assumption", "replicas of 1 to 16 GPUs"),
        runtime_evidence=Evidence("assumption", "half the places for the whole window, the others 6 h to 7 d"),
    )  # fmt: skip


def place_sizes(sizes: Sizes, total: int, stream: Stream) -> NDArray[np.int64]:
    """Return GPUs of each place, int64, that sum to ``total``; the last places complete the sum with powers of two."""
    drawn = sizes.quantile(stream.uniform(int(total / sizes.mean() * 1.3) + 64))
    held = np.cumsum(drawn)
    whole = int(np.searchsorted(held, total, side="right"))
    rest = total - (int(held[whole - 1]) if whole else 0)
    powers: list[int] = []
    while rest > 0:
        powers.append(min(1 << (rest.bit_length() - 1), 1 << (max(sizes.gpus).bit_length() - 1)))
        rest -= powers[-1]
    return np.concatenate((drawn[:whole], np.array(powers, dtype=np.int64)))


def replicas(
    lives: LogCdf, places: int, span: float, permanent: NDArray[np.float64], stream: Stream
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return place, submit time and run time of every replica, place by place; all end with the window or before.

    ``permanent`` is a uniform number for each place; below PERMANENT its one replica lives for the whole window.
    """
    shortest = lives.values[0]
    depth = 1 + math.ceil(span / shortest)
    life = np.round(lives.quantile(stream.uniform(places * depth)).reshape(places, depth), 3)
    life[permanent < PERMANENT, 0] = span
    ends = np.cumsum(life, axis=1)
    begins = np.concatenate((np.zeros((places, 1)), ends[:, :-1]), axis=1)
    place, _ = np.nonzero(begins < span)
    alive = begins < span
    submit = np.round(begins[alive], 3)
    return place.astype(np.int64), submit, np.round(np.minimum(ends[alive], span) - submit, 3)
