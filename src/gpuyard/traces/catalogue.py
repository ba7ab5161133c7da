"""Public traces by name: where each lies, pinned to a commit and a SHA-256, and fetching one of them."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gpuyard.errors import InputError, unknown_name

__all__ = ["HOST", "Entry", "entries", "entry", "fetch"]

HOST = "https://raw.githubusercontent.com"
"""Serves ``repository/commit/path`` of a public repository as a plain file."""
TIMEOUT = 30.0
"""Seconds without an answer, or without further bytes, after which a download is given up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One public file: what it is, who may use it, whom to cite, and the bytes it must have."""

    name: str
    kind: str
    """``jobs`` (a trace to replay), ``requests``, ``inventory``, ``topology`` or ``series``"""
    format: str
    """name of the reader that takes it, empty where none does"""
    description: str
    repository: str
    commit: str
    path: str
    bytes: int
    sha256: str
    licence: str
    citation: str

    @property
    def file(self) -> str:
        """Name of the file once fetched: the last part of its path."""
        return self.path.rsplit("/", 1)[-1]

    def url(self, base_url: str | None = None) -> str:
        """Return where the file lies, on GitHub or on a mirror laid out the same way."""
        place = quote(f"{self.repository}/{self.commit}/{self.path}")
        return f"{(base_url or HOST).rstrip('/')}/{place}"


@cache
def entries() -> tuple[Entry, ...]:
    """Return every trace the catalogue knows, in the order of ``catalogue.toml``."""
    text = (files("gpuyard") / "traces" / "catalogue.toml").read_text(encoding="utf-8")
    return tuple(Entry(name=name, **facts) for name, facts in tomllib.loads(text).items())


def entry(name: str) -> Entry:
    """Return the entry of that name, or raise the ConfigError that lists the choices."""
    for candidate in entries():
        if candidate.name == name:
            return candidate
    raise unknown_name("trace", name, [candidate.name for candidate in entries()])


def fetch(name: str, folder: str | Path, *, base_url: str | None = None, progress: bool = False) -> Path:
    """Download a trace into a folder and return its path; what is there already is checked and kept.

    The bytes go to a temporary name and get their own only once their SHA-256 is right.

    Parameters
    ----------
    base_url
        A mirror that serves ``repository/commit/path``; GitHub when left out.
    progress
        Draw a progress bar on standard error.

    Raises
    ------
    ConfigError
        For a name the catalogue does not know.
    InputError
        When the file cannot be fetched, when what arrives is not the file the catalogue knows, or
        when another file already has its name.  Nothing is left behind.
    """
    wanted = entry(name)
    target = Path(folder) / wanted.file
    if target.exists():
        return _checked(wanted, target)
    missing = _missing_folders(target.parent)
    try:
        _download(wanted, target, wanted.url(base_url), progress=progress)
    except BaseException:
        for created in missing:
            if created.is_dir() and not any(created.iterdir()):
                created.rmdir()
        raise
    return target


def _checked(wanted: Entry, target: Path) -> Path:
    """Return the file that is already there if it is the right one."""
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != wanted.sha256:
        raise InputError(
            f"another file already has the name of trace '{wanted.name}'",
            path=target,
            value=f"SHA-256 {digest}",
            remedy="move it away, or fetch into another folder",
        )
    return target


def _missing_folders(folder: Path) -> list[Path]:
    """Return the folders that a download would have to create, deepest first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _download(wanted: Entry, target: Path, url: str, *, progress: bool) -> None:
    """Fetch, check and rename; any failure becomes an InputError."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    bar = _Bar(wanted.name) if progress else None
    # The bytes as stored: without this, some servers compress them on the way.
    plain = {"Accept-Encoding": "identity"}
    downloader = pooch.HTTPDownloader(progressbar=bar or False, timeout=TIMEOUT, headers=plain)
    try:
        pooch.retrieve(url, f"sha256:{wanted.sha256}", fname=target.name, path=target.parent, downloader=downloader)
    except OSError as problem:
        raise _failure(wanted, target, url, problem) from None
    except ValueError:
        raise InputError(
            f"what arrived is not the file known as '{wanted.name}': its SHA-256 is not {wanted.sha256}",
            path=url,
            remedy="try again; if it stays so, the file there was changed and must not be trusted",
        ) from None
    finally:
        if bar is not None:
            bar.close()
        logger.setLevel(level)


def _failure(wanted: Entry, target: Path, url: str, problem: OSError) -> InputError:
    """Return the error for a server that refuses, a connection that fails, or a disk that does."""
    if not hasattr(problem, "request"):  # every error of the HTTP client has it
        return InputError(
            f"trace '{wanted.name}' cannot be saved: {problem.strerror or problem}",
            path=target,
            remedy="choose a folder that can be written to",
        )
    response = getattr(problem, "response", None)
    if response is not None:
        return InputError(
            f"trace '{wanted.name}' cannot be fetched: the server answers {response.status_code}",
            path=url,
            remedy="check the mirror's address, or try again later",
        )
    return InputError(
        f"trace '{wanted.name}' cannot be fetched: {type(problem).__name__}",
        path=url,
        remedy=f"check the connection; or download the file on another machine and save it as {target}",
    )


class _Bar:
    """A progress bar with the four methods that pooch calls, drawn by rich on standard error."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress: Any = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task(name, total=None)
        self._progress.start()

    @property
    def total(self) -> float | None:
        """Bytes expected, None while unknown."""
        total: float | None = self._progress.tasks[0].total
        return total

    @total.setter
    def total(self, size: int) -> None:
        self._progress.update(self._task, total=size or None)

    def update(self, size: int) -> None:
        """Count further bytes."""
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        """Start counting again."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()
