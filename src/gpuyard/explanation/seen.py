"""What a job saw of free room all through a stretch of its wait: the least and the most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from gpuyard.explanation.yard import Shortage

__all__ = ["Seen", "room_seen"]


class Seen(Protocol):
    """What was free to a job at an instant."""

    @property
    def free(self) -> float:
        """GPUs on the whole site."""

    @property
    def allowed(self) -> float:
        """GPUs of the types that it accepts."""

    @property
    def shortage(self) -> Shortage | None:
        """What it lacked, whoever else waited."""


def room_seen(run: Sequence[Seen]) -> dict[str, Any]:
    """Return the fields of a stretch that tell of free room, of its instants, one at least."""
    shortages = [moment.shortage for moment in run if moment.shortage is not None]
    return {
        "fits": run[0].shortage is None,
        "free": _range([moment.free for moment in run]),
        "allowed": _range([moment.allowed for moment in run]),
        "largest": _range([each.largest for each in shortages]) if shortages else None,
        "chunk": shortages[0].chunk if shortages else 0,
        "chunks": shortages[0].chunks if shortages else 0,
        "one_node": not shortages or shortages[0].one_node,
        "fitting": _range([each.fitting for each in shortages]) if shortages else (0, 0),
    }


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
