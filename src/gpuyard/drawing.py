"""A picture of a cluster as one SVG: its network tier by tier, and a map of its levels.

The map nests squares: a square is a node, or a whole domain of the lowest level that leaves few enough squares
to see; squares of one domain lie together in a frame, those frames in the frame of the next level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, log
from pathlib import Path

import numpy as np

from gpuyard.cluster import Cluster
from gpuyard.errors import InputError
from gpuyard.topology.fabric import Fabric
from gpuyard.units import counted, power_unit

__all__ = ["MOST_SQUARES", "draw", "picture"]

MOST_SQUARES = 2600
"""A map with more squares than this goes one level up."""

_WIDTH = 1200
_MARGIN = 28
_COLOURS = ("#3b7a9e", "#d0813a", "#5a9a68", "#8d6aa8", "#b3554a", "#7d8a3c", "#4a8f94", "#a3718b")
_NO_GPU = "#a7adb5"
_INK, _SOFT, _LINE, _PAPER = "#1f2933", "#5b6773", "#c9d0d6", "#ffffff"
_FONT = "font-family='system-ui, Segoe UI, Helvetica, Arial, sans-serif'"
_ROLE_NAMES = {"leaf": "leaf", "spine": "spine", "core": "core", "switch": "switch"}


@dataclass(slots=True)
class _Box:
    """A square, or a frame around others; sizes and places in pixels."""

    label: str
    title: str
    colour: str = ""
    inside: list[_Box] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0
    outermost: bool = False


def draw(cluster: Cluster, path: str | Path) -> Path:
    """Write the picture to a file and return its path; InputError if it cannot be written."""
    path = Path(path)
    try:
        path.write_text(picture(cluster), encoding="utf-8")
    except OSError as problem:
        raise InputError(f"the picture cannot be written: {problem.strerror}", path=path) from None
    return path


def picture(cluster: Cluster) -> str:
    """Return the picture as SVG text; the same cluster gives the same bytes."""
    parts = _heading(cluster)
    y = 104.0
    if cluster.fabrics:
        network, y = _network(cluster, y)
        parts += network
    drawn, y = _map(cluster, y)
    parts += drawn
    height = ceil(y + _MARGIN)
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' viewBox='0 0 {_WIDTH} {height}' "
        f"role='img' aria-label='{escape(cluster.name, quote=True)}: network and levels'>"
    )
    return "\n".join([head, f"<rect width='{_WIDTH}' height='{height}' fill='{_PAPER}'/>", *parts, "</svg>"]) + "\n"


def _text(
    x: float, y: float, text: str, *, size: int = 13, colour: str = _INK, weight: int = 400, at: str = "start"
) -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' {_FONT} font-size='{size}' fill='{colour}' font-weight='{weight}' "
        f"text-anchor='{at}'>{escape(text)}</text>"
    )


def _heading(cluster: Cluster) -> list[str]:
    site = cluster.facts.get("site")
    title = f"{cluster.name}: {site}" if site else cluster.name
    said = [counted(cluster.nodes, "node"), counted(cluster.gpus, "GPU")]
    power = cluster.facts.get("rated_mw")
    if isinstance(power, float):
        size, unit = power_unit(1e6 * power)
        said.append(f"{1e6 * power / size:,.1f} {unit} at the meter at rated load")
    return [
        _text(_MARGIN, 44, title, size=22, weight=600),
        _text(_MARGIN, 70, ", ".join(said), size=14, colour=_SOFT),
    ]


def _network(cluster: Cluster, y: float) -> tuple[list[str], float]:
    """Return one column of tiers for each fabric, and the y below them."""
    parts = [_text(_MARGIN, y, "Network, tier by tier", size=15, weight=600)]
    columns = len(cluster.fabrics)
    gap = 24.0
    width = min(360.0, (_WIDTH - 2 * _MARGIN - gap * (columns - 1)) / columns)
    tallest = max(len(fabric.network_tiers) for fabric in cluster.fabrics)
    top = y + 20.0
    if columns > 1:
        span = width * columns + gap * (columns - 1)
        parts += _tier_box(_MARGIN, top, span, "one backbone joins the halls", _SOFT)
        top += 34.0
    foot = top + tallest * 78.0 + (44.0 if columns > 1 else 0.0)
    for number, fabric in enumerate(cluster.fabrics):
        x = _MARGIN + number * (width + gap)
        parts += _column(cluster, fabric, number, (x, top, width, foot))
    return parts, foot + 34.0 + 44.0


def _column(cluster: Cluster, fabric: Fabric, number: int, place: tuple[float, float, float, float]) -> list[str]:
    """Return a fabric's tiers from its hosts at the foot up to its topmost switches."""
    x, top, width, foot = place
    first = int(cluster.node_kind[sum(each.hosts for each in cluster.fabrics[:number])])
    colour, kind = _colours(cluster)[first], cluster.kinds[first]
    parts = _tier_box(x, foot, width, f"{counted(fabric.hosts, 'node')}: {kind.name}", colour, filled=True)
    y, below_gbps, ports = foot, fabric.host_gbps, f"{fabric.links} x {fabric.link_gbps:,g} Gbit/s a node"
    centre = x + width / 2
    for tier in fabric.network_tiers:
        parts.append(f"<path d='M{centre:g} {y:g} V{y - 44:g}' stroke='{_LINE}' stroke-width='5'/>")
        parts.append(_text(centre + 10, y - 17, ports, size=12, colour=_SOFT))
        y -= 78.0
        count = tier.switches * fabric.domains(tier)
        domains = fabric.domains(tier)
        label = f"{count:,} {_ROLE_NAMES[tier.role]} switches" if count else "one switch"
        if domains > 1:
            label += f" in {domains:,} {tier.level}s" if tier.level != "leaf" else f" on {domains:,} leaves"
        parts += _tier_box(x, y, width, label, colour)
        up_gbps = tier.up_gbps / tier.hosts
        ratio = below_gbps / up_gbps if up_gbps else 0.0
        ports = f"{tier.up_gbps * domains / 1000:,.0f} Tbit/s up, {_ratio(ratio)}"
        below_gbps = up_gbps
    if len(cluster.fabrics) > 1:
        hall = fabric.hosts * fabric.host_gbps / cluster.interconnect_oversubscription
        parts.append(f"<path d='M{centre:g} {y:g} V{top:g}' stroke='{_LINE}' stroke-width='5'/>")
        note = f"{hall / 1000:,.0f} Tbit/s up, {_ratio(cluster.interconnect_oversubscription)}"
        parts.append(_text(centre + 10, y - 17, note, size=12, colour=_SOFT))
    return parts


