"""Reads the values of a workload's table, and says which is of the wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuyard.errors import ConfigError

__all__ = ["read_number", "read_table", "read_weights", "read_whole"]


def read_number(key: str, value: object) -> float:
    """Return a number, or raise a ConfigError that names the key and the value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} must be a number, got {value!r}")
    return value


def read_whole(key: str, value: object) -> int:
    """Return a whole number, or raise a ConfigError that names the key and the value."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{key} must be a whole number, got {value!r}")
    return value


def read_table(key: str, value: object) -> Mapping[str, Any]:
    """Return a table, or raise a ConfigError that names the key and the value."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} must be a table, got {value!r}")
    return value


def read_weights(key: str, value: object) -> dict[str, float]:
    """Return a table of name to number, or raise a ConfigError that names the key and the value."""
    return {
        name: read_number(f"weight of '{name}' in {key}", weight) for name, weight in read_table(key, value).items()
    }
