"""What a site draws and pays: the figures behind the energy account, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuyard.energy.calendar import Monthly
from gpuyard.errors import ConfigError, unknown_name
from gpuyard.workload import Workload

__all__ = ["CLASS_LOADS", "FIGURES", "LOAD_SOURCES", "ClassLoad", "EnergyModel", "job_load", "reference"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassLoad:
    """How hard jobs of one class drive their GPUs.

    ``load`` is the share of the dynamic range, from idle to full load.  ``tdp_share`` is the range the
    source states, as shares of the thermal design power; ``load`` is its middle, with 15 % of the
    thermal design power drawn when idle (A100: 60 W of 400 W, measured in the Acme trace, NSDI 2024).
    """

    load: float
    tdp_share: tuple[float, float]
    meaning: str
    standing: str
    """R read in a source, C computed from public data, M assumption"""


def _of(low: float, high: float, meaning: str, standing: str = "M") -> ClassLoad:
    idle = 0.15
    load = round(((low + high) / 2 - idle) / (1 - idle), 2)
    return ClassLoad(load=load, tdp_share=(low, high), meaning=meaning, standing=standing)


_PRETRAIN = _of(0.75, 0.85, "LLM pre-training, averaged over compute and communication phases")
_TUNE = _of(0.6, 0.8, "fine-tuning")
_DECODE = _of(0.4, 0.6, "LLM serving, token generation")
_MD = _of(0.6, 0.8, "molecular dynamics")
_DFT = _of(0.5, 0.7, "density functional theory")
_DOCKING = _of(0.5, 0.7, "docking and virtual screening")
_FOLDING = _of(0.6, 0.8, "protein structure prediction")
_IDLE = _of(0.15, 0.25, "interactive or debugging: GPUs held, mostly idle")

_DISCOVERY = _of(0.5, 0.8, "drug discovery: docking, molecular dynamics and structure prediction")
_BATTERY = _of(0.5, 0.8, "battery materials: density functional theory and molecular dynamics")
_MANUFACTURING = _of(0.4, 0.6, "manufacturing AI: inspection and forecasting, mostly inference")

CLASS_LOADS: Final[Mapping[str, ClassLoad]] = MappingProxyType(
    {
        "battery": _BATTERY,
        "debug": _IDLE,
        "development": _IDLE,
        "dft": _DFT,
        "docking": _DOCKING,
        "drug-discovery": _DISCOVERY,
        "evaluation": _DECODE,
        "finetune": _TUNE,
        "fine-tuning": _TUNE,
        "folding": _FOLDING,
        "inference": _DECODE,
        "interactive": _IDLE,
        "manufacturing": _MANUFACTURING,
        "md": _MD,
        "notebook": _IDLE,
        "prefill": _of(0.8, 0.95, "LLM serving, prompt processing"),
        "pretrain": _PRETRAIN,
        "pretraining": _PRETRAIN,
        "realtime": _DECODE,
        "serving": _DECODE,
        "sft": _TUNE,
        "training": _PRETRAIN,
    }
)
"""Defaults by job class; names are compared in lower case.  All are assumptions, see ``docs/energy.md``."""

FIGURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "default_load": "C: GPUs above idle draw 213 W (Seren) and 246 W (Kalos) of 400 W on average, that is 0.45 and "
        "0.55 of the dynamic range; from the power distributions of the Acme trace (NSDI 2024), with 30 % of GPUs idle",
        "pue": "C: annual mean of a direct-liquid-cooled design in the climate of Pohang; an assumption until measured",
        "carbon_kg_per_kwh": "R: Korean grid, consumption end, 2023, as published in December 2025",
        "price_krw_per_kwh": "C: flat load on KEPCO industrial tariff B-II from April 2026, demand charge and adders "
        "included, without VAT",
        "switch_w": "R: 250 W a switch, as in the configurations of ExaDigiT RAPS",
    }
)
"""Where the other defaults come from, and their standing: R read, C computed, M assumption."""

LOAD_SOURCES: Final = ("activity", "class", "default")
"""Where a job's load comes from: its own column, its class, or neither."""

_NO_CLASS: Final = "other"
"""What a job of no stated class counts as."""
_SWITCH_W: Final = 250.0


