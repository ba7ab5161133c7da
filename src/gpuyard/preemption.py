"""Who may take GPUs from whom, whom first, and what that costs: part of a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from itertools import pairwise
from typing import Any, Final

from gpuyard.choices import GITTINS_INDICES, MODES, PREEMPTIONS, VICTIMS
from gpuyard.errors import ConfigError, unknown_name
from gpuyard.units import ticks

__all__ = ["NO_PREEMPTION", "RANKED", "Preemption"]

_MICROSECOND: Final = 1_000_000
_LONGEST: Final = 36_500 * 86_400.0
"""s: no time is longer than 100 years."""
_MOST_THRESHOLDS: Final = 62
_LARGEST_THRESHOLD: Final = 4e12
"""s or GPU s: microseconds of it, and as many again, fit 64 bits."""
_LONGEST_HISTORY: Final = 1_000_000
_MOST_TIER: Final = 2**31
_TIMES: Final = ("min_run", "checkpoint_cost", "restart_cost")
RANKED: Final = ("priority", "partition", "qos")
"""Rules under which jobs have a priority, or a tier, by which they take GPUs from each other."""
_COMMON: Final = ("max_preemptions", "checkpoint_interval", *_TIMES)
"""Options of every rule but ``none``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preemption:
    """Under which rule running jobs make room for waiting ones, and what each preemption costs.

    ``docs/semantics.md``, *Preemption*, says exactly what each rule does.  Times are seconds.

    Parameters
    ----------
    rule
        A name out of :data:`gpuyard.choices.PREEMPTIONS`; ``none``: nobody is preempted.
    thresholds
        ``las``: attained time; ``2d-las`` and ``gittins``: attained service, GPU seconds; ascending.
    tiers
        ``partition`` and ``qos``: the tier of each name, a whole number, of which the higher takes from the lower; 0
        for those that are not named.
    modes
        ``partition`` and ``qos``: how the jobs of each name are preempted, a name out of :data:`gpuyard.choices.MODES`;
        those that are not named: as ``checkpoint_interval`` says.
    min_runs
        ``partition`` and ``qos``: ``min_run`` of the jobs of each name, in the place of that of all.
    preempts
        ``partition`` and ``qos``: whose jobs those of each name may preempt, names of lower tiers; without any,
        those of all lower tiers.
    promote
        ``las``, ``2d-las``, ``gittins``: a job that has waited for so many times its attained time begins anew at the
        first bin; ``None``: never.
    gittins_index
        ``gittins``: ``textbook``, or ``released`` as in the simulator published with Tiresias.
    gittins_history
        ``gittins``: GPU seconds that jobs of the past needed, in any order; ``None``: those of the workload itself.
    time_slice
        ``time-slice``: how long an attempt lasts before it may be preempted.
    victims
        Whom first among jobs of one level: ``latest-start``, ``least-lost``, or ``fewest-gpus``.
    min_run
        An attempt that has lasted less is not preempted.
    max_preemptions
        A job that was preempted so often is not preempted any more; ``None``: no limit, or 1,000 where tenants could
        take from each other for ever (:func:`gpuyard.tenanting.with_bound`).
    checkpoint_interval
        Work between two checkpoints; 0: nothing is lost, a preempted job is suspended; ``None``: there are no
        checkpoints, and all work is lost.
    checkpoint_cost
        What writing a checkpoint takes.
    restart_cost
        What each attempt but the first takes before it works.

    Raises
    ------
    ConfigError
        For a name that does not exist, a number out of range, an option that the rule does not use, and a time slice
        in which no progress could be made.
    """

    rule: str = "none"
    thresholds: tuple[float, ...] | None = None
    tiers: Mapping[str, int] = field(default_factory=dict, hash=False)
    modes: Mapping[str, str] = field(default_factory=dict, hash=False)
    min_runs: Mapping[str, float] = field(default_factory=dict, hash=False)
    preempts: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    promote: float | None = None
    gittins_index: str = "textbook"
    gittins_history: tuple[float, ...] | None = None
    time_slice: float | None = None
    victims: str = "latest-start"
    min_run: float = 0.0
    max_preemptions: int | None = None
    checkpoint_interval: float | None = 0.0
    checkpoint_cost: float = 0.0
    restart_cost: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("rule", PREEMPTIONS), ("gittins_index", GITTINS_INDICES), ("victims", VICTIMS)):
            if not isinstance(getattr(self, name), str) or getattr(self, name) not in known:
                what = "preemption" if name == "rule" else name
                raise unknown_name(what, str(getattr(self, name)), known)
        for name in ("thresholds", "gittins_history"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _refuse_unused(self)
        object.__setattr__(self, "tiers", _checked_tiers(self))
        object.__setattr__(self, "modes", _checked_modes(self))
        object.__setattr__(self, "min_runs", _checked_min_runs(self))
        object.__setattr__(self, "preempts", _checked_lists(self))
        for name in _TIMES:
            _check_time(name, getattr(self, name), 0.0)
        if self.time_slice is not None:
            _check_time("time_slice", self.time_slice, 1e-6)
        if self.checkpoint_interval is not None:
            _check_time("checkpoint_interval", self.checkpoint_interval, 0.0)
            if 0 < self.checkpoint_interval < 1e-6:
                raise ConfigError(
                    f"'checkpoint_interval' must be 0 or at least 1e-06 seconds, got {self.checkpoint_interval!r}"
                )
        if self.promote is not None and not (_is_number(self.promote) and 0 < self.promote <= 1e6):
            raise ConfigError(
                f"'promote' must be a number above 0, a factor of the attained time, got {self.promote!r}"
            )
        most = self.max_preemptions
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or not 1 <= most < 2**31):
            raise ConfigError(f"'max_preemptions' must be a whole number of 1 or more, got {most!r}")
        _check_thresholds(PREEMPTIONS[self.rule].thresholds if self.thresholds is None else self.thresholds)
        if self.gittins_history is not None:
            _check_history(self.gittins_history)
        if self.checkpoint_cost > 0 and not self.checkpoint_interval:
            raise ConfigError("'checkpoint_cost' needs a checkpoint_interval above 0, at which checkpoints are written")
        _check_progress(self)

    def __bool__(self) -> bool:
        """Whether anybody is ever preempted."""
        return self.rule != "none"

    @property
    def final_thresholds(self) -> tuple[float, ...]:
        """The thresholds, by default those of the rule; none under a rule without."""
        if self.thresholds is not None:
            return tuple(float(each) for each in self.thresholds)
        return PREEMPTIONS[self.rule].thresholds

    @property
    def final_slice(self) -> float:
        """The time slice, by default 3,600 s (an assumption)."""
        return 3600.0 if self.time_slice is None else float(self.time_slice)

    @property
    def may_be_fruitless(self) -> bool:
        """Whether attempts that lasted ``min_run`` may be preempted again and again before they have saved anything."""
        return self.max_preemptions is None and self.min_run > 0 and _saves_too_late(self)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields that matter under the rule, defaults filled in."""
        if not self:
            return {}
        used = {*PREEMPTIONS[self.rule].options, *_COMMON}
        mapping = {each.name: getattr(self, each.name) for each in fields(self) if each.name in used}
        if "thresholds" in mapping:
            mapping["thresholds"] = list(self.final_thresholds)
        if mapping.get("gittins_history"):
            mapping["gittins_history"] = list(mapping["gittins_history"])
        if "time_slice" in mapping:
            mapping["time_slice"] = self.final_slice
        if "preempts" in mapping:
            mapping["preempts"] = {name: list(listed) for name, listed in mapping["preempts"].items()}
        if mapping["checkpoint_interval"] is None:
            mapping["checkpoint_interval"] = "none"
        return {"rule": self.rule, **{name: value for name, value in mapping.items() if value is not None}}

    @classmethod
    def of(cls, given: str | Mapping[str, Any] | Preemption) -> Preemption:
        """Return a preemption from its rule's name, or from a table of its fields as in a scenario."""
        if isinstance(given, Preemption):
            return given
        if isinstance(given, str):
            return cls(rule=given)
        if not isinstance(given, Mapping):
            raise ConfigError(f"'preemption' is a rule's name or a table, got {given!r}")
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown_name("key of preemption", str(name), known)
        values = dict(given)
        if values.get("checkpoint_interval") == "none":
            values["checkpoint_interval"] = None
        return cls(**values)


