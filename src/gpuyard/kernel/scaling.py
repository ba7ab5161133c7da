"""The rule of an autoscaler, followed from control interval to control interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.bits import nth
from gpuyard.kernel.jit import kernel
from gpuyard.kernel.tables import Records

__all__ = ["SCALE", "follow"]

SCALE = np.dtype(
    [
        ("target", np.float64),  # wanted utilization of a replica
        ("low", np.float64),  # utilizations between which nothing changes
        ("high", np.float64),
        ("intervals", np.int64),  # of the stabilization window, the present one included
        ("least", np.int64),
        ("most", np.int64),
    ]
)
"""The rule of one service."""


@kernel
def follow(
    demand: NDArray[np.float64], scales: Records, exact: float, advised: NDArray[np.int64], replicas: NDArray[np.int64]
) -> None:
    """Fill ``replicas`` with those asked for, and ``advised`` with what the rule said before it looked back.

    All have shape (services, intervals); what counts in an interval is the demand of the one before.  By ``exact`` a
    demand may exceed a whole number of replicas without asking for one more.
    """
    services, steps = demand.shape
    for service in range(services):
        scale = scales[nth(service)]
        target, low, high = scale["target"], scale["low"], scale["high"]
        least, most, intervals = scale["least"], scale["most"], scale["intervals"]
        current = np.int64(-1)  # nothing yet
        seen = demand[service, 0] if steps else 0.0
        for step in range(steps):
            if current >= 0 and low * current - exact <= seen <= high * current + exact:
                advice = current
            else:
                advice = min(max(np.int64(np.ceil(seen / target - exact)), least), most)
            advised[service, step] = advice
            if advice < current:
                highest = advice
                for before in range(max(step - intervals + 1, 0), step):
                    highest = max(highest, advised[service, before])
                advice = min(current, highest)
            replicas[service, step] = current = advice
            seen = demand[service, step]
