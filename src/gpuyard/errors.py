"""Everything gpuyard raises on purpose.

GpuyardError            catch this one to catch them all
|-- InputError          a file the user gave is wrong: names file, row, column, value and remedy
|-- ConfigError         an option, name or scenario key is wrong: names it, the choices and the nearest
|-- PolicyError         a user's own policy decided what cannot be: names the time, the job and the value
`-- EngineError         the engine broke one of its own promises: a bug in gpuyard, please report it
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["ConfigError", "EngineError", "GpuyardError", "InputError", "PolicyError", "unknown_name"]


class GpuyardError(Exception):
    """Base of all errors that gpuyard raises on purpose."""


class ConfigError(GpuyardError):
    """An option, a name or a scenario key that cannot be used."""


class PolicyError(GpuyardError):
    """A user's own policy, or score, decided what cannot be; the message names the time, the job and the value."""


class EngineError(GpuyardError):
    """The engine broke its own promise; never the user's fault."""


class InputError(GpuyardError):
    """A file that cannot be used, with the place and the remedy.

    Parameters
    ----------
    message
        What is wrong, in one sentence.
    path, row, column, value
        Where: the file, the 1-based line of the file, the column's name, the offending value.
    remedy
        What the user can do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        self.message, self.path, self.row = message, path, row
        self.column, self.value, self.remedy = column, value, remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return ``file, row, column: message (got value); remedy``."""
        place = [str(self.path)] if self.path is not None else []
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column '{self.column}'")
        text = f"{', '.join(place)}: {self.message}" if place else self.message
        if self.value is not None:
            shown = repr(self.value)
            text += f" (got {shown if len(shown) <= 80 else shown[:77] + '...'})"
        return f"{text}; {self.remedy}" if self.remedy else text


MOST_CHOICES = 40
"""Names that a message lists; of more it shows some."""
SOME_CHOICES = 6


def unknown_name(kind: str, name: str, choices: Iterable[str], rest: str = "") -> ConfigError:
    """Return the error for a name nobody knows, with the choices and the nearest one.

    ``rest`` says where all of them are listed, where they are many.
    """
    known = sorted(choices)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    listed = ", ".join(known)
    if len(known) > MOST_CHOICES:
        some = difflib.get_close_matches(name, known, n=SOME_CHOICES, cutoff=0.0)
        listed = f"{len(known)} names such as {', '.join(sorted(some))}{f'; {rest}' if rest else ''}"
    choice = f"choose one of {listed}" if known else "there is none to choose, so leave it out"
    return ConfigError(f"unknown {kind} '{name}'; {hint}{choice}")
