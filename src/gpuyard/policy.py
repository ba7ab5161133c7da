"""What users name or construct: a policy is order x backfill x placement x estimate.

A named scheduler is a combination: ``fifo`` is order fifo without backfill, ``easy`` is order fifo with
backfill ``easy``.  The objects are frozen; :mod:`gpuyard.lowering` and :mod:`gpuyard.ordering` lower them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeAlias

from gpuyard.cells import NO_CELLS, Cells, check_cells
from gpuyard.choices import (
    ALIASES,
    BACKFILLS,
    DEPENDENT,
    ESTIMATES,
    FAIR_SHARES,
    LIMITS,
    NAMED,
    ORDERS,
    PLACEMENTS,
    PREEMPTIVE,
    REPLAYS,
    RESERVATIONS,
    UNLIMITED,
    WEIGHTS,
    Choice,
)
from gpuyard.custom import Decider, OwnOrder, OwnPlacement, OwnPolicy, Source, load, own_policy
from gpuyard.errors import ConfigError, unknown_name
from gpuyard.preemption import NO_PREEMPTION, Preemption
from gpuyard.units import ticks

__all__ = [
    "ALIASES",
    "BACKFILLS",
    "DEPENDENT",
    "ESTIMATES",
    "FAIR_SHARES",
    "LIMITS",
    "NAMED",
    "ORDERS",
    "OWN_ORDERS",
    "OWN_PLACEMENTS",
    "PLACEMENTS",
    "PREEMPTIVE",
    "REPLAYS",
    "RESERVATIONS",
    "UNLIMITED",
    "WEIGHTS",
    "Choice",
    "PlacementScore",
    "Planning",
    "Policy",
    "add_placement",
    "named_policy",
]

PlacementScore: TypeAlias = Callable[[int, int, int, int, int, int, int, int, int, int], int]
"""A score of a node; :func:`add_placement` says what the numbers are."""
OWN_PLACEMENTS: Final[dict[str, PlacementScore]] = {}
"""Placements that were added, by name."""
OWN_ORDERS: Final[dict[str, OwnOrder]] = {}
"""Users' compiled orders that a policy was made with, by name."""

