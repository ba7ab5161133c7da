"""What the command writes and where: data on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gpuyard.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "ReaderLeft",
    "Stage",
    "emit",
    "emit_json",
    "emit_rich",
    "emit_table",
    "interruptible",
    "note",
    "progress",
    "writable",
]

T = TypeVar("T")
HEARTBEAT_S = 30.0
"""Seconds between two lines on the progress of a run whose stderr is no terminal."""
_POLL_S = 0.05
_FILE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


class Stage(Protocol):
    """Told which stage of the work is on, and which share of it is done where that is known."""

    def __call__(self, stage: str, share: float | None = None, /) -> None:
        """Show it."""


class ReaderLeft(Exception):  # noqa: N818  # no error: whoever read stdout has seen enough
    """The other end of the pipe was closed, as ``| head`` does."""


def emit(text: str) -> None:
    """Write text and a line end to stdout; raise :class:`ReaderLeft` if nobody reads it any more."""
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderLeft from None


def emit_json(value: object) -> None:
    """Write one JSON value to stdout; what is not a finite number becomes null."""
    emit(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def emit_table(header: Sequence[str] | None, rows: Iterable[Sequence[object]]) -> None:
    """Write aligned columns to stdout; numbers to the right, text to the left, nothing cut off; no header for None.

    A file or a pipe gets one line a row; a terminal too narrow for that gets wrapped cells.
    """
    body = [list(row) for row in rows]
    shown = [[] if header is None else list(header), *[[_cell(value) for value in row] for row in body]]
    columns = range(max(map(len, shown)))
    widths = [max(len(line[column]) for line in shown if line) for column in columns]
    right = [bool(body) and all(isinstance(row[at], int | float) for row in body) for at in columns]
    if sys.stdout.isatty() and sum(widths) + 2 * len(widths) > shutil.get_terminal_size().columns:
        _emit_wrapped(shown, right)
        return
    lines = []
    for line in filter(None, shown):
        cells = zip(line, widths, right, strict=True)
        lines.append("  ".join(text.rjust(width) if far else text.ljust(width) for text, width, far in cells).rstrip())
    emit("\n".join(lines))


def _emit_wrapped(shown: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="", show_header=bool(shown[0]))
    for name, far in zip(shown[0] or [""] * len(right), right, strict=True):
        table.add_column(name, justify="right" if far else "left", overflow="fold")
    for line in shown[1:]:
        table.add_row(*map(Text, line))
    emit_rich(table)


def emit_rich(*pieces: RenderableType) -> None:
    """Write what rich draws to stdout, in colour on a terminal only."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _FILE_WIDTH
    console = Console(file=sys.stdout, highlight=False, width=width)
    with console.capture() as drawn:
        for piece in pieces:
            console.print(piece)
    emit("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def note(text: str) -> None:
    """Write a message for people to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def writable(path: Path) -> Path:
    """Return the path of a file to be written; raise if it is a folder, or its folder is missing."""
    if path.is_dir():
        raise InputError("this is a folder", path=path, remedy="name a file in it, such as report.html")
    if not path.parent.is_dir():
        raise InputError("there is no such folder", path=path.parent, remedy="create it first")
    return path


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """Return the value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    return str(value)


@contextmanager
def progress(*, wanted: bool) -> Iterator[Stage]:
    """Show on stderr the stage that is reached, and how much of it is done, while the block runs.

    A terminal gets a bar.  A file or a pipe gets a line for what takes long, at most one in half a minute, so
    that the log of a long run shows that it is alive and short ones stay silent.
    """
    if not wanted:
        yield lambda stage, share=None: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Heartbeat()


@contextmanager
def _bar() -> Iterator[Stage]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        reached = ""

        def show(stage: str, share: float | None = None) -> None:
            nonlocal reached
            if stage != reached:
                reached = stage
                bar.reset(task, description=stage, total=None)
            if share is not None:
                bar.update(task, total=1.0, completed=share)

        yield show


class _Heartbeat:
    """Writes the stage to stderr, not before half a minute and not more often."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, stage: str, share: float | None = None) -> None:
        if time.monotonic() - self._last >= HEARTBEAT_S:
            self._last = time.monotonic()
            note(f"gpuyard: {stage}" + ("" if share is None else f", {share:.0%}"))


def interruptible(act: Callable[[], T]) -> T:
    """Return what ``act`` returns, from a thread, so that Ctrl-C is heard while compiled code runs.

    Compiled code returns to Python only when it is done; the main thread waits here instead, free to
    receive the signal.  The thread is a daemon: after Ctrl-C the process leaves without waiting for it.
    """
    outcome: list[T] = []
    problem: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(act())
        except BaseException as error:  # handed to the main thread, whole
            problem.append(error)

    thread = threading.Thread(target=work, daemon=True, name="gpuyard-run")
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
    if problem:
        raise problem[0]
    return outcome[0]
