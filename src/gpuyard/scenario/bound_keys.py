"""The keys of ``[[partition]]`` and ``[[qos]]``, and those tables out of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from gpuyard.bounds import Bounds
from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.scenario.keys import Items, Names, Seconds, Section
from gpuyard.scenario.slurm_conf import is_slurm_conf, partitions_of
from gpuyard.scenario.tenant_keys import with_path
from gpuyard.topology.rows import csv_rows, text_of
from gpuyard.windows import NodeWindow

__all__ = ["PartitionSection", "QosSection", "with_files", "with_paths_of_files"]

_LISTS: Final = ("partition", "qos")
"""Sections whose entries may be those of a file."""


class _BoundKeys(Section):
    """What a single job may ask for, and whose jobs are taken."""

    default: bool = Field(default=False, description="The jobs without a partition, without a QOS, are of this one.")
    max_time: Seconds | None = Field(default=None, description="The longest time limit of a job; longer: rejected.")
    default_time: Seconds | None = Field(
        default=None, description="The time limit of jobs that state none; max_time if left out."
    )
    min_nodes: int | None = Field(default=None, ge=0, description="So many nodes a job has at least.")
    max_nodes: int | None = Field(default=None, ge=1, description="So many nodes a job has at most.")
    min_gpus: float | None = Field(default=None, ge=0, description="So many GPUs a job asks for at least.")
    max_gpus: float | None = Field(default=None, ge=0, description="So many GPUs a job asks for at most.")
    max_cpus: float | None = Field(default=None, ge=0, description="So many cores a job asks for at most, in all.")
    max_memory_gib: float | None = Field(default=None, ge=0, description="So much memory a job asks for at most.")
    allow_tenants: Names = Field(default=[], description="Only jobs of these tenants, and of those below, are taken.")
    deny_tenants: Names = Field(default=[], description="Jobs of these tenants, and of those below, are not taken.")

    def _bounds(self, *, partition: str | None = None, qos: str | None = None) -> Bounds:
        given = self.model_dump(exclude={"name", "nodes", "default"}, exclude_none=True)
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return Bounds(partition=partition, qos=qos, is_default=self.default, **(given | lists))


class PartitionSection(_BoundKeys):
    """``[[partition]]``: the nodes on which the jobs of a partition run, and what these may ask for."""

    name: str = Field(min_length=1, description="The partition, as the job table says it.")
    nodes: Items | None = Field(
        default=None,
        description="Its nodes: numbers, ranges such as '0-15', names, domains of a level, or 'all'; where no "
        "partition has nodes, all run anywhere.",
    )
    allow_qos: Names = Field(default=[], description="Only jobs of these QOS are taken.")
    deny_qos: Names = Field(default=[], description="Jobs of these QOS are not taken.")

    def windows(self, origin: object) -> list[NodeWindow]:
        """Return the window over all other nodes, if it has nodes; it has no times for which to ask the origin."""
        if self.nodes is None:
            return []
        return [NodeWindow.partition(self.name, tuple(self.nodes), is_default=self.default)]

    def bounds(self) -> Bounds:
        """Return its bounds."""
        return self._bounds(partition=self.name)


class QosSection(_BoundKeys):
    """``[[qos]]``: what the jobs of a QOS may ask for."""

    name: str = Field(min_length=1, description="The QOS, as the job table says it.")

    def bounds(self) -> Bounds:
        """Return its bounds."""
        return self._bounds(qos=self.name)


_SECTIONS: Final[Mapping[str, type[_BoundKeys]]] = {"partition": PartitionSection, "qos": QosSection}
_SEVERAL: Final = ("nodes", "allow_tenants", "deny_tenants", "allow_qos", "deny_qos")
_TIMES: Final = ("max_time", "default_time")
_WORDS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def with_files(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a layer of a scenario with the rows of files in the place of entries ``file`` of partitions and QOS.

    Raises
    ------
    ConfigError
        For an entry that says more than its file.
    InputError
        For a file that cannot be read, or a column or value that cannot be.
    """
    found = dict(layer)
    for section in _LISTS:
        tables = layer.get(section)
        if isinstance(tables, list) and any(isinstance(each, Mapping) and "file" in each for each in tables):
            found[section] = [row for table in tables for row in _rows_of(section, table)]
    return found


def with_paths_of_files(layer: Mapping[str, Any], folder: Path) -> None:
    """Take the paths of files of partitions and QOS relative to a folder, in a layer as it stands in a file."""
    for section in _LISTS:
        tables = layer.get(section)
        for table in tables if isinstance(tables, list) else ():
            with_path(table, folder)


def _rows_of(section: str, table: Any) -> list[Any]:
    if not isinstance(table, Mapping) or "file" not in table:
        return [table]
    beside = sorted(set(table) - {"file"})
    if beside:
        raise ConfigError(
            f"[[{section}]] '{beside[0]}' stands beside 'file', which says all of its rows; leave one out"
        )
    path = Path(str(table["file"])).expanduser()
    text = text_of(path)
    if section == "partition" and is_slurm_conf(text):
        return list(partitions_of(text, path))
    return _from_csv(section, text, path)


def _from_csv(section: str, text: str, path: Path) -> list[dict[str, Any]]:
    header, rows = csv_rows(text, path)
    known = list(_SECTIONS[section].model_fields)
    for column in header:
        if column not in known:
            what, _, remedy = str(unknown_name("column", column, known)).partition("; ")
            raise InputError(what, path=path, row=1, column=column, remedy=remedy)
    if "name" not in header:
        raise InputError("the file has no column of names", path=path, row=1, remedy="add a column 'name'")
    found = [_row(cells, line, path) for line, cells in rows]
    if not found:
        raise InputError("there is no row", path=path, remedy="write a row for each below the header")
    return found


def _row(cells: Mapping[str, str], line: int, path: Path) -> dict[str, Any]:
    """Return a row as a table of a scenario; an empty cell is what a scenario leaves out."""
    if not cells["name"]:
        raise InputError("a row has no name", path=path, row=line, column="name", remedy="name it")
    given: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        if column in _SEVERAL:
            given[column] = [part.strip() for part in cell.split(";") if part.strip()]
        elif column == "name" or column in _TIMES:
            given[column] = cell
        elif column == "default":
            if cell.casefold() not in _WORDS:
                raise InputError(
                    "this is neither yes nor no", path=path, row=line, column=column, value=cell,
                    remedy="write yes, no, or leave the cell empty",
                )  # fmt: skip
            given[column] = _WORDS[cell.casefold()]
        else:
            given[column] = _number(cell, line, column, path)
    return given


def _number(cell: str, line: int, column: str, path: Path) -> float:
    try:
        return int(cell) if column.endswith("_nodes") else float(cell)
    except ValueError:
        remedy = "write a number such as 16, or leave the cell empty"
        raise InputError("this is no number", path=path, row=line, column=column, value=cell, remedy=remedy) from None
