"""The partitions of a ``slurm.conf``, as tables of a scenario.

Source: the manual page slurm.conf(5): a line for each partition, ``PartitionName=DEFAULT`` for those that follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gpuyard.errors import InputError
from gpuyard.topology.slurm import conf_lines, expand_hostlist

__all__ = ["is_slurm_conf", "partitions_of"]

_BEGINS: Final = re.compile(r"[A-Za-z]\w*\s*=|include\s", re.IGNORECASE)
"""How the first line of a slurm.conf begins, and no header of a CSV file does."""
_PAIR: Final = re.compile(r"(?<![\w.])([\w.]+)\s*=(?:\s+(?![\w.]+\s*=))?(\"[^\"]*\"|\S*)")
"""A key and its value: empty where the next key follows."""
_WHOLE: Final = re.compile(r"\d{1,9}")
_WITHOUT: Final = ("unlimited", "infinite", "all")
"""What stands for no bound."""
_TIMES: Final = {"maxtime": "max_time", "defaulttime": "default_time"}
_NUMBERS: Final = {"minnodes": "min_nodes", "maxnodes": "max_nodes"}
_LISTS: Final = {
    "allowaccounts": "allow_tenants",
    "denyaccounts": "deny_tenants",
    "allowqos": "allow_qos",
    "denyqos": "deny_qos",
}
_DAYS: Final = re.compile(r"(\d{1,9})-(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?")
_CLOCK: Final = re.compile(r"(?:(\d{1,9}):)?(\d{1,9}):(\d{1,9})")


def is_slurm_conf(text: str) -> bool:
    """Return whether a text is a ``slurm.conf``, by its first line that is no comment."""
    return any(_BEGINS.match(line) for _, line in islice(conf_lines(text), 1))


def partitions_of(text: str, path: Path) -> list[dict[str, Any]]:
    """Return the partitions of a ``slurm.conf``, with their nodes and bounds; all else in it is not looked at.

    Raises
    ------
    InputError
        For a time, a number or a host list that cannot be read, with its row; and where there is no partition.
    """
    lines = [(row, _pairs(line)) for row, line in conf_lines(text)]
    sets = {name: said for _, (kind, name, said) in lines if kind == "nodeset"}
    found: list[dict[str, Any]] = []
    common: dict[str, str] = {}
    for row, (kind, name, said) in lines:
        if kind != "partitionname":
            continue
        if name.casefold() == "default":
            common |= said
        else:
            found.append(_partition(name, common | said, sets, row, path))
    if not found:
        raise InputError(
            "there is no PartitionName line of a partition", path=path,
            remedy="name the file that has them; Include is not followed",
        )  # fmt: skip
    return found


def _pairs(line: str) -> tuple[str, str, dict[str, str]]:
    """Return the first key of a line, in small letters, its value, and the values of the other keys."""
    pairs = [(key.lower(), value.strip('"').strip()) for key, value in _PAIR.findall(line)]
    kind, name = pairs[0] if pairs else ("", "")
    return kind, name, dict(pairs[1:])


def _partition(
    name: str, said: Mapping[str, str], sets: Mapping[str, Mapping[str, str]], row: int, path: Path
) -> dict[str, Any]:
    table: dict[str, Any] = {"name": name}
    if "nodes" in said:
        table["nodes"] = _nodes(said["nodes"], sets, row, path)
    if said.get("default", "no").casefold() == "yes":
        table["default"] = True
    for key, own in _TIMES.items():
        if key in said and said[key].casefold() not in (*_WITHOUT, "none"):
            table[own] = _seconds(said[key], key, row, path)
    for key, own in _NUMBERS.items():
        if key in said and said[key].casefold() not in _WITHOUT:
            if not _WHOLE.fullmatch(said[key]) or (key == "maxnodes" and int(said[key]) == 0):
                raise InputError(
                    "this is no number of nodes", path=path, row=row, column=key, value=said[key],
                    remedy="write a whole number of at most 9 digits, or UNLIMITED",
                )  # fmt: skip
            table[own] = int(said[key])
    for key, own in _LISTS.items():
        if key in said and said[key].casefold() not in _WITHOUT:
            names = [each.strip() for each in said[key].split(",") if each.strip()]
            table |= {own: names} if names else {}
    if "allow_tenants" in table:
        table.pop("deny_tenants", None)  # Slurm does not look at it then
    if "allow_qos" in table:
        table.pop("deny_qos", None)
    return table


def _nodes(text: str, sets: Mapping[str, Mapping[str, str]], row: int, path: Path) -> list[str]:
    names: list[str] = []
    try:
        for part in expand_hostlist(text):
            names += _nodes_of_set(part, sets[part], row, path) if part in sets else [part]
    except ValueError as problem:
        raise InputError(str(problem), path=path, row=row, column="Nodes", remedy="correct the host list") from None
    if not names:
        raise InputError(
            "the partition has no nodes", path=path, row=row, column="Nodes", value=text,
            remedy="name them, write ALL, or leave the partition out",
        )  # fmt: skip
    return ["all" if each.casefold() == "all" else each for each in names]


def _nodes_of_set(name: str, said: Mapping[str, str], row: int, path: Path) -> list[str]:
    """Return the nodes of a NodeSet, which has to list them."""
    if "feature" in said or not said.get("nodes"):
        raise InputError(
            "the nodes of this NodeSet go by a feature, which is not read", path=path, row=row, column="Nodes",
            value=name, remedy=f"list them: NodeSet={name} Nodes=...",
        )  # fmt: skip
    return expand_hostlist(said["nodes"])


def _seconds(text: str, key: str, row: int, path: Path) -> float:
    """Return the seconds of a time as Slurm writes it: minutes, m:s, h:m:s, d-h, d-h:m or d-h:m:s."""
    days, clock = _DAYS.fullmatch(text), _CLOCK.fullmatch(text)
    found = days or clock
    parts = [] if found is None else [int(part or 0) for part in found.groups()]
    if _WHOLE.fullmatch(text):
        parts = [0, int(text), 0]
    scale = (86_400, 3600, 60, 1) if days else (3600, 60, 1)
    seconds = sum(part * each for part, each in zip(parts, scale, strict=True)) if parts else 0
    if not seconds:
        raise InputError(
            "this is no time of Slurm's above 0", path=path, row=row, column=key, value=text,
            remedy="write minutes, minutes:seconds, hours:minutes:seconds, days-hours:minutes:seconds, or UNLIMITED",
        )  # fmt: skip
    return float(seconds)
