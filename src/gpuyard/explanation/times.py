"""Times in words: as people say them, and in exact seconds."""

from __future__ import annotations

from gpuyard.units import format_seconds

__all__ = ["exact", "lasting", "when"]


def exact(seconds: float) -> str:
    """Return seconds with all their digits: ``3,600 s``, ``0.25 s``."""
    text = f"{seconds:,.6f}".rstrip("0").rstrip(".")
    return f"{text} s"


def lasting(seconds: float) -> str:
    """Return a duration for people, and in exact seconds where these say more: ``1h 40m (6,000 s)``."""
    if seconds < 60:
        return exact(seconds)
    return f"{format_seconds(seconds)} ({exact(seconds)})"


def when(seconds: float) -> str:
    """Return an instant likewise, since the origin."""
    return lasting(seconds) if seconds >= 0 else f"{lasting(-seconds)} before the origin"
