"""Which windows closed nodes to a job, in words."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.explanation.story import Shut
from gpuyard.explanation.times import when

__all__ = ["closed_words"]

_MOST_NODES = 8


def closed_words(closed: Sequence[Shut], since: float) -> str:
    """Return what closed the nodes that would have done; ``since``: when the stretch began, s."""
    return "nodes that would have done were closed to it: " + "; ".join(_one(each, since) for each in closed)


def _one(shut: Shut, since: float) -> str:
    if shut.start is None or shut.end is None:
        return f"they are outside its partition {', '.join(shut.whose['partition'])}"
    what = "in maintenance"
    if shut.kind == "reservation":
        what = "reserved for " + ", ".join(f"{column} {' or '.join(names)}" for column, names in shut.whose.items())
    noun, verb = ("node", "is") if len(shut.nodes) == 1 else ("nodes", "are")
    more = len(shut.nodes) - _MOST_NODES
    named = ", ".join(shut.nodes[:_MOST_NODES]) + (f" and {more:,} more" if more > 0 else "")
    later = ", when it would still run" if shut.start > since else ""
    return f"{noun} {named} {verb} {what} from {when(shut.start)} to {when(shut.end)}{later}"
