"""Times and sizes as people write them: ``90``, ``90s``, ``15m``, ``3h``, ``7d``, ``1d12h``, ``144x8``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from gpuyard.errors import ConfigError

__all__ = [
    "MOST_CPUS",
    "MOST_DAYS",
    "MOST_LOAD",
    "MOST_MEMORY_GIB",
    "MOST_PUE",
    "SECONDS",
    "counted",
    "format_seconds",
    "nearest_scale",
    "parse_grid",
    "parse_instant",
    "parse_seconds",
    "parse_window",
    "power_unit",
    "ticks",
]

MOST_CPUS = 1e9
"""CPU cores: a job or a node has at most so many, which leaves sums of thousandths exact."""
MOST_MEMORY_GIB = 1e12
"""Memory in GiB: a job or a node has at most so much, which leaves sums of MiB exact."""
MOST_DAYS = 36_500.0
"""A synthetic workload of more days, 100 years, is taken for a typing error."""
MOST_LOAD = 10.0
"""An offered load above this is taken for one in per cent."""
MOST_PUE = 3.0
"""A facility that takes more power than this times its IT is taken for a typing error."""

SECONDS: Final = {
    "us": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86_400),
    "w": Fraction(604_800),
}
"""Seconds in one of each unit, exactly: ``5us`` is the float64 nearest to 0.000005."""

_POWERS: Final = ((1e9, "GW"), (1e6, "MW"), (1e3, "kW"))

_SIGNED: Final = re.compile(r"\s*-(?![+-])")
_NUMBER: Final = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_PART: Final = re.compile(rf"({_NUMBER})\s*(us|ms|s|m|h|d|w)\s*")
_PLAIN: Final = re.compile(rf"[+-]?(?:{_NUMBER})")
_CLOCK: Final = re.compile(r"(?:(\d+)-)?(\d+):([0-5]?\d)(?::([0-5]?\d(?:\.\d+)?))?")
_GRID: Final = re.compile(r"\s*(\d+)\s*[xX]\s*(\d+)\s*")
_EXAMPLES: Final = "write 90, 90s, 15m, 3h, 7d, 1d12h or 2-12:00:00"


def parse_seconds(text: str | float, what: str = "a time") -> float:
    """Return seconds.

    Parameters
    ----------
    text
        A number of seconds (``90``, ``"90"``), numbers with units (``"1d12h"``; us, ms, s, m, h, d, w),
        or a clock as Slurm writes it (``[days-]hours:minutes[:seconds]``).
    what
        What is being read, for the message.

    Raises
    ------
    ConfigError
        For anything else, for a number that is not finite, and for a negative duration.
    """
    seconds = _number_of(text, what)
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{what} must be zero or more and finite, got '{text}'; {_EXAMPLES}")
    return seconds


def parse_instant(text: str | float, what: str = "a time") -> float:
    """Return seconds since the origin, below 0 for an instant before it: ``-90``, ``"-15m"``; else as a duration.

    Raises
    ------
    ConfigError
        For what is no time, and for a number that is not finite.
    """
    if isinstance(text, str) and (sign := _SIGNED.match(text)):
        seconds = 0.0 - _read_seconds(text[sign.end() :].strip(), what, text)
    else:
        seconds = _number_of(text, what)
    if not abs(seconds) < float("inf"):
        raise ConfigError(f"{what} must be finite, got '{text}'; {_EXAMPLES}, with - before it for before the origin")
    return seconds


def _number_of(text: str | float, what: str) -> float:
    if isinstance(text, bool):
        raise ConfigError(f"{what} cannot be {text}; {_EXAMPLES}")
    return float(text) if isinstance(text, int | float) else _read_seconds(text.strip(), what, text)


def _read_seconds(text: str, what: str, given: str) -> float:
    if _PLAIN.fullmatch(text):
        return float(text)
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = clock.groups(default="0")
        return int(days) * 86_400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
    parts = list(_PART.finditer(text))
    units = [part[2] for part in parts]
    if parts and "".join(part[0] for part in parts) == text and len(set(units)) == len(units):
        return float(sum(Fraction(part[1]) * SECONDS[part[2]] for part in parts))
    raise ConfigError(f"{what} cannot be read from '{given}'; {_EXAMPLES}")


def parse_window(text: str, what: str = "a window") -> tuple[float, float]:
    """Return (start, end) seconds since the origin out of ``"2d..9d"``; either side may be left out (0, infinity).

    Raises
    ------
    ConfigError
        If there is no ``..``, a side cannot be read, or the end is not later than the start.
    """
    left, dots, right = text.partition("..")
    if not dots:
        raise ConfigError(f"{what} cannot be read from '{text}'; write START..END, such as 2d..9d or ..12h")
    start = parse_instant(left, what) if left.strip() else 0.0
    end = parse_instant(right, what) if right.strip() else float("inf")
    if not start < end:
        raise ConfigError(f"{what} must end later than it starts, got '{text}'")
    return start, end


def nearest_scale(value: float, low: float, high: float) -> str:
    """Return "did you mean 0.85? " for 85 where 0.85 or 8.5 lies between the bounds, else nothing.

    A hundredth (per cent) goes before a tenth (a decimal point left out).
    """
    meant = next((value / scale for scale in (100, 10) if low <= value / scale <= high), None)
    return "" if meant is None else f"did you mean {meant:g}? "


def counted(number: float, noun: str) -> str:
    """Return a number and what it counts: ``1 job``, ``2,000 jobs``, ``0 jobs``, ``1.5 days``."""
    shown = f"{int(number):,}" if float(number).is_integer() else f"{number:g}"
    return f"{shown} {noun if number == 1 else f'{noun}s'}"


def power_unit(watts: float) -> tuple[float, str]:
    """Return (watts, name) of the unit in which a power is read: the largest of W, kW, MW and GW that is no larger."""
    return next(((size, name) for size, name in _POWERS if abs(watts) >= size), (1.0, "W"))


def parse_grid(text: str) -> tuple[int, int] | None:
    """Return (nodes, GPUs a node) out of ``"144x8"``, or ``None`` if the text is nothing of the kind."""
    grid = _GRID.fullmatch(text)
    return (int(grid[1]), int(grid[2])) if grid else None


def format_seconds(seconds: float) -> str:
    """Return a duration with at most two units, for people: ``"1d 12h"``, ``"3m 20s"``, ``"0.25 s"``."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    names = ("d", "h", "m", "s")
    amounts = (whole // 86_400, whole // 3600 % 24, whole // 60 % 60, whole % 60)
    first = next(place for place, amount in enumerate(amounts) if amount)
    shown = [f"{amounts[place]}{names[place]}" for place in range(first, min(first + 2, 4)) if amounts[place]]
    return " ".join(shown)


def ticks(seconds: float) -> int:
    """Return seconds in whole microseconds, rounded half to even."""
    return round(seconds * 1_000_000)
