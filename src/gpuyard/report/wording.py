"""Numbers as people read them: few digits, a unit beside each, a dash where nothing is known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

from gpuyard.units import format_seconds, power_unit

__all__ = [
    "FORMS",
    "UNKNOWN",
    "clean",
    "finite",
    "format_change",
    "format_number",
    "format_value",
    "natural_key",
    "unbroken",
]

UNKNOWN: Final = "\N{EN DASH}"
"""What stands where a number is not known, or was not computed."""

_UNIT_GAP: Final = re.compile(r"(?<=\d) (?=%|[kMG]?Wh?\b|(?:tn|bn|m) KRW|KRW|s\b|years\b)|(?<=\d[dhm]) (?=\d)")
_STEPS_ENERGY: Final = ((1e6, "GWh"), (1e3, "MWh"), (1.0, "kWh"))
_STEPS_MASS: Final = ((1e6, "kt"), (1e3, "t"), (1.0, "kg"))
_STEPS_WON: Final = ((1e12, "tn KRW"), (1e9, "bn KRW"), (1e6, "m KRW"), (1.0, "KRW"))


def finite(value: object) -> float | None:
    """Return the number, or ``None`` for what is no number, not finite, or true or false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def format_number(value: float) -> str:
    """Return three significant digits, or all digits of a whole number: ``1,234``, ``12.3``, ``0.0123``."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 999.5 or float(value).is_integer():
        return f"{value:,.0f}"
    if size < 1e-4:
        return f"{value:.2e}"
    decimals = max(0, 2 - math.floor(math.log10(size) + 1e-12))
    return f"{value:,.{decimals}f}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    size, unit = next(((size, unit) for size, unit in steps if abs(value) >= size), steps[-1])
    return f"{format_number(value / size)} {unit}"


def _power(megawatts: float) -> str:
    size, unit = power_unit(1e6 * megawatts)
    return f"{format_number(1e6 * megawatts / size)} {unit}"


def _percent(value: float) -> str:
    percent = 100 * value
    if percent and abs(percent) < 0.1:
        return f"{percent:.2g} %"
    return f"{percent:.1f} %"


_YEAR: Final = 365.25 * 86_400
"""s"""


def _seconds(value: float) -> str:
    """Return a duration as :func:`format_seconds` does, from two years on in years."""
    if value < 0:
        return f"-{_seconds(-value)}"
    return f"{value / _YEAR:.1f} years" if value >= 2 * _YEAR else format_seconds(value)


FORMS: Final[Mapping[str, Callable[[float], str]]] = {
    "count": lambda value: f"{value:,.0f}",
    "number": format_number,
    "ratio": lambda value: f"{value:,.3f}",
    "share": _percent,
    "seconds": _seconds,
    "kwh": lambda value: _scaled(value, _STEPS_ENERGY),
    "mw": _power,
    "kg": lambda value: _scaled(value, _STEPS_MASS),
    "krw": lambda value: _scaled(value, _STEPS_WON),
    "gpu_hours": lambda value: f"{format_number(value)} GPU-h",
    "kwh_per_gpu_hour": lambda value: f"{format_number(value)} kWh",
}
"""How each kind of number is written; ``mw`` takes MW, ``kwh`` kWh, ``kg`` kg, ``share`` a fraction of one."""


def format_value(value: object, form: str) -> str:
    """Return the number in its form, or :data:`UNKNOWN`."""
    number = finite(value)
    return UNKNOWN if number is None else FORMS[form](number)


def format_change(value: float | None, form: str) -> str:
    """Return a difference with its sign: ``+3m 20s``, ``-1.2 points`` for a share, ``no change``."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "no change"
    sign = "+" if value > 0 else "-"
    if form == "share":
        return f"{sign}{format_number(abs(100 * value))} points"
    return sign + FORMS[form](abs(value))


def clean(text: object, limit: int = 60) -> str:
    """Return text out of a trace, safe for one line of a page or a terminal.

    Characters that do not print (line ends and the escape codes of terminals among them) become
    U+FFFD; text longer than ``limit`` is cut and ends with an ellipsis.
    """
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def unbroken(sentence: str) -> str:
    """Return a sentence in which a number and the unit after it stay on one line (no-break spaces)."""
    return _UNIT_GAP.sub("\N{NO-BREAK SPACE}", sentence)


def natural_key(name: str) -> tuple[float, str]:
    """Sort key for names that may begin with a number: ``1``, ``2-4``, ``8``, ``16+``, then words."""
    digits = ""
    for letter in name.lstrip("<>= "):
        if not letter.isascii() or not letter.isdigit():
            break
        digits += letter
    return (float(digits) if digits else math.inf, name)
