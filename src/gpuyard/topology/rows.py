"""CSV texts row by row, each with its line number, for lists of nodes and of links."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from gpuyard.errors import InputError

__all__ = ["Row", "csv_rows", "text_of"]

Row = tuple[int, dict[str, str]]

_OTHER_MARKS = {";": "semicolons", "\t": "tabs"}
"""What some programs write between cells in place of commas."""


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    InputError
        If it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the text is not UTF-8", path=path, remedy="save the file as UTF-8") from None
    except (OSError, ValueError) as problem:  # the latter for a path with a null character
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InputError(f"the file cannot be read: {reason}", path=path, remedy="check the path") from None


def csv_rows(text: str, path: str | Path | None) -> tuple[list[str], Iterator[Row]]:
    """Return the header of a CSV text, and its rows as (line number, cell by column); blank lines are passed over.

    Raises
    ------
    InputError
        For an empty text, columns that are not separated by commas, a column that appears twice, or (while the rows
        are read) a row of the wrong length.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as problem:
        raise InputError(f"this is not CSV: {problem}", path=path, row=1) from None
    if not any(header):
        raise InputError("the file has no header", path=path, row=1, remedy="name the columns in the first line")
    other = next((mark for mark in _OTHER_MARKS if len(header) == 1 and mark in header[0]), None)
    if other:
        raise InputError(
            f"the columns are separated by {_OTHER_MARKS[other]}", path=path, row=1, remedy="separate them by commas"
        )
    for column in header:
        if header.count(column) > 1:
            raise InputError("a column appears twice", path=path, row=1, column=column, remedy="remove one of them")
    return header, _body(reader, header, path)


def _body(reader: Iterator[list[str]], header: list[str], path: str | Path | None) -> Iterator[Row]:
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as problem:
            raise InputError(f"this is not CSV: {problem}", path=path, row=_line(reader)) from None
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            counted = f"{len(cells)} cells where the header has {len(header)}"
            raise InputError(
                counted, path=path, row=_line(reader), value=",".join(cells),
                remedy="give each row as many cells as the header",
            )  # fmt: skip
        yield _line(reader), {column: cell.strip() for column, cell in zip(header, cells, strict=True)}


def _line(reader: object) -> int:
    return int(getattr(reader, "line_num", 0))
