"""The keys of a scenario, section by section, each checked when it is read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gpuyard.errors import ConfigError
from gpuyard.policy import BACKFILLS, LIMITS, NAMED, ORDERS, PLACEMENTS, REPLAYS
from gpuyard.units import parse_seconds, parse_window

__all__ = ["SECTIONS", "Model", "PolicySection", "RunSection", "WorkloadSection"]


def _seconds(value: Any) -> float:
    if not isinstance(value, str | int | float):
        raise ValueError("a time is a number of seconds or a text such as 90s, 15m, 3h, 7d")  # noqa: TRY004
    try:
        return parse_seconds(value)
    except ConfigError as problem:
        raise ValueError(str(problem)) from None


def _window(value: str) -> str:
    try:
        parse_window(value)
    except ConfigError as problem:
        raise ValueError(str(problem)) from None
    return value


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(json_schema_extra={"type": ["number", "string"]})]
"""Seconds, or a text such as ``15m``."""
Window = Annotated[str, AfterValidator(_window)]
Names = Annotated[list[str], BeforeValidator(_names)]


class Section(BaseModel):
    """A table whose keys are all known; frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class TraceKeys(Section):
    """Keys of ``[workload]`` that say which trace is replayed, and which of its jobs."""

    trace: str | None = Field(default=None, description="Path of the trace to replay, relative to the scenario file.")
    format: str | None = Field(default=None, description="Format of the trace; recognised when left out.")
    gpu_rule: str | None = Field(
        default=None, description="GPUs where a trace counts processors: processor:K or node:K:P."
    )
    zone: str | None = Field(default=None, description="IANA time zone of times that state none.")
    sha256: str | None = Field(default=None, description="SHA-256 the trace file must have.", pattern="^[0-9a-f]{64}$")
    tenant: Names | None = Field(default=None, description="Only the jobs of these tenants.")
    partition: Names | None = Field(default=None, description="Only the jobs of these partitions.")
    user: Names | None = Field(default=None, description="Only the jobs of these users.")
    window: Window | None = Field(default=None, description="Only jobs submitted from A up to B: 2d..9d.")
    scale: float | None = Field(default=None, gt=0, description="Jobs arrive this many times as fast.")
    jobs: int | None = Field(default=None, ge=1, description="Only the first so many jobs; for synthesis, how many.")


class PolicySection(Section):
    """``[policy]``: the scheduler."""

    name: str | None = Field(default=None, description=f"A named scheduler: {', '.join(NAMED)}.")
    order: str | None = Field(default=None, description=f"Which job next: {', '.join(ORDERS)}.")
    backfill: str | None = Field(default=None, description=f"Who may pass a blocked job: {', '.join(BACKFILLS)}.")
    placement: str | None = Field(default=None, description=f"Which GPUs: {', '.join(PLACEMENTS)}.")
    on_limit: str | None = Field(default=None, description=f"What happens at a time limit: {', '.join(LIMITS)}.")
    replay: str | None = Field(default=None, description=f"Who decides starts: {', '.join(REPLAYS)}.")
    spread: bool | None = Field(default=None, description="Every job may take GPUs from anywhere.")


class RunSection(Section):
    """``[run]``: the run itself."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Seed of everything random.")
    until: Seconds | None = Field(default=None, description="Stop the simulation at this time since the origin.")


class ClusterSection(Section):
    """``[cluster]``: the nodes and how near they are to each other."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    preset: str | None = Field(default=None, description="The cluster of a preset.")
    file: str | None = Field(default=None, description="Path of a topology file, relative to the scenario file.")
    sha256: str | None = Field(default=None, description="SHA-256 the topology file must have.")
    nodes: int | None = Field(default=None, ge=1, description="How many nodes, all alike.")
    gpus_per_node: int | None = Field(default=None, ge=0, description="GPUs of each node.")


class WorkloadSection(TraceKeys):
    """``[workload]``: a trace to replay, or what a synthetic workload is made of."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    def synthesis(self) -> dict[str, Any]:
        """Return the keys that describe a synthetic workload."""
        return dict(self.model_extra or {})


class Model(BaseModel):
    """A whole scenario; unknown sections are errors too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str | None = Field(default=None, description="What the scenario is called in results.")
    description: str | None = Field(default=None, description="What it is about.")
    site: dict[str, Any] = Field(default_factory=dict, description="Facts about the site, kept with the result.")
    workload: WorkloadSection = Field(default_factory=WorkloadSection)
    cluster: ClusterSection = Field(default_factory=ClusterSection)
    policy: PolicySection = Field(default_factory=PolicySection)
    energy: dict[str, Any] = Field(default_factory=dict, description="Power, cooling, tariff and carbon.")
    run: RunSection = Field(default_factory=RunSection)
    provenance: dict[str, str] = Field(default_factory=dict, description="Versions a result was made with.")


SECTIONS: dict[str, type[BaseModel]] = {"policy": PolicySection, "run": RunSection}
"""The sections whose keys are all known here."""
