"""What a user changes of a kind of job: a table whose keys are taken one by one, and must be known in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gpuyard.errors import unknown_name
from gpuyard.synthesis.reading import read_table

__all__ = ["Changes"]

T = TypeVar("T")


class Changes:
    """A table of changes; ``where`` names it in errors, such as "kind 'pretrain' of class 'training'"."""

    def __init__(self, where: str, table: object) -> None:
        self.where = where
        self._given = {str(key): value for key, value in read_table(where, table).items()}
        self.known: set[str] = set()
        """Keys that were asked for so far."""

    def take(self, key: str, reader: Callable[[str, object], T], default: T) -> T:
        """Return what is given for a key, read and checked by ``reader``, or the default."""
        self.known.add(key)
        return reader(f"{key} of {self.where}", self._given[key]) if key in self._given else default

    def inner(self, key: str, where: str) -> Changes:
        """Return the table under a key, without entries if it is not given."""
        self.known.add(key)
        return Changes(where, self._given.get(key, {}))

    def rest(self, *but: str) -> dict[str, object]:
        """Return the entries that were not asked for so far, but for these keys; they count as asked for."""
        left = {key: value for key, value in self._given.items() if key not in self.known and key not in but}
        self.known.update(left)
        return left

    def finish(self) -> None:
        """Raise ConfigError for a key that nobody took, naming the nearest."""
        for key in self._given:
            if key not in self.known:
                raise unknown_name(f"key of {self.where}", key, self.known)
