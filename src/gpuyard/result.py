"""The result of a run: tables, numbers and where they came from; saved and loaded as plain files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

__all__ = ["Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run leaves behind.

    ``jobs``, ``attempts`` and ``timeline`` are Arrow tables; :meth:`summary` is the dict of
    ``summary.json``; ``scenario`` is everything resolved, as written to ``scenario.toml``.
    """

    jobs: pa.Table
    attempts: pa.Table
    timeline: pa.Table
    numbers: Mapping[str, object]
    scenario: Mapping[str, object] = field(default_factory=dict)

    def summary(self) -> dict[str, object]:
        """Return the numbers of ``summary.json``."""
        return dict(self.numbers)
