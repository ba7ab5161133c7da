"""The keys of a scenario, section by section, each checked when it is read."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gpuyard.choices import GITTINS_INDICES, PREEMPTIONS, VICTIMS
from gpuyard.errors import ConfigError
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
from gpuyard.scenario import what_if
from gpuyard.scenario.what_if import WhatIfKeys
from gpuyard.units import MOST_PUE, nearest_scale, parse_seconds, parse_window
from gpuyard.windows import NodeWindow

__all__ = [
    "SECTIONS",
    "SYNTHESIS_KEYS",
    "TABLES",
    "CommissionSection",
    "MaintenanceSection",
    "Model",
    "PolicySection",
    "ReservationSection",
    "RunSection",
    "WorkloadSection",
]


def _seconds(value: Any) -> float:
    if not isinstance(value, str | int | float):
        raise ValueError("a time is a number of seconds or a text such as 90s, 15m, 3h, 7d")  # noqa: TRY004
    try:
        return parse_seconds(value)
    except ConfigError as problem:
        raise ValueError(str(problem)) from None


def _weights(value: Any) -> Any:
    if isinstance(value, dict) and "max_age" in value:
        return value | {"max_age": _seconds(value["max_age"])}
    return value


def _interval(value: Any) -> float | str:
    return "none" if value == "none" else _seconds(value)


def _end(value: Any) -> float:
    return value if value == float("inf") else _seconds(value)


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


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _items(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(json_schema_extra={"type": ["number", "string"]})]
"""Seconds, or a text such as ``15m``."""
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
Names = Annotated[list[str], BeforeValidator(_names)]


class Section(BaseModel):
    """A table whose keys are all known; frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


_TRACE_KEYS: Final = ("format", "gpu_rule", "zone", "sha256", "partition")