_OWN_ORDER: Final = Choice("a score of your own", ("estimate", "weights", "qos", "partitions"))
_OWN_PLACEMENT: Final = Choice("a score of your own")
_SOURCES: Final[dict[str, Source]] = {}
"""Where users' own orders and placements are from, by name."""
_TABLES: Final = {"order": ORDERS, "backfill": BACKFILLS, "placement": PLACEMENTS, "estimate": ESTIMATES}
_ARTICLE: Final = {"order": "an", "backfill": "a", "placement": "a", "estimate": "an"}
_NOISIEST: Final = 10.0
_LONGEST: Final = 36_500 * 86_400.0
"""s: no interval, window or resolution is longer than 100 years."""
_MOST_SHARES: Final = 1e15
_PLANNING: Final[dict[str, tuple[int, float, float, float]]] = {
    "conservative": (UNLIMITED, 0.0, _LONGEST, 1e-6),
    "slurm": (500, 30.0, 86_400.0, 60.0),
}
"""Default depth, interval, window and resolution (s)."""
_PREEMPTIVE_PAIR: Final = ("fifo", "fit")
"""Order and backfill of the named schedulers that preempt."""
_MAPPINGS: Final = ("weights", "qos", "partitions", "shares")
_BESIDE_OWN: Final = ("order", "backfill", "replay")
_PLANNED: Final = ("depth", "interval", "window", "resolution")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planning:
    """How far ahead ``conservative`` and ``slurm`` plan, in the engine's units."""

    depth: int
    """jobs; :data:`UNLIMITED` for all"""
    interval: int
    """microseconds; 0 for every time"""
    window: int
    """microseconds"""
    resolution: int
    """microseconds, at least 1"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Which job next, who may pass, where it runs, and what happens at its time limit.

    Parameters
    ----------
    order, backfill, placement
        Names out of :data:`ORDERS` (or :data:`ALIASES`), :data:`BACKFILLS`, :data:`PLACEMENTS`.  An order or a
        placement may also be what ``@gpuyard.order`` or ``@gpuyard.placement`` made, or where to import that from:
        ``module:name``, ``file.py:name``.
    decide
        An object of your own with a method ``decide(state)``, or where to import its class from.  It decides who
        starts, in the place of order and backfill.
    on_limit
        ``kill`` ends a job at its time limit; ``ignore`` lets it run its run time.
    replay
        ``schedule`` lets the policy decide; ``recorded`` starts each job at its recorded start,
        whatever the policy would have done, and counts where the record holds more than there is.
    spread
        ``True`` lets every job take GPUs from anywhere, as if each row said ``spread``.
    exclusive
        ``True`` gives every job its nodes to itself, as if each row said ``exclusive``.
    block_level
        ``placement="topology-block"``: the level whose domains are the blocks; ``None``: the lowest.
    estimate
        What the scheduler believes of a job's run time: a name out of :data:`ESTIMATES`.
    history
        ``estimate="history"``: over how many ended jobs the mean is taken.
    noise
        ``estimate="noise"``: standard deviation of the logarithm of the error.
    reservation
        ``backfill="easy"``: the head's reservation is made on ``nodes``, or by ``counts`` of GPUs.
    depth, interval
        ``conservative`` and ``slurm``: how many jobs are planned; seconds between plannings.  ``None`` is
        the default of the backfill: all and 0, or 500 and 30.
    window, resolution
        ``slurm``: how far ahead reservations begin, and the grain of plans, s.  ``None``: 86,400 and 60.
    weights
        ``order="multifactor"``: weights by name; :data:`WEIGHTS` has the names and the defaults.
    qos, partitions
        ``order="multifactor"``: the factor of each QOS, of each partition; 0 for those not named.
    fair_share
        ``order="multifactor"`` with a weight ``fairshare``: how the factor follows from the usage, a name out of
        :data:`FAIR_SHARES`.
    shares
        Likewise: what accounts are due, by path: ``{"steel/vision": 2}``; 1
        for those not named.
    half_life, share_period
        Likewise: after how long usage counts half, ``None`` or ``"none"`` for always in full; between two
        recalculations; s.
    preemption
        Who may take GPUs from whom: a rule's name, a :class:`~gpuyard.preemption.Preemption`, or a table of its fields.
    cells
        Who owns which pieces of the topology: :class:`~gpuyard.cells.Cells`, or a table of its fields.

    Raises
    ------
    ConfigError
        For a name that does not exist (the message lists the choices), a number out of range, and an
        option that differs from its default and that nothing chosen uses.
    """

    order: str | OwnOrder = "fifo"
    backfill: str = "none"
    placement: str | OwnPlacement = "best-fit"
    decide: str | Decider | OwnPolicy | None = None
    on_limit: str = "kill"
    replay: str = "schedule"
    spread: bool = False
    exclusive: bool = False
    block_level: str | None = None
    estimate: str = "limit"
    history: int = 2
    noise: float = 0.5
    reservation: str = "nodes"
    depth: int | None = None
    interval: float | None = None
    window: float | None = None
    resolution: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    qos: Mapping[str, float] = field(default_factory=dict, hash=False)
    partitions: Mapping[str, float] = field(default_factory=dict, hash=False)
    fair_share: str = "classic"
    shares: Mapping[str, float] = field(default_factory=dict, hash=False)
    half_life: float | str | None = 604_800.0
    share_period: float = 300.0
    preemption: Preemption = NO_PREEMPTION
    cells: Cells = NO_CELLS

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", _own_name(self.order, OwnOrder))
        object.__setattr__(self, "placement", _own_name(self.placement, OwnPlacement))
        object.__setattr__(self, "decide", _own_decider(self.decide))
        object.__setattr__(self, "preemption", Preemption.of(self.preemption))
        object.__setattr__(self, "cells", Cells.of(self.cells))
        if self.cells and not self.preemption:
            object.__setattr__(self, "preemption", Preemption(rule="cells"))
        object.__setattr__(self, "half_life", None if self.half_life == "none" else self.half_life)
        for kind, known in (
            ("order", [*ORDERS, *ALIASES, *OWN_ORDERS]),
            ("backfill", BACKFILLS),
            ("placement", [*PLACEMENTS, *OWN_PLACEMENTS]),
            ("on_limit", LIMITS),
            ("replay", REPLAYS),
            ("estimate", ESTIMATES),
            ("reservation", RESERVATIONS),
            ("fair_share", FAIR_SHARES),
        ):
            if getattr(self, kind) not in known:
                raise unknown_name(kind, getattr(self, kind), known)
        for name in _MAPPINGS:
            object.__setattr__(self, name, _factors(name, getattr(self, name)))
        _refuse_unused(self)
        _refuse_beside_own(self)
        _check_exclusive(self)
        _check_counts(self)
        _check_numbers(self)
        _check_preemption(self)
        changed = {"placement": self.placement != "best-fit", "spread": self.spread, "exclusive": self.exclusive}
        changed["reservation"] = self.reservation != "nodes"
        check_cells(self.cells, self.preemption, changed, order=str(self.order), backfill=self.backfill)
        _check_shares(self)

    @property
    def name(self) -> str:
        """The shortest name of this order and backfill: ``fifo-fit``, ``sjf+fit``; or that of one's own class."""
        if isinstance(self.decide, OwnPolicy):
            return self.decide.source.name
        pair = (str(self.order), self.backfill)
        base = next((name for name, known in NAMED.items() if known == pair), "+".join(pair))
        if not self.preemption:
            return base
        named = [name for name, rule in PREEMPTIVE.items() if rule == self.preemption.rule]
        return named[0] if named and pair == _PREEMPTIVE_PAIR else f"{base}+{self.preemption.rule}"

    @property
    def own_sources(self) -> tuple[Source, ...]:
        """Where the users' own parts of this policy are from; empty where all is gpuyard's."""
        parts = [_SOURCES[name] for name in (str(self.order), str(self.placement)) if name in _SOURCES]
        return (*parts, self.decide.source) if isinstance(self.decide, OwnPolicy) else tuple(parts)

    @property
    def planning(self) -> Planning:
        """Depth, interval, window and resolution in their final values; unlimited where nothing is planned."""
        depth, interval, window, resolution = _PLANNING.get(self.backfill, _PLANNING["conservative"])
        return Planning(
            depth=depth if self.depth is None else self.depth,
            interval=ticks(interval if self.interval is None else self.interval),
            window=ticks(window if self.window is None else self.window),
            resolution=ticks(resolution if self.resolution is None else self.resolution),
        )

    @property
    def final_weights(self) -> dict[str, float]:
        """The weights of ``multifactor`` by name, defaults filled in."""
        return WEIGHTS | dict(self.weights)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields that matter to this policy, defaults filled in: ``Policy(**mapping)`` acts the same."""
        unused = {name for kind, names in DEPENDENT.items() for name in names if name not in _used(self, kind)}
        mapping = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in unused}
        if isinstance(self.decide, OwnPolicy):
            mapping = {name: value for name, value in mapping.items() if name not in _BESIDE_OWN}
            mapping["decide"] = self.decide.source.name
        if "weights" in mapping:
            mapping["weights"] = self.final_weights
        mapping["preemption"], mapping["cells"] = self.preemption.to_mapping(), self.cells.to_mapping()
        if self.half_life is None and "half_life" in mapping:
            mapping["half_life"] = "none"
        defaults = dict(zip(_PLANNED, _PLANNING.get(self.backfill, ()), strict=False))
        for name, value in defaults.items():
            if name in mapping and mapping[name] is None and value != UNLIMITED:
                mapping[name] = value
        return {name: value for name, value in mapping.items() if value is not None and value != {}}


def add_placement(name: str, score: PlacementScore, meaning: str) -> None:
    """Add a placement that goes by a score of your own; policies and scenarios of this process then know its name.

    Parameters
    ----------
    name
        What policies call it; not the name of a placement that there is.
    score
        ``score(free_gpus, gpus, free_milli, free_cpu, free_memory, gpu_type, wanted_gpus, wanted_milli, wanted_cpu,
        wanted_memory)``, whole numbers all, for a node on which the chunk fits.  Of the node: its wholly free GPUs, its
        GPUs, what they have free in thousandths of a GPU, its free CPUs in thousandths of a core (0 where the cluster
        states none), its free memory in MiB, and the number of its GPU type, 0 for that of the lowest node.  Of the
        chunk: its whole GPUs, or 0; its thousandths of one GPU, or 0; its CPUs and memory.  It returns a whole number;
        the node with the highest goes first, then the lowest node; a fraction takes the GPU of that node with the
        least free that fits.  The function is compiled by Numba, so it can use numbers and :mod:`math`, and it must
        give the same for the same numbers: a node is asked again only when something on it has changed.
    meaning
        What it does, in a line.

    Raises
    ------
    ConfigError
        For a name that is taken, or no name.
    """
    if not name or name in PLACEMENTS:
        raise ConfigError(f"a placement of your own needs a name that is not taken, got '{name}'")
    OWN_PLACEMENTS[name] = score
    PLACEMENTS[name] = Choice(meaning)


def named_policy(name: str | Policy | Decider | OwnOrder | OwnPlacement | OwnPolicy, **changes: object) -> Policy:
    """Return the policy of that name, with fields changed: ``named_policy("fifo", placement="packed")``.

    A name with a colon, ``module:Name`` or ``file.py:Name``, is imported, which runs that code.
    """
    if isinstance(name, str) and ":" in name:
        name = load(name)
    if isinstance(name, Policy):
        policy = name
    elif isinstance(name, OwnOrder):
        policy = Policy(order=name)
    elif isinstance(name, OwnPlacement):
        policy = Policy(placement=name)
    elif not isinstance(name, str):
        policy = Policy(decide=name)
    elif name in NAMED:
        order, backfill = NAMED[name]
        policy = Policy(order=order, backfill=backfill)
    elif name in PREEMPTIVE:
        order, backfill = _PREEMPTIVE_PAIR
        policy = Policy(order=order, backfill=backfill, preemption=Preemption(rule=PREEMPTIVE[name]))
    else:
        for kind, known in _TABLES.items():
            if name in known:
                raise ConfigError(f"'{name}' names no policy but {_ARTICLE[kind]} {kind}; write {kind} = {name}")
        raise unknown_name("policy", name, [*NAMED, *PREEMPTIVE])
    given = changes.get("preemption")
    if isinstance(given, Mapping):
        changes["preemption"] = {"rule": policy.preemption.rule, **given}
    try:
        return replace(policy, **changes)  # type: ignore[arg-type]  # checked by __post_init__
    except TypeError as problem:
        raise ConfigError(f"a policy has no such field: {problem}") from None


def _own_name(given: str | OwnOrder | OwnPlacement, wanted: type[OwnOrder | OwnPlacement]) -> str:
    """Return the name under which an order or placement is known; a user's own is made known."""
    if isinstance(given, str) and ":" in given and given not in OWN_ORDERS and given not in OWN_PLACEMENTS:
        loaded = load(given)
        if not isinstance(loaded, wanted):
            raise ConfigError(f"'{given}' is no {'order' if wanted is OwnOrder else 'placement'} of your own")
        given = loaded
    if isinstance(given, str):
        return ALIASES.get(given, given) if wanted is OwnOrder else given
    if not isinstance(given, wanted):
        raise ConfigError(f"expected the name of one, or one of your own, got {given!r}")
    known = OWN_ORDERS if isinstance(given, OwnOrder) else OWN_PLACEMENTS
    name, number = given.source.name, 1
    while name in known and _function(known[name]) is not _function(given):
        number += 1
        name = f"{given.source.name}#{number}"
    if isinstance(given, OwnOrder):
        OWN_ORDERS[name] = given
    else:
        OWN_PLACEMENTS[name] = given.function
    _SOURCES[name] = given.source if number == 1 else replace(given.source, name=name, importable=False)
    return name


