"""The keys of ``[policy]``."""

from __future__ import annotations

from pydantic import Field

from gpuyard.cells import BEYOND, BY, WITHIN
from gpuyard.choices import GITTINS_INDICES, MODES, PREEMPTIONS, VICTIMS
from gpuyard.policy import (
    BACKFILLS,
    ESTIMATES,
    FAIR_SHARES,
    LIMITS,
    NAMED,
    ORDERS,
    PLACEMENTS,
    PREEMPTIVE,
    REPLAYS,
    RESERVATIONS,
    WEIGHTS,
)
from gpuyard.scenario.keys import Interval, Names, Seconds, Section, Weights

__all__ = ["CellsSection", "PolicySection", "PreemptionSection"]


class PreemptionSection(Section):
    """``[policy.preemption]``: who may take GPUs from whom, and what that costs."""

    rule: str | None = Field(
        default=None, description=f"Who may take GPUs from whom: {', '.join(PREEMPTIONS)}; that of the named scheduler."
    )
    thresholds: list[Seconds] | None = Field(default=None, description="las: seconds; 2d-las, gittins: GPU seconds.")
    tiers: dict[str, int] | None = Field(default=None, description="partition, qos: the tier of each name.")
    modes: dict[str, str] | None = Field(
        default=None, description=f"partition, qos: how its jobs are preempted: {', '.join(MODES)}."
    )
    min_runs: dict[str, Seconds] | None = Field(
        default=None, description="partition, qos: min_run of the jobs of each name."
    )
    preempts: dict[str, Names] | None = Field(
        default=None,
        description="partition, qos: whom the jobs of each name may preempt; all of lower tiers if left out.",
    )
    promote: float | None = Field(default=None, description="Waits of so many times the attained time begin anew.")
    gittins_index: str | None = Field(default=None, description=f"gittins: {' or '.join(GITTINS_INDICES)}.")
    gittins_history: list[Seconds] | None = Field(
        default=None, description="gittins: GPU seconds that jobs of the past needed; without, the workload's own."
    )
    time_slice: Seconds | None = Field(default=None, description="time-slice: how long an attempt is left alone.")
    victims: str | None = Field(default=None, description=f"Whom first in a level: {', '.join(VICTIMS)}.")
    min_run: Seconds | None = Field(default=None, description="An attempt that lasted less is not preempted.")
    max_preemptions: int | None = Field(default=None, ge=1, description="So often at most is a job preempted.")
    checkpoint_interval: Interval | None = Field(
        default=None, description="Work between checkpoints; 0: nothing is lost; 'none': all is."
    )
    checkpoint_cost: Seconds | None = Field(default=None, description="Time that writing a checkpoint takes.")
    restart_cost: Seconds | None = Field(default=None, description="Time that each attempt but the first begins with.")


class CellsSection(Section):
    """``[policy.cells]``: which cells of the topology each owner has."""

    owners: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="Numbers of cells by level (gpu, gpus-2, node, rack), by owner."
    )
    by: str | None = Field(default=None, description=f"Column with the owner of a job's cells: {' or '.join(BY)}.")
    levels: list[str] | None = Field(default=None, description="Levels of locality that are cells; all if left out.")
    beyond: str | None = Field(
        default=None, description=f"What a guaranteed job without free cells does: {' or '.join(BEYOND)}."
    )
    within: str | None = Field(
        default=None, description=f"Who takes cells from jobs of the same owner: {' or '.join(WITHIN)}."
    )


class PolicySection(Section):
    """``[policy]``: the scheduler."""

    name: str | None = Field(default=None, description=f"A named scheduler: {', '.join([*NAMED, *PREEMPTIVE])}.")
    order: str | None = Field(default=None, description=f"Which job next: {', '.join(ORDERS)}.")
    backfill: str | None = Field(default=None, description=f"Who may pass a blocked job: {', '.join(BACKFILLS)}.")
    placement: str | None = Field(default=None, description=f"Which GPUs: {', '.join(PLACEMENTS)}.")
    decide: str | None = Field(
        default=None, description="A class of your own that decides who starts: module:Name or file.py:Name."
    )
    on_limit: str | None = Field(default=None, description=f"What happens at a time limit: {', '.join(LIMITS)}.")
    replay: str | None = Field(default=None, description=f"Who decides starts: {', '.join(REPLAYS)}.")
    spread: bool | None = Field(default=None, description="Every job may take GPUs from anywhere.")
    exclusive: bool | None = Field(default=None, description="Every job has its nodes to itself.")
    block_level: str | None = Field(default=None, description="placement topology-block: the level of the blocks.")
    estimate: str | None = Field(
        default=None, description=f"What the scheduler believes of a run time: {', '.join(ESTIMATES)}."
    )
    history: int | None = Field(default=None, ge=1, description="estimate history: the mean of so many ended jobs.")
    noise: float | None = Field(
        default=None, ge=0, le=10, description="estimate noise: standard deviation of the logarithm of the error."
    )
    reservation: str | None = Field(
        default=None, description=f"backfill easy: what the head's reservation is made on, {', '.join(RESERVATIONS)}."
    )
    depth: int | None = Field(default=None, ge=1, description="conservative, slurm: so many waiting jobs are planned.")
    interval: Seconds | None = Field(default=None, description="conservative, slurm: the time between plannings.")
    window: Seconds | None = Field(default=None, description="slurm: how far ahead a reservation may begin.")
    resolution: Seconds | None = Field(default=None, description="slurm: the grain of planned times.")
    weights: Weights | None = Field(default=None, description=f"order multifactor: {', '.join(WEIGHTS)}.")
    qos: dict[str, float] | None = Field(default=None, description="order multifactor: the factor of each QOS.")
    partitions: dict[str, float] | None = Field(
        default=None, description="order multifactor: the factor of each partition."
    )
    fair_share: str | None = Field(
        default=None, description=f"order multifactor: how usage becomes a factor, {', '.join(FAIR_SHARES)}."
    )
    shares: dict[str, float] | None = Field(
        default=None, description="order multifactor: what accounts are due, by path such as 'steel/vision'."
    )
    half_life: Interval | None = Field(
        default=None, description="order multifactor: after how long usage counts half; 'none': always in full."
    )
    share_period: Seconds | None = Field(
        default=None, description="order multifactor: the time between two calculations of the fair share."
    )
    preemption: str | PreemptionSection | None = Field(
        default=None, description=f"Who may take GPUs from whom: {', '.join(PREEMPTIONS)}, or a table."
    )
    cells: CellsSection | None = Field(default=None, description="Cells of the topology, and who owns them.")
