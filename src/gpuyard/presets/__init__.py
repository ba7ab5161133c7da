"""What comes with gpuyard as data, as TOML with sources: the site in its phases and while built, hardware, tenants."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from gpuyard.errors import unknown_name

__all__ = ["load_preset", "load_tenants", "phase_names", "preset_names", "preset_text"]


def phase_names() -> tuple[str, ...]:
    """Return the names of the phases of the site, in alphabetical order."""
    entries = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in entries if name.startswith("phase-")))


def preset_names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with gpuyard: the phases, then the build-out from one to the next."""
    return (*phase_names(), "build-out")


def preset_text(name: str) -> str:
    """Return the TOML text of a preset.

    Raises
    ------
    ConfigError
        If there is none of that name; the message lists the names.
    """
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    return files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def load_preset(name: str) -> dict[str, Any]:
    """Return a preset's sections: site, cluster, energy, workload, policy."""
    return tomllib.loads(preset_text(name))


def load_tenants(name: str) -> dict[str, dict[str, Any]]:
    """Return a set of tenants, name to table.

    Raises
    ------
    ConfigError
        If there is none of that name; the message lists the names.
    """
    entries = (entry.name for entry in files(__name__).iterdir())
    known = tuple(
        sorted(
            entry.removeprefix("tenants-").removesuffix(".toml") for entry in entries if entry.startswith("tenants-")
        )
    )
    if name not in known:
        raise unknown_name("set of tenants", name, known)
    text = files(__name__).joinpath(f"tenants-{name}.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["tenants"])
