"""Request traces: when requests came, read from the public formats and from a plain table of counts.

CSV with a header, recognised by its columns, or JSON lines:

- ``TIMESTAMP``: the LLM inference traces of Azure (Patel et al., "Splitwise", ISCA 2024), a line a request;
- ``gmt_create``: Alibaba's GenAI request trace (2026), a line a request;
- ``time,requests``: a table of counts, the second at which an interval begins and how many requests came in it; all
  intervals are equally long;
- JSON lines with ``timestamp``, in milliseconds: Mooncake (Qin et al., FAST 2025), a line a request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import InputError
from gpuyard.services.demand import Recording
from gpuyard.traces.cells import Cells, header_names, read_separated
from gpuyard.traces.source import head, read_bytes

__all__ = ["Requests", "read_requests"]

_INSTANTS = ("TIMESTAMP", "gmt_create")
_COUNTS = ("time", "requests")
_FORMATS = "a CSV with a column TIMESTAMP or gmt_create, or with time,requests; or JSON lines with timestamp"


class Requests(NamedTuple):
    """The requests of a file: how many, over how many seconds, in which shape, and the file's SHA-256."""

    number: int
    seconds: float
    recording: Recording
    sha256: str


def read_requests(path: str | Path, step: float, sha256: str | None = None) -> Requests:
    """Return the requests of a trace, their rates in steps of ``step`` seconds (or in those of a table of counts).

    Parameters
    ----------
    sha256
        What the file must have, where it is given.

    Raises
    ------
    InputError
        For a file that cannot be read or is none of the formats, and for a row that cannot be used.
    """
    place = Path(path)
    first = head(place)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    if sha256 is not None and digest != sha256:
        raise InputError("this is another request trace than the one meant", path=place, column="sha256", value=digest,
                         remedy=f"bring back the file of SHA-256 {sha256}, or drop the key")  # fmt: skip
    if first.lstrip().startswith(b"{"):
        return _of_arrivals(place, _milliseconds(place) / 1000.0, step, digest)
    names = header_names(first)
    for name in _INSTANTS:
        if name in names:
            return _of_arrivals(place, _instants(read_separated(place, required=[name]), name), step, digest)
    if not set(_COUNTS) <= set(names):
        raise InputError("this is no request trace", path=place, value=",".join(names), remedy=f"it must be {_FORMATS}")
    return _of_counts(place, read_separated(place, required=_COUNTS), digest)


def _of_arrivals(path: Path, arrivals: NDArray[np.float64], step: float, digest: str) -> Requests:
    if arrivals.size < 2 or not np.ptp(arrivals) > 0:
        raise InputError("a request trace needs requests at two times at least", path=path, remedy="take a longer one")
    since = np.sort(arrivals) - arrivals.min()
    length = float(since[-1])
    steps = max(int(length // step), 1)
    width = min(step, length)
    counts = np.bincount(np.minimum(since // width, steps).astype(np.int64), minlength=steps)[:steps]
    return Requests(int(arrivals.size), length, _shape(path, counts.astype(np.float64), width), digest)


def _of_counts(path: Path, cells: Cells, digest: str) -> Requests:
    begins, counts = (_numbers(cells, name) for name in _COUNTS)
    widths = np.diff(begins)
    if begins.size < 2:
        raise InputError("a table of requests needs two rows at least", path=path, remedy="add rows")
    uneven = np.flatnonzero(~((widths > 0) & np.isclose(widths, widths[0], rtol=1e-6)))
    if uneven.size:
        at = int(uneven[0]) + 1
        raise InputError(
            "the intervals are not equally long and ascending", path=path, row=int(cells.rows[at]), column="time",
            value=float(begins[at]), remedy=f"write a row every {widths[0]:g} s, 0 where no requests came",
        )  # fmt: skip
    recording = _shape(path, counts, float(widths[0]))
    return Requests(round(float(counts.sum())), float(widths[0] * counts.size), recording, digest)


def _shape(path: Path, counts: NDArray[np.float64], step: float) -> Recording:
    if not counts.sum() > 0:
        raise InputError("the trace holds no requests", path=path, column="requests", remedy="take another")
    return Recording(step=step, shape=tuple(float(f"{each:.6g}") for each in (counts / counts.mean()).tolist()))


def _refuse_rejected(cells: Cells) -> None:
    if cells.rejected:
        first = cells.rejected[0]
        raise InputError(first.reason, path=cells.path, row=first.row, column=first.column or None, value=first.value,
                         remedy="correct or drop the row")  # fmt: skip


def _numbers(cells: Cells, name: str) -> NDArray[np.float64]:
    _refuse_rejected(cells)
    values = np.empty(len(cells), dtype=np.float64)
    for at, text in enumerate(cells.columns[name].to_pylist()):
        try:
            values[at] = float(text)
        except ValueError:
            values[at] = np.nan
        if not (np.isfinite(values[at]) and (values[at] >= 0 or name != "requests")):
            raise InputError("this is no number of 0 or more" if name == "requests" else "this is no number of seconds",
                             path=cells.path, row=int(cells.rows[at]), column=name, value=text,
                             remedy="correct or drop the row")  # fmt: skip
    return values


def _instants(cells: Cells, name: str) -> NDArray[np.float64]:
    """Return seconds since the first day of the instants in a column; one that states an offset is taken by it."""
    _refuse_rejected(cells)
    values = np.empty(len(cells), dtype=np.float64)
    base: datetime | None = None
    for at, text in enumerate(cells.columns[name].to_pylist()):
        try:
            moment = datetime.fromisoformat(text)
            base = base or moment.replace(hour=0, minute=0, second=0, microsecond=0)
            values[at] = (moment - base).total_seconds()
        except (ValueError, TypeError):
            raise InputError("this is no instant", path=cells.path, row=int(cells.rows[at]), column=name, value=text,
                             remedy="write it like 2023-11-16 18:17:03") from None  # fmt: skip
    return values


def _milliseconds(path: Path) -> NDArray[np.float64]:
    return np.array(list(_stamps(path)), dtype=np.float64)


def _stamps(path: Path) -> Iterator[float]:
    for row, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value: Any = json.loads(line)["timestamp"]
        except (ValueError, TypeError, KeyError):
            raise InputError("this line has no timestamp", path=path, row=row, column="timestamp", value=line,
                             remedy="write one JSON object a line") from None  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise InputError("this is no number of milliseconds", path=path, row=row, column="timestamp", value=value,
                             remedy="correct or drop the line")  # fmt: skip
        yield float(value)