def _function(own: object) -> object:
    return own.written if isinstance(own, OwnOrder) else own.function if isinstance(own, OwnPlacement) else own


def _own_decider(given: str | Decider | OwnPolicy | None) -> OwnPolicy | None:
    """Return the object that decides, with where it is from."""
    if isinstance(given, str):
        loaded = load(given)
        if not isinstance(loaded, OwnPolicy):
            raise ConfigError(f"'{given}' has no method 'decide'")
        return loaded
    if given is None or isinstance(given, OwnPolicy):
        return given
    if isinstance(given, type) or not isinstance(given, Decider):
        raise ConfigError(f"a policy of your own is an object with a method 'decide', got {given!r}")
    return own_policy(given)


def _refuse_beside_own(policy: Policy) -> None:
    """Raise for what somebody's own policy leaves no room for."""
    if policy.decide is None:
        return
    for name in _BESIDE_OWN:
        blank = next(item.default for item in fields(policy) if item.name == name)
        if getattr(policy, name) != blank:
            raise ConfigError(f"'{name}' has no meaning beside '{policy.name}', which decides itself; leave it out")


def _used(policy: Policy, kind: str) -> tuple[str, ...]:
    """Return the options that the chosen order, backfill, placement or estimate uses."""
    chosen = getattr(policy, kind)
    if kind == "order" and chosen in OWN_ORDERS:
        return _OWN_ORDER.options
    return (_OWN_PLACEMENT if kind == "placement" and chosen in OWN_PLACEMENTS else _TABLES[kind][chosen]).options


