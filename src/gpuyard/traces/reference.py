"""The tables of ``docs/traces.md`` in Markdown: the job table, the formats with their decisions, the public traces."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from gpuyard.traces import FORMATS
from gpuyard.traces.catalogue import entries
from gpuyard.traces.schema import COLUMNS

__all__ = ["catalogue_table", "columns_table", "formats_text"]

_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def columns_table() -> str:
    """Return the columns of the job table."""
    rows = [f"| `{c.name}` | {c.dtype} | {c.unit} | {_cell(c.meaning)} | {_cell(c.null)} |\n" for c in COLUMNS]
    return "| column | type | unit | meaning | null means |\n|---|---|---|---|---|\n" + "".join(rows)


def formats_text() -> str:
    """Return a section a format: what it is, and what its reader decided, as the reader itself says it."""
    parts = []
    for name, reader in FORMATS.items():
        text = textwrap.dedent(reader.__doc__ or "").strip()
        parts.append(f"### {name}\n*{reader.DESCRIPTION}*\n\n{markdown(text)}\n")
    return "\n".join(parts)


def catalogue_table() -> str:
    """Return the public traces that can be fetched."""
    rows = [
        f"| `{item.name}` | {item.kind} | {f'`{item.format}`' if item.format else '-'} | {item.bytes / 1e6:.3f} | "
        f"{_cell(item.description)} | {_cell(item.licence)} |\n"
        for item in entries()
    ]
    return "| name | kind | format | MB | what | licence |\n|---|---|---|---|---|---|\n" + "".join(rows)


def markdown(text: str) -> str:
    """Return a docstring as Markdown: code in single quotes, roles as code, ruled tables as tables."""
    plain = _ROLE.sub(r"`\1`", text).replace("``", "`")
    return "\n".join(_blocks(plain.splitlines()))


def _blocks(lines: list[str]) -> Iterator[str]:
    """Yield the lines, each ruled table of two columns in between as a Markdown table."""
    rules = [at for at, line in enumerate(lines) if re.fullmatch(r"=+  +=+", line.strip())]
    if len(rules) < 3:
        yield from lines
        return
    first, middle, last = rules[:3]
    yield from lines[:first]
    border = lines[first].index("  ")
    header = _row(lines[first + 1], border)
    yield f"| {header[0]} | {header[1]} |"
    yield "|---|---|"
    rows: list[list[str]] = []
    for line in lines[middle + 1 : last]:
        left, right = _row(line, border)
        if rows and (not left or not right):  # goes on from the line above
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], (left, right), strict=True)]
        else:
            rows.append([left, right])
    yield from (f"| {_cell(left)} | {_cell(right)} |" for left, right in rows)
    yield from lines[last + 1 :]


def _row(line: str, border: int) -> list[str]:
    return [line[:border].strip(), line[border:].strip()]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
