"""What users name or construct: a policy is order x backfill x placement.

A named scheduler is a combination: ``fifo`` is order fifo without backfill, ``fifo-fit`` is order
fifo with backfill ``fit``.  The objects are frozen; :mod:`gpuyard.simulation` lowers them to codes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpuyard.errors import ConfigError, unknown_name

__all__ = ["BACKFILLS", "LIMITS", "NAMED", "ORDERS", "PLACEMENTS", "REPLAYS", "Policy", "named_policy"]

ORDERS: dict[str, str] = {
    "fifo": "submit time, then row",
    "sjf": "shortest estimate first (time limit, else run time), then submit time, then row",
    "smallest": "fewest GPUs first, then submit time, then row",
    "priority": "highest priority first, then submit time, then row",
}
BACKFILLS: dict[str, str] = {
    "none": "strict: nobody passes a blocked head",
    "fit": "aggressive: any waiting job that fits may start, in order",
}
PLACEMENTS: dict[str, str] = {
    "first-fit": "the lowest node that fits",
    "best-fit": "the node that keeps the fewest GPUs free, then the lowest",
    "worst-fit": "the node that keeps the most GPUs free, then the lowest (spread)",
    "random": "any node that fits, with equal chance, from the run's seed",
    "packed": "the lowest topology level that holds the whole job, best fit inside it",
}
LIMITS = ("kill", "ignore")
REPLAYS = ("schedule", "recorded")
NAMED: dict[str, tuple[str, str]] = {
    "fifo": ("fifo", "none"),
    "fifo-fit": ("fifo", "fit"),
    "sjf": ("sjf", "none"),
    "smallest": ("smallest", "none"),
    "priority": ("priority", "none"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Which job next, who may pass, where it runs, and what happens at its time limit.

    Parameters
    ----------
    order, backfill, placement
        Names out of :data:`ORDERS`, :data:`BACKFILLS`, :data:`PLACEMENTS`.
    on_limit
        ``kill`` ends a job at its time limit; ``ignore`` lets it run its run time.
    replay
        ``schedule`` lets the policy decide; ``recorded`` starts each job at its recorded start,
        whatever the policy would have done, and counts where the record holds more than there is.
    spread
        ``True`` lets every job take GPUs from anywhere, as if each row said ``spread``.

    Raises
    ------
    ConfigError
        For a name that does not exist; the message lists the choices.
    """

    order: str = "fifo"
    backfill: str = "none"
    placement: str = "best-fit"
    on_limit: str = "kill"
    replay: str = "schedule"
    spread: bool = False

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("order", self.order, ORDERS),
            ("backfill", self.backfill, BACKFILLS),
            ("placement", self.placement, PLACEMENTS),
            ("on_limit", self.on_limit, LIMITS),
            ("replay", self.replay, REPLAYS),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)

    @property
    def name(self) -> str:
        """The shortest name of this order and backfill: ``fifo-fit``, ``sjf+fit``."""
        for name, pair in NAMED.items():
            if pair == (self.order, self.backfill):
                return name
        return f"{self.order}+{self.backfill}"


def named_policy(name: str | Policy, **changes: object) -> Policy:
    """Return the policy of that name, with fields changed: ``named_policy("fifo", placement="packed")``."""
    if isinstance(name, Policy):
        policy = name
    elif name in NAMED:
        order, backfill = NAMED[name]
        policy = Policy(order=order, backfill=backfill)
    else:
        raise unknown_name("policy", name, NAMED)
    try:
        return replace(policy, **changes)  # type: ignore[arg-type]  # checked by __post_init__
    except TypeError as problem:
        raise ConfigError(f"a policy has no such field: {problem}") from None
