"""Virtual clusters out of a CSV file with a row each, such as the sizes that a trace is published with.

There is the column ``name``, and any of ``gpus``, ``share``, ``nodes``, ``partition``, ``tenant``, ``user``,
``policy``, the name of one, and ``tenants``, a file of those who share its GPUs, relative to this one.  Several nodes,
partitions, tenants or users in a cell have ``;`` between them.  An empty cell is what a scenario leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.policy import named_policy
from gpuyard.tenancy import Tenants
from gpuyard.tenant_files import read_tenants
from gpuyard.topology.rows import csv_rows, text_of
from gpuyard.virtual_clusters import VirtualCluster

__all__ = ["read_virtual_clusters"]

_LISTS: Final = {"nodes": "nodes", "partition": "partitions", "tenant": "tenants", "user": "users"}
_NUMBERS: Final[Mapping[str, type[int] | type[float]]] = {"gpus": int, "share": float}
_COLUMNS: Final = ("name", *_NUMBERS, *_LISTS, "policy", "tenants")


def read_virtual_clusters(path: str | Path) -> tuple[VirtualCluster, ...]:
    """Return the virtual clusters that a CSV file states, in its order.

    Raises
    ------
    InputError
        For a file that cannot be read, or a column or value that cannot be; names where it is and what to do.
    """
    place = Path(path)
    header, rows = csv_rows(text_of(place), place)
    for column in header:
        if column not in _COLUMNS:
            what, _, remedy = str(unknown_name("column", column, _COLUMNS)).partition("; ")
            raise InputError(what, path=place, row=1, column=column, remedy=remedy)
    if "name" not in header:
        raise InputError("the file has no column of names", path=place, row=1, remedy="add a column 'name'")
    found: dict[str, VirtualCluster] = {}
    for line, cells in rows:
        each = _virtual_cluster(cells, line, place)
        if each.name in found:
            raise InputError(
                "a virtual cluster stands twice", path=place, row=line, column="name", value=each.name,
                remedy="give it once",
            )  # fmt: skip
        found[each.name] = each
    if not found:
        raise InputError("no virtual cluster is named", path=place, remedy="write a row for each below the header")
    return tuple(found.values())


def _virtual_cluster(cells: Mapping[str, str], line: int, path: Path) -> VirtualCluster:
    given: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        if column in _LISTS:
            given[_LISTS[column]] = tuple(part.strip() for part in cell.split(";") if part.strip())
        elif column in _NUMBERS:
            given[column] = _number(cell, line, column, path)
        elif column == "tenants":
            given["sharing"] = _tenants(cell, line, path)
        else:
            given[column] = cell
    if "policy" in given:
        _check_policy(given["policy"], line, path)
    return VirtualCluster(**{"name": "", **given}, source=(path, line))


def _tenants(cell: str, line: int, path: Path) -> Tenants:
    """Return the tenants of a file, which is named relative to the folder of this one."""
    place = path.parent / Path(cell).expanduser()
    if not place.is_file():
        raise InputError(
            "there is no such file of tenants", path=path, row=line, column="tenants", value=cell,
            remedy="check the path, which is relative to the folder of this file",
        )  # fmt: skip
    return read_tenants(place)


def _check_policy(name: str, line: int, path: Path) -> None:
    try:
        named_policy(name)
    except ConfigError as problem:
        what, _, remedy = str(problem).partition("; ")
        raise InputError(what, path=path, row=line, column="policy", remedy=remedy) from None


def _number(cell: str, line: int, column: str, path: Path) -> float:
    try:
        return _NUMBERS[column](cell)
    except ValueError:
        what = "whole number such as 256" if column == "gpus" else "number such as 0.25"
        remedy = f"write a {what}, or leave the cell empty"
        raise InputError("this is no number", path=path, row=line, column=column, value=cell, remedy=remedy) from None
