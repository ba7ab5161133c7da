"""Public holidays, from the library ``holidays``."""

from __future__ import annotations

from datetime import date
from importlib import import_module

from gpuyard.errors import ConfigError, unknown_name

__all__ = ["check_country", "public_holidays"]

_REST = (
    "they are ISO 3166 codes, and python -c 'import holidays; print(*holidays.list_supported_countries())' lists all"
)


def check_country(country: str) -> None:
    """Raise a ConfigError for a country whose holidays nobody knows."""
    known = sorted(import_module("holidays").list_supported_countries())
    if country.upper() in known and country not in known:
        raise ConfigError(f"holidays must be in capitals, got '{country}'; write holidays = \"{country.upper()}\"")
    if country not in known:
        raise unknown_name("country of holidays", country, known, _REST)


def public_holidays(country: str, first: date, last: date) -> frozenset[date]:
    """Return the public holidays of a country, such as ``KR``, in the years of these days.

    Raises
    ------
    ConfigError
        For a country whose holidays nobody knows, and years for which the calendar has none.
    """
    check_country(country)
    years = range(first.year, last.year + 1)
    found = frozenset(import_module("holidays").country_holidays(country, years=years))
    bare = [year for year in years if not any(day.year == year for day in found)]
    if bare:
        raise ConfigError(
            f"no holidays of {country} are known for {bare[0]}; leave out holidays, or choose another start"
        )
    return found
