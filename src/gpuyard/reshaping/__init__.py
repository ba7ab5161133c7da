"""What-if on a workload: other jobs, other times, other sizes and GPU types, each by a rule of one sentence.

>>> from gpuyard.reshaping import thin, repeat
>>> busier = repeat(thin(workload, 0.5, seed=1), 4)

Every function returns a new workload, checked and sorted, whose notes say what was done.  What is random comes from
named streams of the seed.  ``docs/what-if.md`` has the rules.
"""

from __future__ import annotations

from gpuyard.reshaping.asking import TypeChange, map_gpu_types, resize
from gpuyard.reshaping.choosing import resample_users, thin
from gpuyard.reshaping.moving import merge, repeat, shift

__all__ = ["TypeChange", "map_gpu_types", "merge", "repeat", "resample_users", "resize", "shift", "thin"]
