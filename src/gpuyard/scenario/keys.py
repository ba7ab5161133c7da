"""What keys of a scenario hold: times, windows, names, each checked when it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gpuyard.errors import ConfigError
from gpuyard.units import MOST_PUE, nearest_scale, parse_instant, parse_seconds, parse_window

__all__ = [
    "End",
    "Instant",
    "Interval",
    "Items",
    "Moment",
    "Names",
    "Pue",
    "Seconds",
    "Section",
    "Since",
    "Weights",
    "Window",
    "WindowPair",
]

_DATES = "a date or timestamp such as 2028-03-01 or 2028-03-01T09:00:00+09:00"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _seconds(value: Any) -> float:
    return _read(value, parse_seconds)


def _read(value: Any, read: Callable[[str | float], float]) -> float:
    if not isinstance(value, str | int | float):
        other = ", and no date" if isinstance(value, date) else ""
        raise ValueError(f"a time is a number of seconds or a text such as 90s, 15m, 3h, 7d{other}")  # noqa: TRY004
    try:
        return read(value)
    except ConfigError as problem:
        raise ValueError(str(problem)) from None


def _since(value: Any) -> float:
    """Return seconds since the origin, of an instant before it below 0: ``-90``, ``"-15m"``."""
    return _read(value, parse_instant)


def _weights(value: Any) -> Any:
    if isinstance(value, dict) and "max_age" in value:
        return value | {"max_age": _seconds(value["max_age"])}
    return value


def _interval(value: Any) -> float | str:
    return "none" if value == "none" else _seconds(value)


def _end(value: Any) -> float:
    return value if value == float("inf") else _since(value)


def _window(value: str) -> str:
    try:
        parse_window(value)
    except ConfigError as problem:
        raise ValueError(str(problem)) from None
    return value


def _pair(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_window(value)
        except ConfigError as problem:
            raise ValueError(str(problem)) from None
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("a window is two times, such as '1d..8d' or ['1d', '8d']")
    return tuple(value)


def _pue(value: float | list[float]) -> float | list[float]:
    for month in value if isinstance(value, list) else [value]:
        if month > MOST_PUE:
            hint = nearest_scale(month, 1.0, MOST_PUE)
            raise ValueError(
                f"a PUE is facility power over IT power, 1 to {MOST_PUE:g}, and {month:g} is above that; "
                f"{hint}write 1.13 for 13 % of cooling and losses"
            )
    return value


def _moment(value: Any) -> Any:
    """Return a date or timestamp of TOML as its text."""
    if not isinstance(value, str | date):
        raise ValueError("an instant of the calendar is like 2027-01-04T00:00:00+09:00")  # noqa: TRY004
    return value.isoformat() if isinstance(value, date) else value


def _instant(value: Any) -> Any:
    """Return seconds since the origin, or the text of a date or timestamp."""
    value = _moment(value) if isinstance(value, date) else value
    if isinstance(value, str) and _DATE.match(value):
        try:
            datetime.fromisoformat(value)
        except ValueError as problem:
            raise ValueError(f"there is no such date, {problem}; write {_DATES}") from None
        return value
    try:
        return _since(value)
    except ValueError as problem:
        raise ValueError(f"{problem}, or {_DATES}") from None


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _items(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(json_schema_extra={"type": ["number", "string"]})]
"""Seconds, or a text such as ``15m``."""
Since = Annotated[float, BeforeValidator(_since), Field(json_schema_extra={"type": ["number", "string"]})]
"""Seconds since the origin, below 0 before it, or a text such as ``90d`` or ``-1h``."""
End = Annotated[float, BeforeValidator(_end), Field(json_schema_extra={"type": ["number", "string"]})]
"""The same, or infinity: a window that is left open."""
Window = Annotated[str, AfterValidator(_window)]
Interval = Annotated[float | str, BeforeValidator(_interval), Field(json_schema_extra={"type": ["number", "string"]})]
"""The same, or the word none."""
Weights = Annotated[
    dict[str, float],
    BeforeValidator(_weights),
    Field(json_schema_extra={"additionalProperties": {"type": ["number", "string"]}}),
]
"""Weights by name, of which ``max_age`` is a time."""
Moment = Annotated[str, BeforeValidator(_moment)]
"""A date or timestamp, as text or as TOML has it."""
Instant = Annotated[float | str, BeforeValidator(_instant), Field(json_schema_extra={"type": ["number", "string"]})]
"""Seconds since the origin, below 0 before it, a text such as ``90d`` or ``-1h``, or a date or timestamp."""
Names = Annotated[list[str], BeforeValidator(_names)]
Items = Annotated[list[int | str], BeforeValidator(_items)]
"""Nodes by number, range, name or domain: one or several."""
Pue = Annotated[float | list[float], AfterValidator(_pue)]
WindowPair = Annotated[tuple[Since, End], BeforeValidator(_pair)]
"""From when to when."""


class Section(BaseModel):
    """A table whose keys are all known; frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
