"""The number of each attempt among those of its job, and which are first: against counting one by one."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from gpuyard.metrics.attempts import _is_first
from gpuyard.metrics.tables import _ordinal


@pytest.mark.parametrize("attempts", [0, 1, 5, 200])
@pytest.mark.parametrize("jobs", [1, 7, 500])
def test_attempts_are_numbered_in_the_order_they_started(attempts: int, jobs: int) -> None:
    job = np.random.default_rng(attempts + jobs).integers(0, jobs, attempts).astype(np.int32)
    seen: Counter[int] = Counter()
    expected = []
    for row in job.tolist():
        seen[row] += 1
        expected.append(seen[row])

    record = SimpleNamespace(attempt_job=job, workload=range(jobs))

    assert _ordinal(job).tolist() == expected
    assert _ordinal(job).dtype == np.int32
    assert _is_first(record).tolist() == [number == 1 for number in expected]  # type: ignore[arg-type]  # all it reads