def _refuse_unused(given: Preemption) -> None:
    """Raise for an option that was changed from its default and that the rule does not use."""
    for each in fields(given):
        value = getattr(given, each.name)
        if value == (each.default if each.default is not MISSING else {}) or _is_used(given.rule, each.name):
            continue
        users = [name for name in PREEMPTIONS if _is_used(name, each.name)]
        raise ConfigError(
            f"'{each.name}' has no meaning under preemption = {given.rule}; leave it out, or choose "
            f"preemption = {' or '.join(users)}"
        )


def _is_used(rule: str, option: str) -> bool:
    return option == "rule" or option in PREEMPTIONS[rule].options or (option in _COMMON and rule != "none")


def _checked_tiers(given: Preemption) -> dict[str, int]:
    """Return a copy of the tiers; raise for what are none, and for a rule without those that it goes by."""
    if not isinstance(given.tiers, Mapping):
        raise ConfigError(f"'tiers' must be a table of names and whole numbers, got {given.tiers!r}")
    for name, tier in given.tiers.items():
        if not isinstance(tier, int) or isinstance(tier, bool) or abs(tier) >= _MOST_TIER:
            raise ConfigError(f"'tiers.{name}' must be a whole number of less than 32 bits, got {tier!r}")
    if "tiers" in PREEMPTIONS[given.rule].options and not given.tiers:
        raise ConfigError(
            f"preemption {given.rule} goes by tiers, and there are none; name some in [policy.preemption], beside "
            f"rule = '{given.rule}', such as tiers = {{ debug = 2, normal = 1 }}"
        )
    return {str(name): tier for name, tier in given.tiers.items()}


