"""The keys of tables that name nodes: maintenance, reservations, commissioning, virtual clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from gpuyard.errors import ConfigError
from gpuyard.policy import Policy, named_policy
from gpuyard.scenario.keys import Instant, Items, Names, Section
from gpuyard.scenario.policy_keys import PolicySection
from gpuyard.scenario.tenant_keys import TenantsSection
from gpuyard.tenancy import Tenants
from gpuyard.virtual_cluster_files import read_virtual_clusters
from gpuyard.virtual_clusters import VirtualCluster
from gpuyard.windows import NodeWindow

__all__ = ["CommissionSection", "MaintenanceSection", "ReservationSection", "VirtualClusterSection"]

Origin: TypeAlias = Callable[[], datetime | None]
"""Returns second 0 of the workload, ``None`` where its calendar is not known."""


class MaintenanceSection(Section):
    """``[[maintenance]]``: some nodes run nothing for a while; jobs are not started that would still be there."""

    nodes: Items = Field(
        description="Numbers, ranges such as '0-15', names, domains of a level such as 'rack 3', or 'all'."
    )
    start: Instant = Field(description="When it starts, since the origin, or a date or timestamp.")
    end: Instant = Field(description="When it ends, since the origin, or a date or timestamp.")

    def windows(self, origin: Origin) -> list[NodeWindow]:
        """Return the window over these nodes; without an offset timestamps have that of the origin."""
        given = self.model_dump()
        users, tenants, partitions = (tuple(given.get(name, ())) for name in ("user", "tenant", "partition"))
        window = NodeWindow(
            nodes=tuple(self.nodes),
            start=_seconds(origin, "start", self.start),
            end=_seconds(origin, "end", self.end),
            users=users,
            tenants=tenants,
            partitions=partitions,
        )
        return [window]


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

    nodes: Items = Field(description="Numbers, ranges such as '0-15', names, or domains of a level such as 'hall 1'.")
    start: Instant = Field(description="From when on they are there, since the origin, or a date or timestamp.")
    phase: str | None = Field(
        default=None, min_length=1, description="The phase of the site that begins with them, such as 'phase-2'."
    )

    def windows(self, origin: Origin) -> list[NodeWindow]:
        """Return the window over these nodes; without an offset a timestamp has that of the origin."""
        if not isinstance(self.start, str):
            return [NodeWindow.commissioned(tuple(self.nodes), self.start, self.phase or "")]
        window = NodeWindow.commissioned(tuple(self.nodes), _since(origin(), "start", self.start), self.phase or "")
        return [replace(window, said=self.start)]


def _seconds(origin: Origin, key: str, value: float | str) -> float:
    """Return the seconds from second 0 of the workload; its calendar is asked for where they are a date."""
    return _since(origin(), key, value) if isinstance(value, str) else value


def _since(zero: datetime | None, key: str, text: str) -> float:
    """Return the seconds from second 0 of the workload to a date or timestamp."""
    if zero is None:
        problem = "a date needs a workload of which the calendar is known"
        raise ConfigError(f"{problem} (got '{text}'); give {key} = '90d' or so")
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zero.tzinfo)
    try:
        return (moment.astimezone(UTC) - zero.astimezone(UTC)).total_seconds()  # one clock may change its offset
    except OverflowError:
        raise ConfigError(f"{key} = '{text}' is on the edge of the calendar; write a year from 2 to 9998") from None


class VirtualClusterSection(Section):
    """``[[virtual_cluster]]``: some nodes have a queue of their own for some jobs; nothing else runs there."""

    name: str = Field(
        default="", description="What results call it, and without partition, tenant and user, whose jobs it has."
    )
    file: str | None = Field(default=None, description="In place of all else: CSV with a virtual cluster a row.")
    nodes: Items | None = Field(
        default=None,
        description="Its nodes: numbers, ranges such as '0-15', names, domains of a level such as 'rack 3', or 'all'.",
    )
    gpus: int | None = Field(default=None, ge=1, description="Or how many GPUs: the lowest nodes that nobody has.")
    share: float | None = Field(
        default=None, gt=0, le=1, description="Or which share of the cluster's GPUs: the next nodes that nobody has."
    )
    partition: Names = Field(default=[], description="The partitions whose jobs it has.")
    tenant: Names = Field(default=[], description="The tenants whose jobs it has.")
    user: Names = Field(default=[], description="The users whose jobs it has.")
    policy: str | PolicySection | None = Field(
        default=None,
        description="Its own scheduler: with a name, that one; without, keys in place of those of [policy].",
    )
    tenants: TenantsSection | None = Field(
        default=None, description="Who shares its GPUs, with quotas and limits: a table with the keys of [tenants]."
    )

    @field_validator("tenants", mode="before")
    @classmethod
    def _table_of_tenants(cls, given: object) -> object:
        if isinstance(given, str | list):
            raise ValueError(  # noqa: TRY004  # pydantic turns it into its own
                "must be a table of those who share its GPUs, with the keys of [tenants]; to say whose jobs it has, "
                "write tenant = ..."
            )
        return given

    def virtual_clusters(self, policy: Mapping[str, Any]) -> tuple[VirtualCluster, ...]:
        """Return the virtual cluster, or those of the file; ``policy`` is the section ``[policy]`` of the run.

        Its tenants are those that are written out in the section: not those of a file or of the workload.
        """
        if self.file is None:
            return (self._virtual_cluster(policy),)
        beside = sorted(self.model_fields_set - {"file"})
        if beside:
            raise ConfigError(
                f"'{beside[0]}' stands beside 'file', which says all of its virtual clusters; leave one out"
            )
        return read_virtual_clusters(self.file)

    def _virtual_cluster(self, policy: Mapping[str, Any]) -> VirtualCluster:
        return VirtualCluster(
            name=self.name,
            nodes=tuple(self.nodes or ()),
            gpus=self.gpus,
            share=self.share,
            partitions=tuple(self.partition),
            tenants=tuple(self.tenant),
            users=tuple(self.user),
            policy=self._own_policy(policy),
            sharing=self._own_tenants(),
        )

    def _own_tenants(self) -> Tenants | None:
        try:
            return None if self.tenants is None else self.tenants.stated()
        except ConfigError as problem:
            raise ConfigError(f"'{self.name}', its tenants: {problem}") from None

    def _own_policy(self, policy: Mapping[str, Any]) -> Policy | None:
        if self.policy is None or isinstance(self.policy, str):
            return None if self.policy is None else named_policy(self.policy)
        given = self.policy.model_dump(exclude_none=True)
        if "name" not in given:
            given = {**policy, **{key: _laid_over(policy.get(key), value) for key, value in given.items()}}
        return named_policy(given.pop("name", "fifo"), **given)


def _laid_over(below: Any, above: Any) -> Any:
    """Return a value in place of another; of two tables, key by key."""
    if isinstance(above, Mapping) and isinstance(below, Mapping | str):
        return {**({"rule": below} if isinstance(below, str) else below), **above}
    return above
