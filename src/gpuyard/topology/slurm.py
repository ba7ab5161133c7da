"""Slurm's ``topology.conf``: trees of switches (topology/tree) and blocks of nodes (topology/block)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import networkx as nx

from gpuyard.errors import InputError

__all__ = ["MOST_HOSTS", "conf_lines", "expand_hostlist", "is_slurm_topology", "read_slurm_topology"]

MOST_HOSTS = 10_000_000
"""A host list that stands for more names is refused."""

_MOST_DIGITS = 18
_KIND = re.compile(r"^[ \t]*(SwitchName|BlockName)[ \t]*=", re.IGNORECASE | re.MULTILINE)
_PAIR = re.compile(r"([A-Za-z]+)\s*=\s*(\S+)")
_COMMENT = re.compile(r"(?<!\\)#.*")
_PIECE = re.compile(r"\[([^\[\]]*)\]")
_NAMES = ("leaf", "pod", "hall")


def is_slurm_topology(text: str) -> bool:
    """Return whether a text has a line of a topology.conf."""
    return _KIND.search(text) is not None


def conf_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (row of the first, line) of a file of Slurm's, without comments and blank lines, continued lines joined."""
    joined, first = "", 0
    for row, whole in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", whole).rstrip()
        first = first or row
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        if (joined + line).strip():
            yield first, (joined + line).strip()
        joined, first = "", 0
    if joined.strip():
        yield first, joined.strip()


def expand_hostlist(text: str) -> list[str]:
    """Return the names that a Slurm host list stands for: ``n[01-03,7]`` is n01, n02, n03, n7; empty parts are none.

    Raises
    ------
    ValueError
        For brackets that do not close or a range that cannot be.
    """
    names: list[str] = []
    for part in _split(text):
        pieces = _PIECE.split(part)
        if any(mark in piece for piece in pieces[::2] for mark in "[]"):
            raise ValueError(f"brackets do not match in '{part}'")
        choices = [[piece] if number % 2 == 0 else _range(piece) for number, piece in enumerate(pieces)]
        count = 1
        for choice in choices:
            count *= len(choice)
        if len(names) + count > MOST_HOSTS:
            raise ValueError(f"'{text[:40]}' stands for more than {MOST_HOSTS:,} names")
        names.extend("".join(choice) for choice in product(*choices))
    return names


def _split(text: str) -> Iterator[str]:
    """Yield the parts between commas outside brackets that are not empty."""
    depth, start = 0, 0
    for place, mark in enumerate(f"{text},"):
        depth += (mark == "[") - (mark == "]")
        if mark == "," and depth == 0:
            if part := text[start:place].strip():
                yield part
            start = place + 1
    if depth:
        raise ValueError(f"brackets do not match in '{text}'")


def _range(text: str) -> list[str]:
    spans = [_span(part) for part in text.split(",")]
    if sum(len(numbers) for numbers, _ in spans) > MOST_HOSTS:
        raise ValueError(f"the ranges '{text[:40]}' have too many numbers")
    return [str(number).zfill(width) for numbers, width in spans for number in numbers]


def _span(text: str) -> tuple[range, int]:
    """Return the numbers of one range, or the one number, and how many digits each has at least."""
    low, dash, high = text.partition("-")
    high = high if dash else low
    if not low.isdecimal() or not high.isdecimal():
        raise ValueError(f"'{text[:40]}' is no number and no range")
    if max(len(low), len(high)) > _MOST_DIGITS:
        raise ValueError(f"the range '{text[:40]}' has numbers of more than {_MOST_DIGITS} digits")
    if int(low) > int(high):
        raise ValueError(f"the range '{text}' has no numbers")
    return range(int(low), int(high) + 1), len(low)