def _ratio(value: float) -> str:
    return "1:1" if value <= 1.005 else f"{value:.2g}:1"


def _tier_box(x: float, y: float, width: float, label: str, colour: str, *, filled: bool = False) -> list[str]:
    fill, ink = (colour, _PAPER) if filled else (_PAPER, _INK)
    return [
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='34' rx='5' fill='{fill}' stroke='{colour}' "
        f"stroke-width='1.5'/>",
        _text(x + width / 2, y + 22, label, size=13, colour=ink, at="middle"),
    ]


def _colours(cluster: Cluster) -> list[str]:
    """Return the colour of each kind of node: that of its GPU type; types beyond the palette share the last one."""
    types = sorted(each for each in cluster.gpu_types if each)
    palette = {each: _COLOURS[min(number, len(_COLOURS) - 1)] for number, each in enumerate(types)}
    return [palette.get(kind.gpu_type, _NO_GPU) if kind.gpus else _NO_GPU for kind in cluster.kinds]


def _map(cluster: Cluster, y: float) -> tuple[list[str], float]:
    """Return the map of the levels with its legend, and the y below it."""
    level = _lowest_drawn(cluster)
    top = _boxes(cluster, level)
    _arrange(top, _WIDTH - 2 * _MARGIN, _side(cluster, level))
    parts = [_text(_MARGIN, y, "Map of the levels", size=15, weight=600)]
    legend, y = _legend(cluster, level, y + 22)
    parts += legend
    for box in top.inside:
        box.x += _MARGIN
        box.y += y + 14
        parts += _drawn(box)
    return parts, y + 14 + top.height


def _side(cluster: Cluster, level: int) -> float:
    """Return the side of a square: larger where there are few."""
    squares = cluster.nodes if level < 0 else int(cluster.levels.domains[level][-1]) + 1
    return 24.0 if squares <= 200 else 15.0 if squares <= 800 else 9.0


def _lowest_drawn(cluster: Cluster) -> int:
    """Return the level whose domains are squares; -1 for nodes."""
    if cluster.nodes <= MOST_SQUARES and (not cluster.levels.names or cluster.nodes <= 1500):
        return -1
    fits = [number for number, domain in enumerate(cluster.levels.domains) if int(domain[-1]) < MOST_SQUARES]
    return fits[0] if fits else len(cluster.levels.names) - 1


def _legend(cluster: Cluster, level: int, y: float) -> tuple[list[str], float]:
    names = cluster.levels.names
    square = "node" if level < 0 else names[level]
    text = f"a square is a {square}"
    if names[level + 1 :]:
        text += ", its frame a " + ", then a ".join(_frames(cluster, level))
    parts = [_text(_MARGIN, y, text, size=13, colour=_SOFT)]
    x, y = float(_MARGIN), y + 24
    colours = dict(zip((kind.gpu_type if kind.gpus else "" for kind in cluster.kinds), _colours(cluster), strict=True))
    nodes = np.bincount(cluster.node_type, minlength=len(cluster.gpu_types))
    gpus = np.bincount(cluster.node_type, weights=cluster.node_gpus, minlength=len(cluster.gpu_types))
    for gpu_type, number in sorted(zip(cluster.gpu_types, range(nodes.size), strict=True)):
        label = f"{gpu_type}: {counted(nodes[number], 'node')}, {counted(gpus[number], 'GPU')}"
        if not gpu_type:
            label = f"no GPU: {counted(nodes[number], 'node')}"
        width = 30 + 7.2 * len(label)
        if x + width > _WIDTH - _MARGIN:
            x, y = float(_MARGIN), y + 22
        parts.append(f"<rect x='{x:g}' y='{y - 11:g}' width='13' height='13' rx='2' fill='{colours[gpu_type]}'/>")
        parts.append(_text(x + 19, y, label, size=13))
        x += width
    return parts, y


