"""Tenants and their quotas out of a file: TOML as a scenario has them, or CSV with a row a tenant.

CSV has the column ``name`` and any of ``nominal``, ``borrow``, ``lend``, ``weight``; quotas by GPU type have a column a
type, ``nominal.H100``.  An empty cell is what a scenario leaves out.  Limits stand in TOML only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.topology.rows import csv_rows, text_of

__all__ = ["read_tenants"]

_QUOTAS: Final = ("nominal", "borrow", "lend")
_COLUMNS: Final = ("name", *_QUOTAS, "weight")
_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")


def read_tenants(path: str | Path) -> Tenants:
    """Return the tenants, and the limits, that a file states.

    Parameters
    ----------
    path
        TOML (``.toml``) with the keys of ``[tenants]``, at the top or in a table of that name; or CSV.

    Raises
    ------
    InputError
        For a file that cannot be read, or a key, column or value that cannot be; names where it is and what to do.
    """
    place = Path(path)
    text = text_of(place)
    return _from_toml(text, place) if place.suffix == ".toml" else _from_csv(text, place)


def _from_toml(text: str, path: Path) -> Tenants:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        line = _LINE.search(str(problem))
        reason = _LINE.sub("", str(problem)).strip()
        row = int(line[1]) if line else None
        raise InputError(f"this is not TOML: {reason}", path=path, row=row, remedy="correct that line") from None
    inner = table.get("tenants")
    if isinstance(inner, Mapping) and len(table) > 1:
        raise _more_than_tenants(table, path)
    try:
        return Tenants.of(inner if isinstance(inner, Mapping) else table)
    except ConfigError as problem:
        raise InputError(str(problem), path=path) from None


def _more_than_tenants(table: Mapping[str, Any], path: Path) -> InputError:
    """Return the error of a file that says more than who shares a cluster, such as a whole scenario."""
    others = [f"[{key}]" if isinstance(value, Mapping) else f"'{key}'" for key, value in table.items()]
    others.remove("[tenants]")
    shown = ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
    remedy = "keep only [tenants] in the file, or, if it is a scenario, run it: gpuyard run FILE"
    return InputError(f"beside [tenants] it has {shown}, which would be left out", path=path, remedy=remedy)


def _from_csv(text: str, path: Path) -> Tenants:
    header, rows = csv_rows(text, path)
    _check_header(header, path)
    found: dict[str, Tenant] = {}
    for line, cells in rows:
        tenant = _tenant(cells, line, path)
        if tenant.name in found:
            raise InputError(
                "a tenant stands twice", path=path, row=line, column="name", value=tenant.name, remedy="give it once"
            )
        found[tenant.name] = tenant
    if not found:
        raise InputError("no tenant is named", path=path, remedy="write a row for each tenant below the header")
    return Tenants(tenants=tuple(found.values()))


def _check_header(header: Sequence[str], path: Path) -> None:
    """Raise for a column nobody knows, for none of names, and for quotas as numbers beside quotas by type."""
    for column in header:
        name, dot, kind = column.partition(".")
        if column in _COLUMNS or (name in _QUOTAS and dot and kind):
            continue
        known = [*_COLUMNS, *(f"{each}.TYPE" for each in _QUOTAS)]
        what, _, remedy = str(unknown_name("column", column, known)).partition("; ")
        raise InputError(what, path=path, row=1, column=column, remedy=remedy)
    if "name" not in header:
        raise InputError("the file has no column of names", path=path, row=1, remedy="add a column 'name'")
    quotas = [column for column in header if column.partition(".")[0] in _QUOTAS]
    if len({"." in column for column in quotas}) > 1:
        remedy = "write all as columns such as nominal, or all by type as columns such as nominal.H100"
        raise InputError("some quotas are numbers and some are by GPU type", path=path, row=1, remedy=remedy)


def _tenant(cells: Mapping[str, str], line: int, path: Path) -> Tenant:
    given: dict[str, Any] = {}
    for column, cell in cells.items():
        if column == "name" or not cell:
            continue
        name, _, kind = column.partition(".")
        number = _number(cell, line, column, path)
        if kind:
            given.setdefault(name, {})[kind] = number
        else:
            given[name] = number
    if not cells["name"]:
        raise InputError("a tenant has no name", path=path, row=line, column="name", remedy="name it")
    try:
        return Tenant(name=cells["name"], **given)
    except ConfigError as problem:
        raise InputError(str(problem), path=path, row=line) from None


def _number(cell: str, line: int, column: str, path: Path) -> float:
    try:
        value = float(cell)
    except ValueError:
        remedy = "write a number such as 16, or leave the cell empty"
        raise InputError("this is no number", path=path, row=line, column=column, value=cell, remedy=remedy) from None
    least = "above 0" if column == "weight" else "of 0 or more"
    if not 0 <= value < float("inf") or (column == "weight" and value == 0):
        remedy = f"write a number {least}, or leave the cell empty"
        raise InputError("the number is out of range", path=path, row=line, column=column, value=cell, remedy=remedy)
    return value
