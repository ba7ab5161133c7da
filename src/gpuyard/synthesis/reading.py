"""Reads the values of a workload's table, and says which is of the wrong type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from gpuyard.errors import ConfigError
from gpuyard.synthesis.distributions import Fractions, LogCdf, Sizes
from gpuyard.units import MOST_DAYS, parse_seconds

__all__ = [
    "NO_CHECKPOINTS",
    "read_checkpoints",
    "read_counts",
    "read_curve",
    "read_fractions",
    "read_names",
    "read_number",
    "read_part",
    "read_positive",
    "read_range",
    "read_sizes",
    "read_span",
    "read_table",
    "read_weights",
    "read_whole",
]

NO_CHECKPOINTS = MOST_DAYS * 86_400.0
"""s between two checkpoints that mean that there is none: as long as the longest workload, so that no job is longer."""


def read_number(key: str, value: object) -> float:
    """Return a number, or raise a ConfigError that names the key and the value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} must be a number, got {value!r}")
    return value


def read_whole(key: str, value: object) -> int:
    """Return a whole number, or raise a ConfigError that names the key and the value."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{key} must be a whole number, got {value!r}")
    return value


def read_names(key: str, value: object) -> tuple[str, ...]:
    """Return names, or raise a ConfigError that names the key and the value."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{key} must be a list of names, such as ['battery'], got {value!r}")
    return tuple(value)


def read_table(key: str, value: object) -> Mapping[str, Any]:
    """Return a table, or raise a ConfigError that names the key and the value."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} must be a table, got {value!r}")
    return value


def read_weights(key: str, value: object) -> dict[str, float]:
    """Return a table of name to number, or raise a ConfigError that names the key and the value."""
    return {
        name: read_number(f"weight of '{name}' in {key}", weight) for name, weight in read_table(key, value).items()
    }


def read_part(key: str, value: object) -> float:
    """Return a number from 0 to 1, or raise a ConfigError that names the key and the value."""
    found = read_number(key, value)
    if not 0 <= found <= 1:
        raise ConfigError(f"{key} must be from 0 to 1, got {value!r}")
    return found


def read_positive(key: str, value: object) -> float:
    """Return a number above 0, or raise a ConfigError that names the key and the value."""
    found = read_number(key, value)
    if not 0 < found < math.inf:
        raise ConfigError(f"{key} must be a positive number, got {value!r}")
    return found


def read_span(key: str, value: object) -> float:
    """Return a time above 0 in seconds, given as such or like ``15m``."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(f"{key} must be a time such as 90s or 15m, got {value!r}")
    found = parse_seconds(value)
    if not 0 < found < math.inf:
        raise ConfigError(f"{key} must be a time above 0, got {value!r}")
    return found


def read_checkpoints(key: str, value: object) -> float:
    """Return the seconds of work between two checkpoints: a time, 0 where nothing is lost, or ``none``."""
    if value == "none":
        return NO_CHECKPOINTS
    remedy = f"{key} must be a time such as 15m, 0 where a preempted job loses nothing, or 'none', got {value!r}"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(remedy)
    try:
        found = parse_seconds(value)
    except ConfigError:
        raise ConfigError(remedy) from None
    if found > NO_CHECKPOINTS:
        raise ConfigError(f"{key} is over {MOST_DAYS:,.0f} days, got {value!r}; write 'none' for jobs that write none")
    return found


def read_counts(key: str, value: object) -> tuple[int, int]:
    """Return the least and the most of a whole number, both at least 1."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ConfigError(f"{key} must be the least and the most, such as [4, 32], got {value!r}")
    least, most = (read_whole(key, each) for each in value)
    if not 1 <= least <= most:
        raise ConfigError(f"{key} must be [least, most] with 1 <= least <= most, got {value!r}")
    return least, most


def read_range(key: str, value: object) -> tuple[float, float]:
    """Return two times in seconds, the first shorter."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ConfigError(f"{key} must be two times, such as ['10m', '2h'], got {value!r}")
    low, high = (read_span(key, each) for each in value)
    _rising(key, low, high)
    return low, high


def read_sizes(key: str, value: object) -> Sizes:
    """Return GPUs of a job: a number, or a table of number to weight."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = {value: 1}
    weights = {}
    for size, weight in read_table(key, value).items():
        if not str(size).isdecimal() or int(size) < 1:
            raise ConfigError(f"{key} has the size '{size}'; sizes are whole numbers of GPUs from 1 on")
        weights[int(size)] = read_number(f"weight of {size} GPUs in {key}", weight)
    if not all(0 <= weight < math.inf for weight in weights.values()) or not sum(weights.values()) > 0:
        raise ConfigError(f"{key} needs weights of 0 or more, and one above 0, got {dict(weights)}")
    return Sizes.steps(weights)


def read_fractions(key: str, value: object) -> Fractions:
    """Return parts of a GPU from a table of thousandths to chance."""
    shares = {}
    for milli, chance in read_table(key, value).items():
        if not str(milli).isdecimal():
            raise ConfigError(f"{key} has '{milli}'; parts are thousandths of a GPU, such as 500")
        shares[int(milli)] = read_part(f"chance of {milli} in {key}", chance)
    return Fractions.of(shares)


def read_curve(key: str, value: object) -> LogCdf:
    """Return the distribution of a time, given in one of three forms.

    ``[low, high]`` is log-uniform.  ``{ median, sigma, low, high }`` is log-normal within its bounds.
    ``{ p0, p50, p90, p100 }`` are percentiles, any of them but p100 always, straight in the logarithm between them.
    """
    if isinstance(value, list | tuple):
        return LogCdf.between(*read_range(key, value))
    table = read_table(key, value)
    if "median" in table or "sigma" in table:
        return _lognormal(key, table)
    knots = sorted((_percent(key, name), read_span(f"{name} of {key}", each)) for name, each in table.items())
    if len(knots) < 2 or knots[-1][0] != 1.0:
        raise ConfigError(f"{key} needs p100, the longest, and one percentile more, got {dict(table)}")
    for (_, low), (_, high) in pairwise(knots):
        _rising(key, low, high)
    return LogCdf(values=tuple(at for _, at in knots), cumulative=tuple(chance for chance, _ in knots))


def _lognormal(key: str, table: Mapping[str, Any]) -> LogCdf:
    names = ("median", "sigma", "low", "high")
    if set(table) != set(names):
        raise ConfigError(f"{key} is log-normal with median, sigma, low and high, got {', '.join(table)}")
    median, low, high = (read_span(f"{name} of {key}", table[name]) for name in ("median", "low", "high"))
    _rising(key, low, high)
    return LogCdf.lognormal(median=median, sigma=read_positive(f"sigma of {key}", table["sigma"]), low=low, high=high)


def _percent(key: str, name: str) -> float:
    try:
        percent = float(name.removeprefix("p")) if name.startswith("p") else math.nan
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise ConfigError(f"{key} has '{name}', which is no percentile from p0 to p100")
    return percent / 100


def _rising(key: str, low: float, high: float) -> None:
    if not low < high:
        raise ConfigError(f"{key} must rise, got {low:g} s before {high:g} s")