class WorkloadSection(Section, WhatIfKeys):
    """``[workload]``: a trace to replay, or what a synthetic workload is made of."""

    trace: str | None = Field(default=None, description="Path of the trace to replay, relative to the scenario file.")
    fit: str | None = Field(
        default=None, description="Path of a trace or a saved model (.toml) whose look-alike is made."
    )
    format: str | None = Field(default=None, description="Format of the trace; recognised when left out.")
    gpu_rule: str | None = Field(
        default=None, description="GPUs where a trace counts processors: processor:K or node:K:P."
    )
    zone: str | None = Field(default=None, description="IANA time zone of times that state none.")
    sha256: str | None = Field(default=None, description="SHA-256 the trace file must have.", pattern="^[0-9a-f]{64}$")
    partition: Names | None = Field(default=None, description="Only the jobs of these partitions of the trace.")
    tenant: Names | None = Field(default=None, description="Only the jobs of these tenants.")
    user: Names | None = Field(default=None, description="Only the jobs of these users.")
    window: Window | None = Field(
        default=None, description="Simulate only jobs submitted from A up to B, 2d..9d; the others are left out."
    )
    arrivals_only: float | None = Field(
        default=None,
        gt=0,
        description="No job ends: the jobs in random order, then random repeats, until they ask for this many times "
        "the cluster's GPUs; what does not fit is skipped.",
    )
    jobs: int | None = Field(default=None, ge=1, description="How many jobs to make; of a trace, the first so many.")
    days: float | None = Field(default=None, gt=0, description="Synthesis: days in which jobs are submitted.")
    load: float | None = Field(
        default=None, gt=0, description="Synthesis: GPU time asked for over what there is, such as 0.85; at most 10."
    )
    rate: float | None = Field(
        default=None, gt=0, description="Synthesis: jobs an hour, apart from services; the load is what comes of it."
    )
    like: str | None = Field(default=None, description="Synthesis: a published cluster whose look-alike is made.")
    start: str | None = Field(default=None, description="Synthesis: second 0 on the calendar, ISO 8601 with offset.")
    classes: dict[str, Any] | None = Field(
        default=None,
        description="Synthesis: share of each class, or a table of share, source, redraw, dispersion, interarrival_cv.",
    )
    tenants: dict[str, Any] | None = Field(
        default=None,
        description="Synthesis: users, weights, priority and start of each tenant; preset; or count, users, "
        "zipf_exponent, sigma.",
    )
    services: dict[str, dict[str, Any]] | None = Field(
        default=None,
        description="Synthesis: kinds of real-time services, each a table of what differs from its default.",
    )
    zipf_exponent: float | None = Field(default=None, description="Synthesis: how unequal the users of a tenant are.")
    user_sigma: float | None = Field(
        default=None, description="Synthesis: users of log-normal weights with this sigma, in place of Zipf's law."
    )
    hourly: list[float] | str | None = Field(
        default=None, description="Synthesis: relative submissions by hour, 0 to 23, or whose: helios, philly."
    )
    weekly: list[float] | str | None = Field(
        default=None, description="Synthesis: relative submissions by day, from Monday, or whose: helios, philly."
    )
    holidays: str | None = Field(default=None, description="Synthesis: whose public holidays are kept, such as KR.")
    holiday_factor: float | None = Field(
        default=None, description="Synthesis: submissions on a holiday over the mean day's; as on a Sunday if left out."
    )
    think_time: Seconds | None = Field(
        default=None, description="Synthesis: how long users think after their last jobs ended; none if left out."
    )
    limits: str | None = Field(default=None, description="Synthesis: time limits as users ask for them: modal.")
    limit_factor: list[float] | None = Field(
        default=None, description="Synthesis: lowest and highest time limit over run time; no limits when left out."
    )
    campaign_growth: float | None = Field(
        default=None, description="Synthesis: exponent by which campaigns grow with the cluster."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = self.model_fields_set
        if self.trace is not None and self.fit is not None:
            raise ValueError("'trace' is replayed and of 'fit' a look-alike is made; name one of them")
        if self.trace is not None:
            strange, why = sorted(given & set(SYNTHESIS_KEYS)), "a trace is replayed, so '{}' of a synthetic workload"
        elif self.fit is not None:
            strange, why = sorted(given & _UNFITTED), "a look-alike is made of what was fitted, so '{}'"
        else:
            strange, why = sorted(given & set(_TRACE_KEYS)), "'{}' is about a trace, and none is named"
        if strange:
            named = self.trace is not None or self.fit is not None
            raise ValueError(why.format(strange[0]) + (" has no meaning" if named else "; add trace = FILE"))
        return self

    def synthesis(self) -> dict[str, Any]:
        """Return the keys that describe a synthetic workload."""
        return self.model_dump(include={*SYNTHESIS_KEYS, "jobs"}, exclude_none=True)


SYNTHESIS_KEYS: Final = (
    "days",
    "load",
    "rate",
    "like",
    "start",
    "classes",
    "tenants",
    "services",
    "zipf_exponent",
    "user_sigma",
    "hourly",
    "weekly",
    "holidays",
    "holiday_factor",
    "think_time",
    "limit_factor",
    "limits",
    "campaign_growth",
)
"""Keys of ``[workload]`` that only a synthetic workload has."""


_UNFITTED: Final = {*SYNTHESIS_KEYS, "partition"} - {"days", "start"}
"""Keys that say nothing of a look-alike."""


class EnergySection(Section):
    """``[energy]``: power, cooling, carbon and price; one value a year, or twelve from January."""

    default_load: float | None = Field(default=None, description="Share of the dynamic range that GPUs of jobs draw.")
    class_load: dict[str, float] | None = Field(default=None, description="The same for jobs of a class.")
    pue: Annotated[float | list[float], AfterValidator(_pue)] | None = Field(
        default=None, description="Facility power over IT power, 1 to 3."
    )
    carbon_kg_per_kwh: float | list[float] | None = Field(default=None, description="Carbon of a kWh, kg.")
    price_krw_per_kwh: float | list[float] | None = Field(default=None, description="Price of a kWh, KRW.")
    switch_w: float | None = Field(default=None, description="Draw of one network switch, W.")
    other_it_w: float | None = Field(default=None, description="Draw of storage and management, W.")


class PreemptionSection(Section):
    """``[policy.preemption]``: who may take GPUs from whom, and what that costs."""

    rule: str | None = Field(
        default=None, description=f"Who may take GPUs from whom: {', '.join(PREEMPTIONS)}; that of the named scheduler."
    )
    thresholds: list[Seconds] | None = Field(default=None, description="las: seconds; 2d-las, gittins: GPU seconds.")
    tiers: dict[str, int] | None = Field(default=None, description="partition, qos: the tier of each name.")
    promote: float | None = Field(default=None, description="Waits of so many times the attained time begin anew.")
    gittins_index: str | None = Field(default=None, description=f"gittins: {' or '.join(GITTINS_INDICES)}.")
    time_slice: Seconds | None = Field(default=None, description="time-slice: how long an attempt is left alone.")
    victims: str | None = Field(default=None, description=f"Whom first in a level: {' or '.join(VICTIMS)}.")
    min_run: Seconds | None = Field(default=None, description="An attempt that lasted less is not preempted.")
    max_preemptions: int | None = Field(default=None, ge=1, description="So often at most is a job preempted.")
    checkpoint_interval: Interval | None = Field(
        default=None, description="Work between checkpoints; 0: nothing is lost; 'none': all is."
    )
    checkpoint_cost: Seconds | None = Field(default=None, description="Time that writing a checkpoint takes.")
    restart_cost: Seconds | None = Field(default=None, description="Time that each attempt but the first begins with.")


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


class RunSection(Section):
    """``[run]``: the run itself."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Seed of everything random.")
    until: Seconds | None = Field(default=None, description="Stop the simulation at this time since the origin.")
    begin: Seconds | None = Field(
        default=None,
        description="Begin at this time since the origin, with what ran and waited then according to the trace.",
    )
    window: Annotated[tuple[Seconds, End], BeforeValidator(_pair)] | None = Field(
        default=None,
        description="Simulate everything and measure from A to B, 2d..9d or ['2d', '9d']; from the first submission to "
        "the last end if left out.",
    )
    warmup: Seconds = Field(default=0.0, description="Leave this long out of the measures at the window's start.")
    bin_width: Seconds | None = Field(default=None, description="Width of the bins of the timeline.")
    decisions: bool | None = Field(default=None, description="Keep what the scheduler promises, for 'gpuyard explain'.")


class MaintenanceSection(Section):
    """``[[maintenance]]``: some nodes run nothing for a while; jobs are not started that would still be there."""

    nodes: Annotated[list[int | str], BeforeValidator(_items)] = Field(
        description="Numbers, ranges such as '0-15', names, domains of a level such as 'rack 3', or 'all'."
    )
    start: Seconds = Field(description="When it starts, since the origin.")
    end: Seconds = Field(description="When it ends, since the origin.")

    def window(self) -> NodeWindow:
        """Return the window over these nodes."""
        given = self.model_dump()
        users, tenants, partitions = (tuple(given.get(name, ())) for name in ("user", "tenant", "partition"))
        return NodeWindow(
            nodes=tuple(self.nodes),
            start=self.start,
            end=self.end,
            users=users,
            tenants=tenants,
            partitions=partitions,
        )


class ReservationSection(MaintenanceSection):
    """``[[reservation]]``: some nodes are kept for some jobs for a while; for all others it is maintenance."""

    user: Names = Field(default=[], description="The users whose jobs may run there.")
    tenant: Names = Field(default=[], description="The tenants whose jobs may run there.")
    partition: Names = Field(default=[], description="The partitions whose jobs may run there.")

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        if not (self.user or self.tenant or self.partition):
            raise ValueError("a reservation is for a user, tenant or partition; [[maintenance]] is for nobody")
        return self


class CommissionSection(Section):
    """``[[commission]]``: some nodes are there only from an instant on."""

    nodes: Annotated[list[int | str], BeforeValidator(_items)] = Field(
        description="Numbers, ranges such as '0-15', names, or domains of a level such as 'hall 1'."
    )
    start: Seconds = Field(description="From when on they are there, since the origin.")

    def window(self) -> NodeWindow:
        """Return the window over these nodes."""
        return NodeWindow.commissioned(tuple(self.nodes), self.start)


class ClusterSection(Section):
    """``[cluster]``: made from one of ``preset``, ``file``, ``nodes`` or ``blocks``."""

    name: str | None = Field(default=None, description="What the cluster is called in results.")
    preset: str | None = Field(default=None, description="The cluster of a preset.")
    file: str | None = Field(
        default=None,
        description="A list of nodes or a topology, relative to the scenario file.",
    )
    sha256: str | None = Field(default=None, description="SHA-256 the file must have.", pattern="^[0-9a-f]{64}$")
    nodes: int | None = Field(default=None, ge=1, description="How many nodes, all alike.")
    gpus_per_node: int | None = Field(default=None, ge=0, description="GPUs of each node.")
    gpu_type: str | None = Field(default=None, description="GPU type of each node, as jobs ask for it.")
    hardware: str | None = Field(default=None, description="Node type out of the hardware catalogue.")
    nodes_per_rack: int | None = Field(default=None, ge=1, description="Nodes of a rack; no racks when left out.")
    blocks: list[dict[str, Any]] | None = Field(
        default=None, description="Parts of the site: each with hardware, nodes and fabric."
    )
    interconnect_oversubscription: float | None = Field(
        default=None, gt=0, description="Capacity of a block's nodes over its capacity to the other blocks."
    )


class Model(BaseModel):
    """A whole scenario; unknown sections are errors too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str | None = Field(default=None, description="What the scenario is called in results.")
    description: str | None = Field(default=None, description="What it is about.")
    site: dict[str, Any] = Field(default_factory=dict, description="Facts about the site, kept with the result.")
    workload: WorkloadSection = Field(default_factory=WorkloadSection)
    cluster: ClusterSection = Field(default_factory=ClusterSection)
    policy: PolicySection = Field(default_factory=PolicySection)
    energy: EnergySection = Field(default_factory=EnergySection)
    run: RunSection = Field(default_factory=RunSection)
    maintenance: list[MaintenanceSection] = Field(default=[], description="Nodes that are closed to all for a while.")
    reservation: list[ReservationSection] = Field(default=[], description="Nodes that are kept for some for a while.")
    commission: list[CommissionSection] = Field(default=[], description="Nodes that are there from an instant on.")
    provenance: dict[str, Any] = Field(default_factory=dict, description="Versions a result was made with.")


SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "workload": WorkloadSection,
    "cluster": ClusterSection,
    "policy": PolicySection,
    "energy": EnergySection,
    "run": RunSection,
    "maintenance": MaintenanceSection,
    "reservation": ReservationSection,
    "commission": CommissionSection,
}
"""The sections by name."""

TABLES: Final[dict[str, type[BaseModel]]] = {**what_if.TABLES, "preemption": PreemptionSection}
"""The keys of sections that hold tables, and what is in each of these."""
