"""Quotas that hold nobody: tenants without a limit, which keep nothing for themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuyard.kernel.codes import NEVER
from gpuyard.kernel.tables import Records

__all__ = ["holds_nobody", "open_levels", "without_limit_of_all"]


def holds_nobody(quota: Records) -> NDArray[np.bool_]:
    """Return which tenants have no limit and keep nothing of any resource; ``quota``: shape (tenants, resources)."""
    nobody: NDArray[np.bool_] = np.all((quota["most"] == NEVER) & (quota["kept"] == 0), axis=1)
    return nobody


def open_levels(parent: NDArray[np.int32], nobody: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return of how many that hold nobody, one above the other, each tenant is the first, shape (tenants,)."""
    levels = np.zeros(parent.size, np.int64)
    for place, above in enumerate(parent.tolist()):
        levels[place] = (levels[above] + 1 if place else 1) if nobody[place] else 0
    return levels


def without_limit_of_all(quota: Records, gpus: int) -> Records:
    """Return quotas without the limit of all tenants together, if it is as large as the cluster: its nodes hold them.

    ``gpus`` is that of the cluster, in thousandths; quotas by type stay as they are.
    """
    quota = quota.copy()
    if quota.shape[1] == 1 and quota["nominal"][0, 0] >= gpus:
        quota["most"][0] = NEVER
    return quota
