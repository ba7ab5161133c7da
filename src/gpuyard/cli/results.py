"""``gpuyard compare`` and ``gpuyard report``: finished runs, side by side and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpuyard.cli.options import JsonOption
from gpuyard.cli.terminal import emit, emit_json, emit_rich, emit_table, note, writable

__all__ = ["compare", "report"]


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run: what to compare with.")],
    others: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of further runs.")],
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also write an HTML page.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every number that differs, not only the headlines.")] = False,
    json: JsonOption = False,
) -> None:
    """Put the numbers of two or more runs side by side; differences are to the first.

    Of three or more, the last tables have a column for each run: the numbers of all jobs, and those of each class.
    """
    from gpuyard.report import compare_all, comparison_table, several_tables, write_comparison, write_several
    from gpuyard.result import Result

    folders = [first, *others]
    results = [Result.load(folder) for folder in folders]
    names = _names(folders)
    comparisons = compare_all(results, names)
    if output is not None and len(results) == 2:
        write_comparison(results[0], results[1], writable(output), names=(names[0], names[1]))
    elif output is not None:
        write_several(results, writable(output), names=names)
    if json:
        emit_json([comparison.to_dict() for comparison in comparisons])
        return
    for comparison in comparisons:
        for warning in comparison.warnings:
            note(f"gpuyard: {comparison.names[1]}: {warning}")
        emit_rich(comparison_table(comparison, every=every))
        if comparison.identical:
            emit(f"{comparison.names[0]} and {comparison.names[1]}: schedules identical")
        if comparison.settings:
            emit_table(("setting", *comparison.names), comparison.settings)
    if len(results) > 2:
        emit_rich(*several_tables(results, names))


def _names(folders: list[Path]) -> list[str]:
    """Return the folders' own names, or their whole paths if two are the same."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


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

    result = Result.load(folder)
    target = writable(output) if output is not None else folder / "report.html"
    emit(str(write_report(result, target, title=title)))
