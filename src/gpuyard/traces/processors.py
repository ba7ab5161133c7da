"""GPUs of jobs in formats that count processors only."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError

__all__ = ["gpus_of_processors"]

_RULE = re.compile(r"(processor|node):(\d{1,6}(?:\.\d{1,6}|/[1-9]\d{0,5})?)(?::([1-9]\d{0,5}))?", re.ASCII)


def gpus_of_processors(processors: NDArray[np.float64], rule: str) -> NDArray[np.float64]:
    """Return the GPUs of jobs, float64 whole numbers of shape (jobs,), from their processors.

    Parameters
    ----------
    processors
        Processors of each job, shape (jobs,); not-a-number and negative give not-a-number.
    rule
        ``processor:K``: K GPUs for each processor, K a decimal (``0.25``) or a fraction (``1/8``).
        ``node:K:P``: K GPUs for each started P processors, as on nodes of P processors that are given
        out whole.  A part of a GPU is rounded up.

    Raises
    ------
    ConfigError
        For a rule of neither form, and for one by which no job would have a GPU.
    """
    match = _RULE.fullmatch(rule.strip())
    share = Fraction(match[2]) if match else Fraction(0)
    if match is None or share == 0 or (match[1] == "node") != (match[3] is not None):
        raise ConfigError(
            f"the GPU rule '{rule}' cannot be used; write processor:K for K GPUs a processor (processor:1, "
            "processor:1/8) or node:K:P for K GPUs for each started P processors (node:2:8)"
        )
    units = np.ceil(np.where(processors >= 0, processors, np.nan) / int(match[3] or 1))
    gpus: NDArray[np.float64] = np.ceil(units * share.numerator / share.denominator)
    return gpus