def _refuse_unused(policy: Policy) -> None:
    """Raise for an option that was changed from its default and that nothing chosen uses."""
    blank = {item.name: item.default for item in fields(policy)}
    for kind, names in DEPENDENT.items():
        for name in names:
            value = getattr(policy, name)
            given = bool(value) if isinstance(value, Mapping) else value != blank[name]
            if given and name not in _used(policy, kind):
                users = [f"{kind} = {user}" for user, choice in _TABLES[kind].items() if name in choice.options]
                raise ConfigError(
                    f"'{name}' has no meaning under {kind} = {getattr(policy, kind)}; "
                    f"leave it out, or choose {' or '.join(users)}"
                )


def _factors(kind: str, given: object) -> dict[str, float]:
    """Return a copy of named factors, checked."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"'{kind}' must be a table of names and numbers, got {given!r}")
    for name, value in given.items():
        if kind == "weights" and name not in WEIGHTS:
            raise unknown_name("weight", str(name), WEIGHTS)
        if not _is_number(value):
            raise ConfigError(f"'{kind}.{name}' must be a finite number, got {value!r}")
    if kind == "weights" and given.get("max_age", 1) <= 0:
        raise ConfigError(f"'weights.max_age' must be more than 0 seconds, got {given['max_age']!r}")
    for name, value in given.items() if kind == "shares" else ():
        if not 0 <= value <= _MOST_SHARES:
            raise ConfigError(f"'shares.{name}' must be 0 to {_MOST_SHARES:g}, got {value!r}")
    if kind == "shares" and any("" in str(name).split("/") for name in given):
        raise ConfigError("a path in 'shares' is names with '/' between them, such as 'steel/vision'")
    return {str(name): float(value) for name, value in given.items()}


def _check_exclusive(policy: Policy) -> None:
    if policy.exclusive and policy.spread:
        raise ConfigError("'exclusive' gives jobs whole nodes and 'spread' takes GPUs from anywhere; choose one")


def _check_preemption(policy: Policy) -> None:
    """Raise for what a preemption does not go with."""
    rule = policy.preemption.rule
    if rule == "none":
        return
    backfill, backfills = f"backfill {policy.backfill}", "backfill none, fit, easy or slurm"
    reasons = {
        f"{backfill}, whose promises are for good: who is preempted comes back": (
            policy.backfill == "conservative" and backfills
        ),
        "replay recorded, which starts jobs when the record does": policy.replay == "recorded" and "replay schedule",
        "a policy of your own, which decides itself": policy.decide is not None and "a named or compiled order",
        f"{backfill}, whose plan counts GPUs, and GPUs need not be cells": (
            rule == "cells" and policy.backfill == "slurm" and "backfill none, fit or easy"
        ),
    }
    for choice, instead in reasons.items():
        if instead:
            left = "[policy.cells]" if rule == "cells" else "the preemption"
            raise ConfigError(f"preemption {rule} does not go with {choice}; choose {instead}, or leave out {left}")
    if rule in ("srtf", "srsf", "time-slice") and policy.order != "fifo":
        raise ConfigError(f"preemption {rule} is an order of its own; leave out order = {policy.order}")


def _check_shares(policy: Policy) -> None:
    """Raise for what only fair share looks at, where nothing is shared out."""
    if policy.final_weights["fairshare"] != 0:
        return
    blank = {item.name: item.default for item in fields(policy)}
    for name in ("fair_share", "shares", "half_life", "share_period"):
        value = getattr(policy, name)
        if value if name == "shares" else value != blank[name]:
            raise ConfigError(f"'{name}' does nothing while the weight 'fairshare' is 0; set it in [policy.weights]")


def _check_counts(policy: Policy) -> None:
    for name in ("history", "depth"):
        value = getattr(policy, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= UNLIMITED):
            raise ConfigError(f"'{name}' must be a whole number of jobs, 1 or more, got {value!r}")


def _check_numbers(policy: Policy) -> None:
    if not _is_number(policy.noise) or not 0 <= policy.noise <= _NOISIEST:
        raise ConfigError(f"'noise' must be a number from 0 to {_NOISIEST:g}, got {policy.noise!r}")
    times = (("interval", 0.0), ("window", 0.0), ("resolution", 1e-6), ("half_life", 1e-9), ("share_period", 1e-6))
    for name, least in times:
        value = getattr(policy, name)
        if value is None and name != "share_period":
            continue
        if not _is_number(value) or not least <= value <= _LONGEST:
            raise ConfigError(f"'{name}' must be {least:g} to {_LONGEST:g} seconds, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