def read_slurm_topology(text: str, path: str | Path | None = None) -> nx.Graph:
    """Return the graph of a topology.conf, with levels on every host.

    In a tree the switches above nodes are leaves, those above leaves pods, those above pods halls; a switch's height is
    that of its tallest branch.  Blocks are the level ``leaf``.  LinkSpeed has no unit in Slurm and is left out, so the
    graph has no capacities.

    Raises
    ------
    InputError
        With file and row, for a line that cannot be read, a switch or node that is there twice or has two parents, or a
        tree of more than three levels below the root.
    """
    graph = nx.Graph()
    below: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for row, line in conf_lines(text):
        entry = {key.lower(): value for key, value in _PAIR.findall(line)}
        if "blocksizes" in entry and "blockname" not in entry:
            continue
        name = entry.get("switchname") or entry.get("blockname")
        if name is None or not ({"nodes", "switches"} & entry.keys()):
            raise InputError(
                "this line is no switch and no block",
                path=path,
                row=row,
                value=line,
                remedy="write SwitchName=... Nodes=..., SwitchName=... Switches=... or BlockName=... Nodes=...",
            )
        if name in below:
            raise InputError(f"'{name}' is there twice, first in row {rows[name]}", path=path, row=row, value=name)
        rows[name] = row
        below[name] = _members(entry, row, path)
        for host in below[name] if "nodes" in entry else []:
            if host in graph:
                raise InputError("the node hangs on two switches", path=path, row=row, column="Nodes", value=host)
            graph.add_node(host, kind="host")
    if not graph:
        raise InputError("the topology has no nodes", path=path, remedy="give a switch or block with Nodes=")
    _link(graph, below, rows, path)
    return graph


def _members(entry: dict[str, str], row: int, path: str | Path | None) -> list[str]:
    members: list[str] = []
    for column in ("switches", "nodes"):
        if column in entry:
            try:
                members += expand_hostlist(entry[column])
            except ValueError as problem:
                raise InputError(
                    f"{problem}", path=path, row=row, column=column.capitalize(), value=entry[column]
                ) from None
    return members


def _link(graph: nx.Graph, below: dict[str, list[str]], rows: dict[str, int], path: str | Path | None) -> None:
    """Add switches and links, and give every host and switch its place on each level."""
    parent: dict[str, str] = {}
    for switch, members in below.items():
        for member in members:
            if member not in below and member not in graph:
                raise InputError("no line describes this switch", path=path, row=rows[switch], value=member)
            if parent.setdefault(member, switch) != switch:
                raise InputError("the switch hangs on two others", path=path, row=rows[switch], value=member)
    height = _heights(below, rows, path)
    tallest = max(height.values())
    roots = [switch for switch in below if switch not in parent]
    levels = [level for level in range(1, tallest + 1) if level < tallest or len(roots) > 1]
    if len(levels) > len(_NAMES):
        raise InputError(
            f"the tree has {len(levels)} levels; gpuyard takes {len(_NAMES)}", path=path, remedy="merge some of them"
        )
    names = {level: _NAMES[level - 1] for level in levels}
    for switch in below:
        graph.add_node(switch, kind="switch", role=_NAMES[min(height[switch], 3) - 1])
    for member, switch in parent.items():
        graph.add_edge(member, switch)
    for node in list(graph):
        graph.nodes[node].update(_places(node, parent, height, names))


def _heights(below: dict[str, list[str]], rows: dict[str, int], path: str | Path | None) -> dict[str, int]:
    """Return 1 for a switch above nodes only, 2 for one above such switches, ...; a circle is an InputError."""
    height: dict[str, int] = {}
    for start in below:
        stack = [start]
        while stack:
            switch = stack[-1]
            waiting = [member for member in below[switch] if member in below and member not in height]
            if not waiting:
                height[switch] = 1 + max((height.get(member, 0) for member in below[switch]), default=0)
                stack.pop()
            elif waiting[0] in stack:
                raise InputError("switches hang on each other in a circle", path=path, row=rows[switch], value=switch)
            else:
                stack.append(waiting[0])
    return height


def _places(node: str, parent: dict[str, str], height: dict[str, int], names: dict[int, str]) -> dict[str, str]:
    """Return the place of a node on each level from its own up; a level that its branch lacks is the one below."""
    own = height.get(node, 0)
    at, places = node, {}
    for level, name in names.items():
        while at in parent and height[parent[at]] <= level:
            at = parent[at]
        if level >= own:
            places[name] = at
    return places