def _checked_modes(given: Preemption) -> dict[str, str]:
    """Return a copy of the modes; raise for what are none."""
    if not isinstance(given.modes, Mapping):
        raise ConfigError(f"'modes' must be a table of names and {', '.join(MODES)}, got {given.modes!r}")
    for name, mode in given.modes.items():
        if mode not in MODES:
            raise unknown_name(f"mode of the {given.rule} '{name}':", str(mode), MODES)
    return {str(name): str(mode) for name, mode in given.modes.items()}


def _checked_min_runs(given: Preemption) -> dict[str, float]:
    """Return a copy of the least runs by name; raise for what are none."""
    if not isinstance(given.min_runs, Mapping):
        raise ConfigError(f"'min_runs' must be a table of names and seconds, got {given.min_runs!r}")
    for name, value in given.min_runs.items():
        _check_time(f"min_runs.{name}", value, 0.0)
    return {str(name): float(value) for name, value in given.min_runs.items()}


def _checked_lists(given: Preemption) -> dict[str, tuple[str, ...]]:
    """Return a copy of the lists of whom each name preempts; raise for what are none, and where a tier is no lower."""
    if not isinstance(given.preempts, Mapping):
        raise ConfigError(f"'preempts' must be a table of names and lists of names, got {given.preempts!r}")
    found: dict[str, tuple[str, ...]] = {}
    for name, listed in given.preempts.items():
        names = (listed,) if isinstance(listed, str) else tuple(listed) if isinstance(listed, list | tuple) else (None,)
        if not all(isinstance(each, str) and each for each in names):
            raise ConfigError(f"'preempts.{name}' must be a list of names, got {listed!r}")
        for other in names:
            own, its = given.tiers.get(name, 0), given.tiers.get(str(other), 0)
            if its >= own:
                raise ConfigError(
                    f"'preempts.{name}' names '{other}', whose tier {its} is not below the {own} of '{name}'; they "
                    "could preempt each other for ever, so give one another tier, or leave it out"
                )
        found[str(name)] = tuple(str(each) for each in names)
    return found


