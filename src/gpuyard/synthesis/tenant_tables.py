"""Reads the tenants of a scenario: named, counted, in a CSV file, or the R&D centres that come with gpuyard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.presets import load_tenants
from gpuyard.synthesis.kinds import CLASSES
from gpuyard.synthesis.reading import read_number, read_table, read_weights, read_whole
from gpuyard.synthesis.tenants import Skew, Tenant, skewed_tenants
from gpuyard.topology.rows import csv_rows, text_of

__all__ = ["tenants_of"]

_KEYS = ("users", "priority", "start", "quota")
_WHOLE = ("users", "priority")


def tenants_of(key: str, value: object) -> tuple[Tenant, ...]:
    """Return the tenants that a scenario's table names.

    The table has a table for each tenant; or ``count`` of them of unequal weight; or ``preset``, the name of a set
    that comes with gpuyard, or ``file``, a CSV file with a row a tenant (columns ``name``, the keys of a tenant and the
    classes), beside tables that change its tenants or add others.

    Raises
    ------
    ConfigError
        For a key or a preset nobody knows, and for a value of the wrong type or range.
    InputError
        For a file that cannot be used.
    """
    given = dict(read_table(key, value))
    if "count" in given and not isinstance(given["count"], Mapping):
        return _skewed_tenants(given)
    known: dict[str, dict[str, Any]] = {}
    if isinstance(given.get("preset"), str):
        known = {name: dict(entry) for name, entry in load_tenants(given.pop("preset")).items()}
    if isinstance(given.get("file"), str):
        known |= _from_csv(Path(given.pop("file")))
    for name, entry in given.items():
        known[name] = known.get(name, {}) | dict(read_table(f"tenant '{name}'", entry))
    return tuple(_tenant(name, entry) for name, entry in known.items())


def _tenant(name: str, entry: Mapping[str, Any]) -> Tenant:
    inside = dict(entry)
    for inner in inside:
        if inner not in (*CLASSES, *_KEYS):
            raise unknown_name(f"key of tenant '{name}'", inner, (*CLASSES, *_KEYS))
    whole = {each: read_whole(f"{each} of '{name}'", inside.pop(each)) for each in _WHOLE if each in inside}
    quota = read_number(f"quota of '{name}'", inside.pop("quota")) if "quota" in inside else None
    start = inside.pop("start", None)
    if start is not None and not isinstance(start, str | date):  # a timestamp is a date
        raise ConfigError(f"start of '{name}' must be a date such as 2028-03-01, got {start!r}")
    text = start.isoformat() if isinstance(start, date) else start
    return Tenant(name=name, weights=read_weights(f"tenant '{name}'", inside), start=text, quota=quota, **whole)


def _from_csv(path: Path) -> dict[str, dict[str, Any]]:
    """Return the tenants in a CSV file, name to table; empty cells are left out."""
    header, rows = csv_rows(text_of(path), path)
    for column in header:
        if column not in ("name", *_KEYS, *CLASSES):
            what, _, remedy = str(unknown_name("column", column, ("name", *_KEYS, *CLASSES))).partition("; ")
            raise InputError(what, path=path, row=1, column=column, remedy=remedy)
    if "name" not in header:
        raise InputError("the file has no column of names", path=path, row=1, remedy="add a column 'name'")
    found: dict[str, dict[str, Any]] = {}
    for line, cells in rows:
        name = cells.pop("name")
        if not name or name in found:
            what, remedy = ("a tenant stands twice", "give it once") if name else ("a tenant has no name", "name it")
            raise InputError(what, path=path, row=line, column="name", value=name or None, remedy=remedy)
        found[name] = {column: _value(cell, line, column, path) for column, cell in cells.items() if cell}
        try:
            _tenant(name, found[name])
        except ConfigError as problem:
            raise InputError(str(problem), path=path, row=line) from None
    return found


def _value(cell: str, line: int, column: str, path: Path) -> float | int | str:
    """Return the value of a cell: a date for a start, else a number."""
    if column == "start":
        return cell
    try:
        return int(cell) if column in _WHOLE else float(cell)
    except ValueError:
        what = "whole number" if column in _WHOLE else "number"
        remedy = f"write a {what}, or leave the cell empty"
        raise InputError(f"this is no {what}", path=path, row=line, column=column, value=cell, remedy=remedy) from None


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
