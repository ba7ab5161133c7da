"""The keys of a scenario, section by section, each checked when it is read."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gpuyard.scenario import tenant_keys, what_if
from gpuyard.scenario.bound_keys import PartitionSection, QosSection
from gpuyard.scenario.keys import Moment, Names, Pue, Seconds, Section, Since, Window, WindowPair
from gpuyard.scenario.node_sets import (
    CommissionSection,
    MaintenanceSection,
    ReservationSection,
    VirtualClusterSection,
)
from gpuyard.scenario.policy_keys import CellsSection, PolicySection, PreemptionSection
from gpuyard.scenario.tenant_keys import TenantsSection
from gpuyard.scenario.what_if import WhatIfKeys

__all__ = [
    "LOOK_ALIKE_KEYS",
    "SECTIONS",
    "SYNTHESIS_KEYS",
    "TABLES",
    "CommissionSection",
    "MaintenanceSection",
    "Model",
    "PartitionSection",
    "PolicySection",
    "QosSection",
    "ReservationSection",
    "RunSection",
    "VirtualClusterSection",
    "WorkloadSection",
]


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
    start: Moment | None = Field(default=None, description="Synthesis: second 0 on the calendar, ISO 8601 with offset.")
    classes: dict[str, Any] | None = Field(
        default=None,
        description="Synthesis: share of each class, or a table of share, source, redraw, dispersion, interarrival_cv.",
    )
    without: list[str] | None = Field(
        default=None, description="Synthesis: classes that are left out, as if only their jobs were not submitted."
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
    kinds: dict[str, dict[str, dict[str, Any]]] | None = Field(
        default=None,
        description="Synthesis: kinds of jobs by class, each a table of what is changed of it: share, gpus, runtime, "
        "priority, activity, burst, states, and what its class's page names.",
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
    closed_loop: bool | None = Field(
        default=None,
        description="Synthesis: with think_time, users submit when their last jobs ended and they thought, only then.",
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
    "without",
    "tenants",
    "services",
    "kinds",
    "zipf_exponent",
    "user_sigma",
    "hourly",
    "weekly",
    "holidays",
    "holiday_factor",
    "think_time",
    "closed_loop",
    "limit_factor",
    "limits",
    "campaign_growth",
)
"""Keys of ``[workload]`` that only a synthetic workload has."""


_UNFITTED: Final = {*SYNTHESIS_KEYS, "partition"} - {"days", "start"}
"""Keys that say nothing of a look-alike."""
LOOK_ALIKE_KEYS: Final = ("fit", "days", "jobs", "start", "format", "gpu_rule", "zone", "sha256")
"""Keys that a look-alike is made by; all others choose or change its jobs."""


class EnergySection(Section):
    """``[energy]``: power, cooling, carbon and price; one value a year, or twelve from January."""

    default_load: float | None = Field(default=None, description="Share of the dynamic range that GPUs of jobs draw.")
    class_load: dict[str, float] | None = Field(default=None, description="The same for jobs of a class.")
    pue: Pue | None = Field(default=None, description="Facility power over IT power, 1 to 3.")
    carbon_kg_per_kwh: float | list[float] | None = Field(default=None, description="Carbon of a kWh, kg.")
    price_krw_per_kwh: float | list[float] | None = Field(default=None, description="Price of a kWh, KRW.")
    switch_w: float | None = Field(default=None, description="Draw of one network switch, W.")
    other_it_w: float | None = Field(default=None, description="Draw of storage and management, W.")


class RunSection(Section):
    """``[run]``: the run itself."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Seed of everything random.")
    until: Since | None = Field(default=None, description="Stop the simulation at this time since the origin.")
    begin: Since | None = Field(
        default=None,
        description="Begin at this time since the origin, with what ran and waited then according to the trace.",
    )
    window: WindowPair | None = Field(
        default=None,
        description="Simulate everything and measure from A to B, 2d..9d or ['2d', '9d']; from the first submission to "
        "the last end if left out.",
    )
    warmup: Seconds = Field(default=0.0, description="Leave this long out of the measures at the window's start.")
    bin_width: Seconds | None = Field(default=None, description="Width of the bins of the timeline.")
    tenant_weights: dict[str, float] | None = Field(
        default=None,
        description="What tenants are due, by name, for the numbers on fairness; else by tenants or shares.",
    )
    alone: bool | None = Field(default=None, description="Also simulate each tenant alone, to compare with.")
    decisions: bool | None = Field(default=None, description="Keep what the scheduler promises, for 'gpuyard explain'.")


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
    gpu_type: str | None = Field(
        default=None, description="GPU type of each node, as jobs ask for it; if left out, that of the hardware."
    )
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
    tenants: TenantsSection = Field(default_factory=TenantsSection)
    energy: EnergySection = Field(default_factory=EnergySection)
    run: RunSection = Field(default_factory=RunSection)
    maintenance: list[MaintenanceSection] = Field(default=[], description="Nodes that are closed to all for a while.")
    reservation: list[ReservationSection] = Field(default=[], description="Nodes that are kept for some for a while.")
    commission: list[CommissionSection] = Field(default=[], description="Nodes that are there from an instant on.")
    partition: list[PartitionSection] = Field(
        default=[], description="Nodes on which the jobs of a partition run, and what these may ask for."
    )
    qos: list[QosSection] = Field(default=[], description="What the jobs of a QOS may ask for.")
    virtual_cluster: list[VirtualClusterSection] = Field(
        default=[], description="Sets of nodes with queues of their own."
    )
    provenance: dict[str, Any] = Field(default_factory=dict, description="Versions a result was made with.")


SECTIONS: Final[dict[str, type[BaseModel]]] = {
    "workload": WorkloadSection,
    "cluster": ClusterSection,
    "policy": PolicySection,
    "tenants": TenantsSection,
    "energy": EnergySection,
    "run": RunSection,
    "maintenance": MaintenanceSection,
    "reservation": ReservationSection,
    "commission": CommissionSection,
    "partition": PartitionSection,
    "qos": QosSection,
    "virtual_cluster": VirtualClusterSection,
}
"""The sections by name."""

TABLES: Final[dict[str, type[BaseModel]]] = {
    **what_if.TABLES,
    "policy": PolicySection,
    "preemption": PreemptionSection,
    "cells": CellsSection,
    "tenants": TenantsSection,
    **tenant_keys.TABLES,
}
"""The keys of sections that hold tables, and what is in each of these."""