def _check_time(name: str, value: object, least: float) -> None:
    if not _is_number(value) or not least <= float(value) <= _LONGEST:  # type: ignore[arg-type]
        raise ConfigError(f"'{name}' must be {least:g} to {_LONGEST:g} seconds, got {value!r}")


def _check_thresholds(thresholds: Any) -> None:
    """Raise for what are not numbers of different microseconds, ascending."""
    numbers = isinstance(thresholds, tuple) and all(_is_number(each) for each in thresholds)
    if numbers and len(thresholds) <= _MOST_THRESHOLDS and all(each <= _LARGEST_THRESHOLD for each in thresholds):
        given = [0, *(ticks(each) for each in thresholds)]
        if all(before < after for before, after in pairwise(given)):
            return
    shown = list(thresholds) if isinstance(thresholds, tuple) else thresholds
    raise ConfigError(
        f"'thresholds' must be at most {_MOST_THRESHOLDS} numbers of seconds or GPU seconds up to "
        f"{_LARGEST_THRESHOLD:g}, each above the one before and the first above 0, by a microsecond at least, "
        f"got {shown!r}"
    )


def _check_history(history: Any) -> None:
    """Raise for what are not numbers of GPU seconds."""
    if not isinstance(history, tuple) or not 1 <= len(history) <= _LONGEST_HISTORY:
        many = f"{len(history)} of them" if isinstance(history, tuple) else repr(history)
        raise ConfigError(f"'gittins_history' must be 1 to {_LONGEST_HISTORY:,} numbers of GPU seconds, got {many}")
    for number, each in enumerate(history, 1):
        if not _is_number(each) or not 0 <= each <= _LARGEST_THRESHOLD:
            raise ConfigError(
                f"'gittins_history' must be GPU seconds of 0 to {_LARGEST_THRESHOLD:g}, got {each!r} as number {number}"
            )


def _to_first_saving(given: Preemption) -> int:
    """Return how long an attempt lasts before what it saves begins to grow, or its first checkpoint is written, us."""
    needed = ticks(given.restart_cost)
    if given.checkpoint_interval:
        needed += ticks(given.checkpoint_interval) + ticks(given.checkpoint_cost)
    return needed


def _saves_too_late(given: Preemption) -> bool:
    """Return whether an attempt that has lasted ``min_run`` may have saved nothing."""
    return given.checkpoint_interval is None or 0 < _to_first_saving(given) >= ticks(given.min_run)


def _check_progress(given: Preemption) -> None:
    """Raise where jobs could preempt each other again and again and nothing would get done."""
    needed = _to_first_saving(given)
    least = needed / _MICROSECOND
    lossy = given.checkpoint_interval is None
    if given.rule == "time-slice":
        if lossy:
            raise ConfigError("time slices without checkpoints lose all work; give a checkpoint_interval of 0 or more")
        if ticks(given.final_slice) <= needed:
            raise ConfigError(
                f"a time slice of {given.final_slice:g} s is used up by a restart and the way to the first checkpoint "
                f"({least:g} s), so that nothing would ever get done; choose a longer time_slice"
            )
    if given.promote is not None and given.max_preemptions is None and _saves_too_late(given):
        hint = "" if lossy else f"a min_run of more than {least:g} s, or "
        raise ConfigError(
            f"with promote, jobs could preempt each other for ever before they have saved anything; give {hint}"
            "max_preemptions"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


NO_PREEMPTION: Final = Preemption()
