"""``gpuyard compare`` and ``gpuyard report``: finished runs, side by side and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpuyard.cli.options import JsonOption
from gpuyard.cli.terminal import emit, emit_json, note
from gpuyard.errors import InputError

__all__ = ["compare", "report"]


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run: what to compare with.")],
    others: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of further runs.")],
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also write the comparison as an HTML page.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Put the numbers of two or more runs side by side, with the differences."""
    raise NotImplementedError


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where; else report.html in that folder.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="What stands at the head.")] = None,
) -> None:
    """Write the report of a run as one HTML file that opens without a network."""
    from gpuyard.report.html import write_report
    from gpuyard.result import Result

    target = output if output is not None else folder / "report.html"
    if not target.parent.is_dir():
        raise InputError("there is no such folder", path=target.parent, remedy="create it first")
    emit(str(write_report(Result.load(folder), target, title=title)))
