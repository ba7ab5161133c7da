"""What comes with gpuyard as data: the phases of the site, and the hardware catalogue, as TOML with sources."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from gpuyard.errors import unknown_name

__all__ = ["load_preset", "preset_names", "preset_text"]


def preset_names() -> tuple[str, ...]:
    """Return the names of the sites that come with gpuyard, in alphabetical order."""
    entries = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in entries if name.startswith("phase-")))


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