@dataclass(frozen=True, kw_only=True)
class EnergyModel:
    """Power, cooling, carbon and price of a site.

    Parameters
    ----------
    class_load
        Share (0 to 1) of the dynamic range of its GPUs that a job of a class drives, by class;
        adds to and overrides :data:`CLASS_LOADS`.  The column ``activity`` of a job goes first.
    default_load
        The same for a job whose class is not known.
    pue
        Facility power over IT power: one value, or twelve from January to December.
    carbon_kg_per_kwh, price_krw_per_kwh
        Of a kWh at the meter: one value, or twelve.
    switch_w, other_it_w
        One network switch; storage and management of the whole site, W.  ``None``: the cluster's
        facts ``switch_w`` and ``other_it_w``, else 250 and 0.

    Raises
    ------
    ConfigError
        For a figure out of its range, or monthly values that are not twelve.
    """

    class_load: Mapping[str, float] = field(default_factory=dict)
    default_load: float = 0.5
    pue: Monthly = 1.13
    carbon_kg_per_kwh: Monthly = 0.4173
    price_krw_per_kwh: Monthly = 180.0
    switch_w: float | None = None
    other_it_w: float | None = None

    def __post_init__(self) -> None:
        for name, load in {**self.class_load, "": self.default_load}.items():
            if not isinstance(name, str):
                raise ConfigError(f"class_load takes the names of classes, got {name!r}")
            what = f"class_load of '{name}'" if name else "default_load"
            _check(what, load, low=0.0, high=1.0)
        for name, low in (("pue", 1.0), ("carbon_kg_per_kwh", 0.0), ("price_krw_per_kwh", None)):
            value = getattr(self, name)
            if isinstance(value, list | tuple) and len(value) != 12:
                raise ConfigError(f"{name} takes one value or twelve, January to December; got {len(value)}")
            for month in value if isinstance(value, list | tuple) else (value,):
                _check(name, month, low=low)
            if isinstance(value, list | tuple):
                object.__setattr__(self, name, tuple(float(month) for month in value))
        for name in ("switch_w", "other_it_w"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), low=0.0)

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> EnergyModel:
        """Return the model that the section ``[energy]`` of a scenario describes.

        Raises
        ------
        ConfigError
            For a key that does not exist (the message names the nearest), or a value that cannot be.
        """
        known = {each.name for each in fields(cls)}
        for key in values:
            if key not in known:
                raise unknown_name("energy key", key, known)
        loads = values.get("class_load", {})
        if not isinstance(loads, Mapping):
            raise ConfigError(f"class_load is a table of classes and loads, got {loads!r}")
        return cls(**dict(values))  # type: ignore[arg-type]  # checked by __post_init__

    def to_mapping(self) -> dict[str, object]:
        """Return the model with its class loads resolved; :meth:`from_mapping` reads it back."""
        optional = {"switch_w": self.switch_w, "other_it_w": self.other_it_w}
        return {
            "default_load": self.default_load,
            "pue": _plain(self.pue),
            "carbon_kg_per_kwh": _plain(self.carbon_kg_per_kwh),
            "price_krw_per_kwh": _plain(self.price_krw_per_kwh),
            **{name: value for name, value in optional.items() if value is not None},
            "class_load": dict(sorted(self.loads().items())),
        }

    def loads(self) -> dict[str, float]:
        """Return the load of each class, in lower case: the defaults with ``class_load`` on top."""
        given = {name.lower(): float(load) for name, load in self.class_load.items()}
        return {name: each.load for name, each in CLASS_LOADS.items()} | given

    def switches_w(self, facts: Mapping[str, object]) -> float:
        """Return the draw of all network switches of a cluster with these facts, W."""
        each = self.switch_w if self.switch_w is not None else _fact(facts, "switch_w", _SWITCH_W)
        return _fact(facts, "switches", 0.0) * each

    def others_w(self, facts: Mapping[str, object]) -> float:
        """Return the draw of storage and management of a cluster with these facts, W."""
        return self.other_it_w if self.other_it_w is not None else _fact(facts, "other_it_w", 0.0)


def reference() -> tuple[str, str]:
    """Return the rows of the two tables in ``docs/energy.md``: class loads, and the other figures."""
    groups: dict[ClassLoad, list[str]] = {}
    for name, each in CLASS_LOADS.items():
        groups.setdefault(each, []).append(f"`{name}`")
    loads = [
        f"| {', '.join(names)} | {each.tdp_share[0]:g}-{each.tdp_share[1]:g} | {each.load:g} | {each.meaning} | "
        f"{each.standing} |\n"
        for each, names in groups.items()
    ]
    model = EnergyModel()
    shown = {name: _SWITCH_W if name == "switch_w" else getattr(model, name) for name in FIGURES}
    figures = [f"| `{name}` | {shown[name]:g} | {source} |\n" for name, source in FIGURES.items()]
    return "".join(loads), "".join(figures)


def _plain(value: Monthly) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value


def _check(what: str, value: object, *, low: float | None = None, high: float | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ConfigError(f"{what} must be a finite number, got {value!r}")
    if low is not None and value < low:
        raise ConfigError(f"{what} must be at least {low:g}, got {value:g}")
    if high is not None and value > high:
        raise ConfigError(f"{what} must be at most {high:g}, got {value:g}")


def _fact(facts: Mapping[str, object], name: str, default: float) -> float:
    value = facts.get(name, default)
    _check(f"the cluster's fact '{name}'", value, low=0.0)
    return float(value)  # type: ignore[arg-type]  # a number: just checked


def job_load(workload: Workload, model: EnergyModel) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return each job's load (0 to 1) and where it comes from (index into :data:`LOAD_SOURCES`), shape (jobs,)."""
    loads = model.loads()
    if workload.has("job_class"):
        codes, names = workload.labels("job_class", null=_NO_CLASS)
        of_name = np.array([loads.get(name.lower(), model.default_load) for name in names], dtype=np.float64)
        known = np.array([1 if name.lower() in loads else 2 for name in names], dtype=np.int8)
        load, source = of_name[codes], known[codes]
    else:
        load = np.full(len(workload), loads.get(_NO_CLASS, model.default_load), dtype=np.float64)
        source = np.full(len(workload), 1 if _NO_CLASS in loads else 2, dtype=np.int8)
    if not workload.has("activity"):
        return load, source
    activity = workload.floats("activity")
    given = np.isfinite(activity)
    return np.where(given, activity, load), np.where(given, 0, source).astype(np.int8)
