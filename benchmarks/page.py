"""Targets and tables as Markdown, and the machine they were measured on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

__all__ = ["Section", "Target", "into", "machine", "markdown"]

_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that must not take more than a limit."""

    what: str
    measured: float
    limit: float
    unit: str = "x"
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the measured value is within the limit."""
        return self.measured <= self.limit


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table with a title, and the targets that were measured on the way."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    targets: Sequence[Target] = ()


def markdown(sections: Iterable[Section]) -> str:
    """Return the machine, the table of all targets, then every section."""
    sections = list(sections)
    rows = [
        (each.what, _value(each.limit, each.unit), _value(each.measured, each.unit), each.detail, _verdict(each))
        for section in sections
        for each in section.targets
    ]
    overview = Section(title="Targets", header=("", "at most", "measured", "from", "met"), rows=rows, note=machine())
    return "\n".join(_lines(each) for each in (overview, *sections))


def _lines(section: Section) -> str:
    lines = [f"### {section.title}"]
    if section.note:
        lines += [section.note, ""]
    lines += [_row(section.header), _row(["---", *["--:"] * (len(section.header) - 1)])]
    return "\n".join([*lines, *map(_row, section.rows), ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f} x"
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"


def _verdict(target: Target) -> str:
    return "yes" if target.met else "**no**"


def machine() -> str:
    """Return when, on what and with which versions, in a sentence."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "pyarrow"))
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"Measured on {day}: {_cpu_model()}, {os.cpu_count()} cores shared with other programs; "
        f"{platform.system()}, Python {platform.python_version()}, {packages}."
    )


def _cpu_model() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def into(page: Path, text: str) -> None:
    """Put the text between the two marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{page} has no {_BEGIN} ... {_END}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
