"""The partitions of a ``slurm.conf``, as tables of a scenario.

Source: the manual page slurm.conf(5): a line for each partition, ``PartitionName=DEFAULT`` for those that follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gpuyard.errors import InputError
from gpuyard.topology.slurm import expand_hostlist

__all__ = ["is_slurm_conf", "partitions_of"]

_PARTITION: Final = re.compile(r"^[ \t]*PartitionName[ \t]*=", re.IGNORECASE | re.MULTILINE)
_PAIR: Final = re.compile(r"([A-Za-z]+)\s*=\s*(\"[^\"]*\"|\S+)")
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
_DAYS: Final = re.compile(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?")
_CLOCK: Final = re.compile(r"(?:(\d+):)?(\d+):(\d+)")


def is_slurm_conf(text: str) -> bool:
    """Return whether a text has a line of a partition of a ``slurm.conf``."""
    return _PARTITION.search(text) is not None


def partitions_of(text: str, path: Path) -> list[dict[str, Any]]:
    """Return the partitions of a ``slurm.conf``, with their nodes and bounds; all else in it is not looked at.

    Raises
    ------
    InputError
        For a time, a number or a host list that cannot be read, with its row.
    """
    found: list[dict[str, Any]] = []
    sets: dict[str, str] = {}
    common: dict[str, str] = {}
    for row, line in _lines(text):
        pairs = [(key.lower(), value.strip('"')) for key, value in _PAIR.findall(line)]
        if not pairs:
            continue
        kind, name = pairs[0]
        if kind == "nodeset" and "nodes" in dict(pairs):
            sets[name] = dict(pairs)["nodes"]
        elif kind == "partitionname" and name.casefold() == "default":
            common |= dict(pairs[1:])
        elif kind == "partitionname":
            found.append(_partition(name, common | dict(pairs[1:]), sets, row, path))
    return [each for each in found if each]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with the number of the first of each, without comments; a line that ends in a backslash goes on."""
    begun, row = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        row = row if begun else number
        begun += re.sub(r"(?<!\\)#.*", "", line).rstrip()
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun.strip():
            yield row, begun
        begun = ""


def _partition(name: str, said: Mapping[str, str], sets: Mapping[str, str], row: int, path: Path) -> dict[str, Any]:
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
            if not said[key].isdecimal():
                raise InputError(
                    "this is no number of nodes", path=path, row=row, column=key, value=said[key],
                    remedy="write a whole number, or UNLIMITED",
                )  # fmt: skip
            table[own] = int(said[key])
    for key, own in _LISTS.items():
        if key in said and said[key].casefold() not in _WITHOUT:
            table[own] = [each for each in said[key].split(",") if each]
    if "allow_tenants" in table:
        table.pop("deny_tenants", None)  # Slurm does not look at it then
    if "allow_qos" in table:
        table.pop("deny_qos", None)
    return table


def _nodes(text: str, sets: Mapping[str, str], row: int, path: Path) -> list[str]:
    if text.casefold() == "all":
        return ["all"]
    try:
        names = [each for part in expand_hostlist(text) for each in expand_hostlist(sets.get(part, part))]
    except ValueError as problem:
        raise InputError(str(problem), path=path, row=row, column="Nodes", remedy="correct the host list") from None
    return ["all" if each.casefold() == "all" else each for each in names]


def _seconds(text: str, key: str, row: int, path: Path) -> float:
    """Return the seconds of a time as Slurm writes it: minutes, m:s, h:m:s, d-h, d-h:m or d-h:m:s."""
    if text.isdecimal():
        return 60.0 * int(text)
    days, clock = _DAYS.fullmatch(text), _CLOCK.fullmatch(text)
    found = days or clock
    if found is None:
        raise InputError(
            "this is no time of Slurm's", path=path, row=row, column=key, value=text,
            remedy="write minutes, minutes:seconds, hours:minutes:seconds, days-hours:minutes:seconds, or UNLIMITED",
        )  # fmt: skip
    parts = [int(part or 0) for part in found.groups()]
    if days is not None:
        return float(parts[0] * 86_400 + parts[1] * 3600 + parts[2] * 60 + parts[3])
    return float(parts[0] * 3600 + parts[1] * 60 + parts[2])
