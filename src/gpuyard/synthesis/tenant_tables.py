"""Reads the tenants of a scenario: named, counted, or the R&D centres that come with gpuyard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.presets import load_tenants
from gpuyard.synthesis.kinds import CLASSES
from gpuyard.synthesis.reading import read_number, read_table, read_weights, read_whole
from gpuyard.synthesis.tenants import Skew, Tenant, skewed_tenants

__all__ = ["tenants_of"]

_KEYS = ("users", "priority", "start")


def tenants_of(key: str, value: object) -> tuple[Tenant, ...]:
    """Return the tenants that a scenario's table names.

    The table has a table for each tenant; or ``count`` of them of unequal weight; or ``preset``, the name of a set
    that comes with gpuyard, beside tables that change its tenants or add others.

    Raises
    ------
    ConfigError
        For a key or a preset nobody knows, and for a value of the wrong type or range.
    """
    given = dict(read_table(key, value))
    if "count" in given and not isinstance(given["count"], Mapping):
        return _skewed_tenants(given)
    known: dict[str, dict[str, Any]] = {}
    if isinstance(given.get("preset"), str):
        known = {name: dict(entry) for name, entry in load_tenants(given.pop("preset")).items()}
    for name, entry in given.items():
        known[name] = known.get(name, {}) | dict(read_table(f"tenant '{name}'", entry))
    return tuple(_tenant(name, entry) for name, entry in known.items())


def _tenant(name: str, entry: Mapping[str, Any]) -> Tenant:
    inside = dict(entry)
    for inner in inside:
        if inner not in (*CLASSES, *_KEYS):
            raise unknown_name(f"key of tenant '{name}'", inner, (*CLASSES, *_KEYS))
    whole = {
        each: read_whole(f"{each} of '{name}'", inside.pop(each)) for each in ("users", "priority") if each in inside
    }
    start = inside.pop("start", None)
    if start is not None and not isinstance(start, str | date):  # a timestamp is a date
        raise ConfigError(f"start of '{name}' must be a date such as 2028-03-01, got {start!r}")
    text = start.isoformat() if isinstance(start, date) else start
    return Tenant(name=name, weights=read_weights(f"tenant '{name}'", inside), start=text, **whole)


def _skewed_tenants(table: Mapping[str, Any]) -> tuple[Tenant, ...]:
    """Return so many tenants of unequal weight."""
    known = ("count", "users", "zipf_exponent", "sigma")
    for key in table:
        if key not in known:
            raise unknown_name("key of tenants that are counted", key, known)
    count = read_whole("count of tenants", table["count"])
    users = read_whole("users of tenants", table.get("users", 40))
    if count < 1:
        raise ConfigError(f"count of tenants must be 1 or more, got {count}")
    sigma = None if table.get("sigma") is None else read_number("sigma of tenants", table["sigma"])
    exponent = read_number("zipf_exponent of tenants", table.get("zipf_exponent", 1.0))
    if not (0 <= exponent < math.inf and (sigma is None or 0 <= sigma < math.inf)):
        raise ConfigError(f"zipf_exponent and sigma of tenants must be 0 or more, got {exponent} and {sigma}")
    return skewed_tenants(count, Skew(exponent, sigma), users)
