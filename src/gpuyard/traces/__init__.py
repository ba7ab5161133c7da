"""Readers of public trace formats: each turns a file into the one job table of :mod:`gpuyard.traces.schema`.

A reader is a module with ``NAME``, ``DESCRIPTION``, ``recognises(head, path)`` and ``read(path, options)``.
Modules are imported when a format is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from gpuyard.errors import InputError, unknown_name
from gpuyard.traces.source import ReadOptions, head

if TYPE_CHECKING:
    from gpuyard.traces.trace import Trace

__all__ = ["FORMATS", "ReadOptions", "Reader", "read", "recognise"]


class Reader(Protocol):
    """What a reader module offers."""

    NAME: str
    """What users call the format."""
    DESCRIPTION: str
    """The format in one line."""

    def recognises(self, head: bytes, path: Path) -> bool:
        """Return whether the first bytes, unpacked, look like this format."""

    def read(self, path: Path, options: ReadOptions) -> Trace:
        """Return the trace in the file."""


class _Formats(Mapping[str, Reader]):
    """The reader modules by name, in the order they are asked whether they recognise a file."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Reader:
        if name not in self._names:
            raise KeyError(name)
        return cast(Reader, importlib.import_module(f"{__name__}.{name}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


FORMATS: Mapping[str, Reader] = _Formats(
    (
        "native",
        "philly",
        "helios",
        "acme",
        "openb",
        "tiresias",
        "curie",
        "supercloud",
        "sacct",
        "pai",
        "swf",
    )
)
"""Reader modules by format name; a module is imported when it is first asked for."""


def recognise(path: str | Path) -> str:
    """Return the name of the file's format, told from its content.

    Raises
    ------
    InputError
        When the file cannot be read or no reader knows it; lists the formats.
    """
    path = Path(path)
    first = head(path)
    for name, reader in FORMATS.items():
        if reader.recognises(first, path):
            return name
    raise InputError(
        "no known trace format matches this file",
        path=path,
        value=first[:60].decode("utf-8", "replace"),
        remedy=f"{_nearly_native(first)}name it with --format, one of {', '.join(FORMATS)}",
    )


def _nearly_native(first: bytes) -> str:
    """Return what keeps a file from being a job table of our own, where it looks like one."""
    from gpuyard.traces.cells import header_names
    from gpuyard.traces.native import KINDS, REQUIRED

    names = set(header_names(first))
    if not {"job_id", "submit_time"} <= names:
        return ""
    strange, missing = sorted(names - set(KINDS)), sorted(set(REQUIRED) - names)
    said = [f"drop or rename {', '.join(strange)}"] if strange else []
    said += [f"add {', '.join(missing)}"] if missing else []
    return f"to be gpuyard's own format, {' and '.join(said)}; or "


def read(path: str | Path, *, format: str | None = None, options: ReadOptions | None = None) -> Trace:
    """Return the trace in a file, plain or gzip.

    Parameters
    ----------
    path
        The file.
    format
        One of :data:`FORMATS`; recognised from the content when not given.
    options
        What the file does not say: the GPUs of a processor, the time zone.

    Raises
    ------
    ConfigError
        For a format nobody knows, or an option that cannot be used.
    InputError
        For a file that cannot be used at all.  A row that cannot be used is in ``Trace.rejected``.
    """
    name = recognise(path) if format is None else format
    if name not in FORMATS:
        raise unknown_name("trace format", name, FORMATS)
    return FORMATS[name].read(Path(path), options or ReadOptions())
