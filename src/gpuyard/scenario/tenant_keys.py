"""The tenants of a scenario: the keys of ``[tenants]``, how layers change them, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.scenario.keys import Names, Section
from gpuyard.tenancy import BETWEEN, BORROW_WITHIN, LIMIT_COLUMNS, RECLAIMS, Tenant, Tenants
from gpuyard.tenant_files import read_tenants

if TYPE_CHECKING:
    from gpuyard.scenario.sections import WorkloadSection
    from gpuyard.synthesis import SynthesisSpec

__all__ = ["TABLES", "TenantsSection", "due_shares", "merge_named", "tenants_of", "with_path"]


Quota = float | dict[str, float]
"""GPUs of all types, or by type."""


class TenantSection(Section):
    """``[[tenants.tenant]]``: one of those who share the cluster."""

    name: str = Field(description="Its path: 'steel', and below it 'steel/vision'.")
    nominal: Quota | None = Field(default=None, description="GPUs that it may always have; a table: by GPU type.")
    borrow: Quota | None = Field(default=None, description="At most so many above these; no limit if left out.")
    lend: Quota | None = Field(default=None, description="At most so many of these to others; all if left out.")
    weight: float | None = Field(default=None, gt=0, description="What its share is divided by; 1 if left out.")


class LimitSection(Section):
    """``[[tenants.limit]]``: how much groups of jobs may have running."""

    each: Names | None = Field(default=None, description=f"Columns that make a group: {', '.join(LIMIT_COLUMNS)}.")
    where: dict[str, str] | None = Field(default=None, description="Only jobs with these values of such columns.")
    jobs: int | None = Field(default=None, ge=0, description="Running jobs of a group.")
    gpus: float | None = Field(default=None, ge=0, description="GPUs that running jobs of a group asked for.")


class TenantsSection(Section):
    """``[tenants]``: who shares the cluster, with which quotas and limits."""

    file: str | None = Field(
        default=None,
        description="TOML or CSV with tenants, relative to the scenario file; what stands here goes on top.",
    )
    of_workload: bool | None = Field(
        default=None, description="The synthetic workload's tenants have their 'quota', a share of the cluster's GPUs."
    )
    between: str | None = Field(default=None, description=f"What decides between tenants: {', '.join(BETWEEN)}.")
    reclaim: str | None = Field(default=None, description=f"Who takes GPUs from other tenants: {', '.join(RECLAIMS)}.")
    borrow_within: str | None = Field(
        default=None, description=f"Who takes them to borrow itself: {', '.join(BORROW_WITHIN)}."
    )
    borrow_threshold: int | None = Field(
        default=None, description="The highest priority, or tier, of a job that is taken so; any if left out."
    )
    nominal: Quota | None = Field(default=None, description="GPUs that belong to no tenant and that all may borrow.")
    tenant: list[TenantSection] | None = Field(default=None, description="The tenants, each in double brackets.")
    limit: list[LimitSection] | None = Field(default=None, description="The limits, each in double brackets.")

    def stated(self) -> Tenants:
        """Return the tenants that are written out here."""
        return Tenants.of(self.model_dump(exclude_none=True, exclude={"file", "of_workload"}))


_OF_ALL: Final = ("between", "reclaim", "borrow_within", "borrow_threshold")
"""What is said of all tenants, and goes by file and section together."""

TABLES: Final[dict[str, type[BaseModel]]] = {"tenant": TenantSection, "limit": LimitSection}
"""The keys here that hold tables, and what is in each of these."""


def with_path(section: object, folder: Path) -> None:
    """Take the path of a file of tenants relative to a folder, in a section as it stands in a file."""
    if isinstance(section, dict) and isinstance(section.get("file"), str):
        section["file"] = str(folder / Path(section["file"]).expanduser())


def merge_named(below: object, above: object) -> object:
    """Return the list of tenants that a layer makes of the list below.

    A list replaces it.  A table by name, such as ``--set tenants.tenant.steel.nominal=8`` makes, changes the tenants of
    these names key by key and adds those that are new.
    """
    if not isinstance(above, Mapping):
        return above
    merged = [dict(each) if isinstance(each, Mapping) else each for each in below] if isinstance(below, list) else []
    for name, keys in above.items():
        found = next((each for each in merged if isinstance(each, dict) and each.get("name") == name), None)
        if found is None:
            merged.append({"name": name, **keys} if isinstance(keys, Mapping) else keys)
        elif isinstance(keys, Mapping):
            found.update(keys)
    return merged


def tenants_of(section: TenantsSection, shares: Callable[[], Mapping[str, float | None]], cluster: Cluster) -> Tenants:
    """Return the tenants that a section comes to: those of the workload, of the file and its own; the last say counts.

    Parameters
    ----------
    shares
        Returns the share of the cluster's GPUs that each tenant of the synthetic workload is due, ``None`` for none.

    Raises
    ------
    ConfigError, InputError
        For what cannot be, in the section or its file, and for quotas of GPU types that the cluster does not have.
    """
    given = section.model_dump(exclude_none=True, exclude={"file", "of_workload"})
    own = Tenants.of({name: value for name, value in given.items() if name not in _OF_ALL})
    filed = Tenants() if section.file is None else read_tenants(section.file)
    known: dict[str, Tenant] = {}
    if section.of_workload:
        known |= {name: Tenant(name=name, nominal=_whole(share, cluster.gpus)) for name, share in shares().items()}
    known |= {each.name: each for each in (*filed.tenants, *own.tenants)}
    tenants = Tenants(
        tenants=tuple(known.values()),
        limits=(*filed.limits, *own.limits),
        **{name: given.get(name, getattr(filed, name)) for name in _OF_ALL},
        nominal=filed.nominal if own.nominal is None else own.nominal,
    )
    if given and not tenants:
        raise ConfigError(
            f"'{next(iter(given))}' says how tenants share the cluster, and there are none; add [[tenants.tenant]], or "
            "file = FILE"
        )
    for name in tenants.types or ():
        if name not in cluster.gpu_types:
            problem = unknown_name(f"GPU type of a quota{_whose(tenants, name)}", name, cluster.gpu_types)
            if section.file is not None and name in (filed.types or ()):
                raise InputError(str(problem), path=section.file)
            raise problem
    return tenants


def due_shares(section: WorkloadSection, spec: Callable[[], SynthesisSpec]) -> Mapping[str, float | None]:
    """Return the share of the cluster that each tenant of the synthetic workload is due.

    Raises
    ------
    ConfigError
        Where there is no synthetic workload, or none of its tenants has a quota.
    """
    if section.trace is not None or section.fit is not None:
        raise ConfigError("'of_workload' is about the tenants of a synthetic workload, and there is none; leave it out")
    quotas = {each.name: each.quota for each in spec().tenants}
    if all(quota is None for quota in quotas.values()):
        raise ConfigError(
            "'of_workload' takes the quotas of the workload's tenants, and none has one; give them a 'quota' in "
            '[workload.tenants], or use a set that has them: preset = "rd-centres"'
        )
    return quotas


def _whose(tenants: Tenants, kind: str) -> str:
    """Return whose quota names a GPU type."""
    for each in tenants.tenants:
        if any(isinstance(quota, Mapping) and kind in quota for quota in (each.nominal, each.borrow, each.lend)):
            return f" of tenant '{each.name}':"
    return ""


def _whole(share: float | None, gpus: int) -> float | None:
    """Return a share of the cluster in whole GPUs, rounded down."""
    return None if share is None else float(math.floor(share * gpus + 1e-9))
