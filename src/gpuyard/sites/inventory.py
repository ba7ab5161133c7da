"""Lists of nodes as CSV: gpuyard's own, and those that come with public traces.

native     node, gpus, and any of gpu_type, cpus (cores), memory_gib, nvlink, rack, leaf, pod, hall
openb      sn, cpu_milli, memory_mib, gpu, model (Weng et al., USENIX ATC 2023)
pai        machine, gpu_type, cap_cpu, cap_mem, cap_gpu (Weng et al., NSDI 2022)
spot       gpu_model, gpu_capacity_num, cpu_num, node_name (Duan et al., ASPLOS 2026)
tiresias   num_switch, num_node_p_switch, num_gpu_p_node, num_cpu_p_node, mem_p_node: one row (Gu et al., NSDI 2019)

A format is known by its columns.  A value that cannot be is an InputError with file, row and column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpuyard.errors import InputError, unknown_name
from gpuyard.topology.fabric import LEVEL_ORDER
from gpuyard.topology.rows import Row, csv_rows
from gpuyard.units import MOST_CPUS, MOST_MEMORY_GIB

__all__ = ["INVENTORIES", "Inventory", "NodeList", "inventory_format", "read_inventory"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """Nodes in the order of the list: one entry a node in every column; ``None`` for what the list does not state."""

    names: Sequence[str]
    gpus: Sequence[int]
    gpu_types: Sequence[str]
    cpus: Sequence[float] | None = None
    memory_gib: Sequence[float] | None = None
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """level to the name of each node's domain"""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeList:
    """Which columns of a format say what, and in which unit."""

    name: str
    node: str
    gpus: str
    gpu_type: str = ""
    cpus: str = ""
    cpus_unit: float = 1.0
    """cores in one unit of the column"""
    memory: str = ""
    memory_unit: float = 1.0
    """GiB in one unit of the column"""
    no_gpu: str = ""
    """what the GPU type of a node without GPUs is called"""
    optional: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that must be there."""
        stated = (self.node, self.gpus, self.gpu_type, self.cpus, self.memory)
        return tuple(column for column in stated if column and column not in self.optional)


INVENTORIES: tuple[NodeList, ...] = (
    NodeList(
        name="native",
        node="node",
        gpus="gpus",
        gpu_type="gpu_type",
        cpus="cpus",
        memory="memory_gib",
        optional=("gpu_type", "cpus", "memory_gib", *LEVEL_ORDER),
    ),
    NodeList(
        name="openb",
        node="sn",
        gpus="gpu",
        gpu_type="model",
        cpus="cpu_milli",
        cpus_unit=1 / 1000,
        memory="memory_mib",
        memory_unit=1 / 1024,
    ),
    NodeList(
        name="pai",
        node="machine",
        gpus="cap_gpu",
        gpu_type="gpu_type",
        cpus="cap_cpu",
        memory="cap_mem",
        no_gpu="CPU",
    ),
    NodeList(name="spot", node="node_name", gpus="gpu_capacity_num", gpu_type="gpu_model", cpus="cpu_num"),
)

_TIRESIAS = ("num_switch", "num_node_p_switch", "num_gpu_p_node", "num_cpu_p_node", "mem_p_node")


def inventory_format(header: Sequence[str]) -> NodeList | None:
    """Return the format with these columns, or ``None``."""
    for each in INVENTORIES:
        if set(each.required) <= set(header):
            return each
    return None


def is_tiresias(header: Sequence[str]) -> bool:
    """Return whether the header is that of a Tiresias cluster size."""
    return set(_TIRESIAS) <= set(header)


def read_inventory(text: str, path: str | Path | None = None) -> Inventory:
    """Return the nodes of a list.

    Raises
    ------
    InputError
        For columns that are no known format, a cell that cannot be, a node that is there twice, or no nodes.
    """
    header, rows = csv_rows(text, path)
    if is_tiresias(header):
        return _tiresias(rows, path)
    layout = inventory_format(header)
    if layout is None:
        known = "; ".join(f"{each.name}: {', '.join(each.required)}" for each in INVENTORIES)
        raise InputError(
            "these columns are no list of nodes", path=path, row=1, value=",".join(header), remedy=f"known are {known}"
        )
    if layout.name == "native":
        _check_columns(header, layout, path)
    return _listed(layout, header, rows, path)


def _check_columns(header: Sequence[str], layout: NodeList, path: str | Path | None) -> None:
    known = (*layout.required, *layout.optional)
    for column in header:
        if column not in known:
            problem = unknown_name("column", column, known)
            raise InputError(str(problem), path=path, row=1)


def _listed(layout: NodeList, header: Sequence[str], rows: Iterator[Row], path: str | Path | None) -> Inventory:
    names: dict[str, int] = {}
    gpus: list[int] = []
    gpu_types: list[str] = []
    cpus: list[float] = []
    memory: list[float] = []
    places: dict[str, list[str]] = {name: [] for name in layout.optional if name in header and name in LEVEL_ORDER}
    typed = layout.gpu_type in header
    for line, cells in rows:
        name = _text(cells, layout.node, line, path)
        if name in names:
            raise InputError(
                f"the node is there twice, first in row {names[name]}",
                path=path,
                row=line,
                column=layout.node,
                value=name,
                remedy="remove one of them",
            )
        names[name] = line
        count = int(_number(cells, layout.gpus, line, path, whole=True))
        gpus.append(count)
        gpu_types.append(_gpu_type(cells, layout, count, line, path) if typed else ("generic" if count else ""))
        if layout.cpus in header:
            cpus.append(_amount(cells, layout.cpus, line, path, layout.cpus_unit, MOST_CPUS))
        if layout.memory in header:
            memory.append(_amount(cells, layout.memory, line, path, layout.memory_unit, MOST_MEMORY_GIB))
        for level, place in places.items():
            place.append(_text(cells, level, line, path))
    if not names:
        raise InputError("the list has no nodes", path=path, remedy="add a row for each node")
    return Inventory(
        names=list(names),
        gpus=gpus,
        gpu_types=gpu_types,
        cpus=cpus or None,
        memory_gib=memory or None,
        places={level: places[level] for level in LEVEL_ORDER if level in places},
    )


def _gpu_type(cells: Mapping[str, str], layout: NodeList, gpus: int, line: int, path: str | Path | None) -> str:
    stated = cells[layout.gpu_type]
    if gpus and (not stated or stated == layout.no_gpu):
        raise InputError(
            f"the node has {gpus} GPUs but no GPU type",
            path=path,
            row=line,
            column=layout.gpu_type,
            value=stated,
            remedy="name the model",
        )
    if not gpus and stated not in ("", layout.no_gpu):
        raise InputError(
            "the node has a GPU type but no GPUs",
            path=path,
            row=line,
            column=layout.gpus,
            value=stated,
            remedy="give the number of GPUs or leave the type empty",
        )
    return stated if gpus else ""


def _text(cells: Mapping[str, str], column: str, line: int, path: str | Path | None) -> str:
    if not cells[column]:
        raise InputError("the cell is empty", path=path, row=line, column=column, remedy="every node needs one")
    return cells[column]


def _number(cells: Mapping[str, str], column: str, line: int, path: str | Path | None, *, whole: bool = False) -> float:
    text = cells[column]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"this is not {kind} of at least 0", path=path, row=line, column=column, value=text)
    return number


def _amount(
    cells: Mapping[str, str], column: str, line: int, path: str | Path | None, unit: float, most: float
) -> float:
    """Return cores or GiB, of which a node has at most ``most``; ``unit`` is how many of them the column counts in."""
    amount = _number(cells, column, line, path) * unit
    if amount > most:
        raise InputError(
            f"a node has at most {most / unit:g} of these",
            path=path,
            row=line,
            column=column,
            value=cells[column],
            remedy="correct the value",
        )
    return amount


def _tiresias(rows: Iterator[Row], path: str | Path | None) -> Inventory:
    """Return ``num_switch`` leaves of ``num_node_p_switch`` equal nodes."""
    listed = list(rows)
    if len(listed) != 1:
        raise InputError(f"a cluster size is one row, not {len(listed)}", path=path, remedy="keep one")
    line, cells = listed[0]
    leaves, nodes, gpus = (int(_number(cells, column, line, path, whole=True)) for column in _TIRESIAS[:3])
    cpus = _amount(cells, _TIRESIAS[3], line, path, 1.0, MOST_CPUS)
    memory = _amount(cells, _TIRESIAS[4], line, path, 1.0, MOST_MEMORY_GIB)
    if leaves < 1 or nodes < 1 or leaves * nodes > 10_000_000:
        raise InputError(
            "switches times nodes must be from 1 to 10 million", path=path, row=line, value=f"{leaves} x {nodes}"
        )
    count = leaves * nodes
    return Inventory(
        names=[f"node-{number:05d}" for number in range(count)],
        gpus=[gpus] * count,
        gpu_types=["generic" if gpus else ""] * count,
        cpus=[cpus] * count,
        memory_gib=[memory] * count,
        places={"leaf": [f"switch-{number // nodes}" for number in range(count)]},
    )