def _frames(cluster: Cluster, level: int) -> list[str]:
    """Return the levels above the squares that frame anything, lowest first."""
    frames, below = [], cluster.nodes if level < 0 else int(cluster.levels.domains[level][-1]) + 1
    for name, domain in list(zip(cluster.levels.names, cluster.levels.domains, strict=True))[level + 1 :]:
        domains = int(domain[-1]) + 1
        if domains < below:
            frames.append(name)
            below = domains
    return frames


def _boxes(cluster: Cluster, level: int) -> _Box:
    """Return the nested boxes of the site, squares up to the topmost level."""
    starts, boxes = _squares(cluster, level)
    names = cluster.levels.names
    for upper in range(level + 1, len(names)):
        domain = cluster.levels.domains[upper]
        frames: list[_Box] = []
        first: list[int] = []
        for start, box in zip(starts, boxes, strict=True):
            number = int(domain[start])
            if number == len(frames):
                frames.append(_Box(label=f"{names[upper]} {number}", title=f"{names[upper]} {number}"))
                first.append(start)
            frames[number].inside.append(box)
        boxes = [frame.inside[0] if len(frame.inside) == 1 and frame.inside[0].inside else frame for frame in frames]
        starts = first
    for box in boxes:
        box.outermost = True
    return _Box(label="", title=cluster.name, inside=boxes)


def _squares(cluster: Cluster, level: int) -> tuple[list[int], list[_Box]]:
    """Return the first node of each square, and the squares."""
    if level < 0:
        starts = list(range(cluster.nodes))
        names: Sequence[str] = cluster.node_names
    else:
        domain = cluster.levels.domains[level]
        starts = [0, *(np.flatnonzero(np.diff(domain)) + 1).tolist()]
        names = [f"{cluster.levels.names[level]} {number}" for number in range(len(starts))]
    boxes = []
    colours = _colours(cluster)
    for name, start, stop in zip(names, starts, [*starts[1:], cluster.nodes], strict=True):
        gpus = int(cluster.node_gpus[start:stop].sum())
        title = (
            f"{name}: {counted(gpus, 'GPU')}"
            if level < 0
            else f"{name}: {counted(stop - start, 'node')}, {counted(gpus, 'GPU')}"
        )
        boxes.append(_Box(label="", title=title, colour=colours[int(cluster.node_kind[start])]))
    return starts, boxes


def _arrange(box: _Box, most_width: float, side: float) -> None:
    """Size a frame to a grid of what is in it, and place that; squares have that side."""
    if not box.inside:
        box.width = box.height = side
        return
    framed = bool(box.label)
    for each in box.inside:
        _arrange(each, most_width - (10.0 if framed else 0.0), side)
    pad, head = (5.0 if framed else 0.0), (15.0 if _has_label(box) else 0.0)
    gap = 7.0 if box.inside[0].inside else 2.0
    wide = max(each.width for each in box.inside)
    high = max(each.height for each in box.inside)
    most = max(1, int((most_width - 2 * pad + gap) / (wide + gap)))
    columns = most if not framed or _depth(box) > 2 else min(most, _columns(len(box.inside), wide + gap, high + gap))
    row = 0.0
    x, y = pad, pad + head
    for number, each in enumerate(box.inside):
        if number and number % columns == 0:
            x, y, row = pad, y + row + gap, 0.0
        each.x, each.y = x, y
        x += each.width + gap
        row = max(row, each.height)
        box.width = max(box.width, x - gap + pad)
    box.height = y + row + pad
    if _has_label(box):
        box.width = max(box.width, 7.0 * len(box.label) + 2 * pad)


def _has_label(box: _Box) -> bool:
    return bool(box.label) and (box.outermost or any(each.inside for each in box.inside))


def _depth(box: _Box) -> int:
    return 1 + _depth(box.inside[0]) if box.inside else 0


def _columns(count: int, wide: float, high: float) -> int:
    """Return how many columns make a grid somewhat wider than high with few empty places."""

    def ugliness(columns: int) -> float:
        rows = ceil(count / columns)
        return 3 * (columns * rows - count) / count + abs(log(columns * wide / (rows * high) / 1.6))

    return min(range(1, count + 1), key=ugliness)


def _drawn(box: _Box) -> list[str]:
    title = f"<title>{escape(box.title)}</title>"
    shape = f"<rect x='{box.x:g}' y='{box.y:g}' width='{box.width:g}' height='{box.height:g}'"
    if not box.inside:
        return [f"{shape} rx='1.5' fill='{box.colour}'>{title}</rect>"]
    parts = [f"{shape} rx='4' fill='none' stroke='{_LINE}'>{title}</rect>"]
    if _has_label(box):
        parts.append(_text(box.x + 6, box.y + 14, box.label, size=11, colour=_SOFT))
    for each in box.inside:
        each.x += box.x
        each.y += box.y
        parts += _drawn(each)
    return parts
