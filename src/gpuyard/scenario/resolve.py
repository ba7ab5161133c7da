"""From a checked scenario to the objects a simulation takes, and to the scenario that is written beside its result."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.bounds import Bounds, check_bounds
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.policy import Policy, named_policy
from gpuyard.scenario.named_traces import checked_trace, sha256_of, verify
from gpuyard.scenario.stages import node_sizes, stages_of
from gpuyard.scenario.tenant_keys import TenantsSection, due_shares, tenants_of
from gpuyard.tenancy import NO_TENANTS, Tenants
from gpuyard.units import counted, parse_window
from gpuyard.virtual_clusters import (
    VirtualCluster,
    check_run_tenants,
    divide,
    owners_of_nodes,
    virtual_cluster_tables,
)
from gpuyard.windows import NodeWindow, check_windows
from gpuyard.workload import Workload

if TYPE_CHECKING:
    from datetime import datetime

    from gpuyard.energy import EnergyModel
    from gpuyard.experiment import Progress
    from gpuyard.fitting import FittedModel, LookAlike
    from gpuyard.result import Result
    from gpuyard.scenario.sections import Model, WorkloadSection
    from gpuyard.scenario.what_if import MergedTrace
    from gpuyard.synthesis import Figure, Generation, Stage, SynthesisSpec
    from gpuyard.traces.trace import Trace

__all__ = ["Resolved", "Resolver", "RunOptions", "simulate_resolved"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """``[run]``: the seed, and when to stop, what to measure and in which steps, s since the origin."""

    seed: int = 0
    until: float | None = None
    begin: float | None = None
    window: tuple[float, float] | None = None
    warmup: float = 0.0
    bin_width: float | None = None
    tenant_weights: Mapping[str, float] | None = None
    alone: bool | None = None
    decisions: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What a simulation takes; unpacks to ``workload, cluster, policy, energy, options``.

    ``echo`` is the scenario with everything resolved, as it is written to ``scenario.toml``.
    """

    workload: Workload
    cluster: Cluster
    policy: Policy
    energy: EnergyModel
    options: RunOptions
    echo: Mapping[str, Any]
    windows: tuple[NodeWindow, ...] = ()
    virtual_clusters: tuple[VirtualCluster, ...] = ()
    tenants: Tenants = NO_TENANTS
    bounds: tuple[Bounds, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.workload, self.cluster, self.policy, self.energy, self.options))


class _PlacedError(ConfigError):
    """A setting that cannot be used; the message says already in which section of which file."""


class Resolver:
    """Makes each part of one scenario once."""

    def __init__(self, checked: Model, values: Mapping[str, Any], origin: Callable[[tuple[str, ...]], str]) -> None:
        self._checked = checked
        self._values = values
        self._origin = origin
        self._made: tuple[Workload, Trace | None] | None = None
        self._fitted: FittedModel | None = None

    @contextmanager
    def _blamed_on(self, section: str) -> Iterator[None]:
        """Say in which section of which file a setting is that cannot be used."""
        try:
            yield
        except _PlacedError:
            raise  # what makes a workload may ask for the cluster, whose settings are in a section of their own
        except ConfigError as problem:
            raise _PlacedError(f"{self._origin((section,))}: [{section}] {problem}") from None

    def workload(self, tell: Progress) -> tuple[Workload, Trace | None]:
        """Return the jobs, and the trace as read where there is one."""
        if self._made is None:
            self._made = self._make_workload(tell)
        return self._made

    def workload_figures(self) -> list[Figure]:
        """Return the figures behind a synthetic workload, with standing and source; none for a trace."""
        from gpuyard.synthesis import describe

        section = self._checked.workload
        return [] if section.trace is not None or section.fit is not None else describe(self._spec)

    def cluster(self) -> Cluster:
        """Return the cluster."""
        return self._cluster

    def policy(self) -> Policy:
        """Return the policy: the named one, with what else the section says."""
        given = self._checked.policy.model_dump(exclude_none=True)
        with self._blamed_on("policy"):
            return named_policy(given.pop("name", "fifo"), **given)

    def resolve(self, tell: Progress) -> Resolved:
        """Make everything, cheap and fallible things first."""
        policy, energy = self.policy(), self.energy()
        tell("building the cluster", None)
        cluster = self.cluster()
        with self._blamed_on("cluster"):
            _check_nodes(cluster)
        windows, parts, tenants = self.windows(), self.virtual_clusters(), self.tenants()
        workload, trace = self.workload(tell)
        with self._blamed_on("virtual_cluster"):
            if parts:
                divide(workload, cluster, policy, parts, tenants)
        options = self._options(workload, synthetic=trace is None)
        echo = self._echo(policy, energy, options, trace) | virtual_cluster_tables(parts)
        echo.pop("tenants", None)
        if tenants:
            echo["tenants"] = tenants.to_mapping()
        return Resolved(
            workload=workload,
            cluster=cluster,
            policy=policy,
            energy=energy,
            options=options,
            echo=echo,
            windows=windows,
            virtual_clusters=parts,
            tenants=tenants,
            bounds=self.bounds(),
        )

    def virtual_clusters(self) -> tuple[VirtualCluster, ...]:
        """Return the virtual clusters."""
        given = self._checked.policy.model_dump(exclude_none=True)
        with self._blamed_on("virtual_cluster"):
            found = [(each, table) for table in self._checked.virtual_cluster for each in table.virtual_clusters(given)]
            parts = tuple(each for each, _ in found)
            if all(table.tenants is None for _, table in found):
                return parts
            owner = owners_of_nodes(self._cluster, parts)
            return tuple(
                self._shared_out(each, table.tenants, np.flatnonzero(owner == number))
                for number, (each, table) in enumerate(found)
            )

    def _shared_out(
        self, part: VirtualCluster, section: TenantsSection | None, nodes: NDArray[np.int64]
    ) -> VirtualCluster:
        """Return a virtual cluster with the tenants that its own section, if it has one, comes to on its nodes."""
        if section is None:
            return part
        try:
            return replace(part, sharing=tenants_of(section, self._due_shares, self._cluster.part(nodes, part.name)))
        except ConfigError as problem:
            raise ConfigError(f"'{part.name}', its tenants: {problem}") from None

    def _due_shares(self) -> Mapping[str, float | None]:
        return due_shares(self._checked.workload, lambda: self._spec)

    def tenants(self) -> Tenants:
        """Return who shares the cluster, with quotas and limits."""
        with self._blamed_on("tenants"):
            tenants = tenants_of(self._checked.tenants, self._due_shares, self._cluster)
            if self._checked.virtual_cluster:
                check_run_tenants(tenants)
            return tenants

    def windows(self) -> tuple[NodeWindow, ...]:
        """Return maintenance, reservations and commissioning of nodes, each of whose nodes the cluster has."""
        from gpuyard.scenario.source import WINDOW_LISTS

        found = []
        for section in WINDOW_LISTS:
            with self._blamed_on(section):
                for table in getattr(self._checked, section):
                    for window in table.windows(self._second_0):
                        window.node_numbers(self._cluster)
                        found.append(window)
                check_windows(found)
        return tuple(found)

    def bounds(self) -> tuple[Bounds, ...]:
        """Return what a single job of a partition or QOS may ask for."""
        found: list[Bounds] = []
        for section in ("partition", "qos"):
            with self._blamed_on(section):
                found += [table.bounds() for table in getattr(self._checked, section)]
                check_bounds(found)
        without_nodes = {table.name for table in self._checked.partition if table.nodes is None}
        return tuple(each for each in found if each.binds or each.is_default or each.partition in without_nodes)

    def _second_0(self) -> datetime | None:
        """Return second 0 of the workload, where it is known; a trace is read for it."""
        from gpuyard.metrics.stages import second_0

        if self._checked.workload.trace is None and self._checked.workload.fit is None:
            return self._spec.origin()
        return second_0(self.workload(lambda stage, share: None)[0])

    def energy(self) -> EnergyModel:
        """Return the energy model."""
        from gpuyard.energy import EnergyModel

        with self._blamed_on("energy"):
            return EnergyModel.from_mapping(self._checked.energy.model_dump(exclude_none=True))

    @cached_property
    def _cluster(self) -> Cluster:
        section = self._checked.cluster.model_dump(exclude_none=True)
        with self._blamed_on("cluster"):
            return Cluster.from_mapping(section, name=self._checked.name or "cluster", site=self._checked.site or None)

    def _make_workload(self, tell: Progress) -> tuple[Workload, Trace | None]:
        section = self._checked.workload
        if section.fit is not None:
            with self._blamed_on("workload"):
                made = self._look_alike(tell).workload()
            return self._changed(made, tell), None
        if section.trace is None:
            return self._changed(self._synthesised(tell), tell), None
        trace = checked_trace(Path(section.trace), section, tell)
        return self._changed(Workload.from_trace(trace), tell, head=section.jobs), trace

    def _changed(self, workload: Workload, tell: Progress, head: int | None = None) -> Workload:
        """Return what the section makes of the jobs: more of them, a choice of them, and all what-ifs."""
        from gpuyard.scenario.what_if import merged, reshaped

        section = self._checked.workload
        with self._blamed_on("workload"):
            workload = merged(
                workload, section, lambda each: Workload.from_trace(checked_trace(Path(each.trace), each, tell))
            )
        workload = _chosen(workload, section, head)
        with self._blamed_on("workload"):
            workload = reshaped(workload, section, self._checked.run.seed)
        if len(workload) == 0:
            raise ConfigError("no job is left: [workload] thin leaves none; choose a larger share")
        return self._arriving(workload)

    def look_alike(self, tell: Progress) -> LookAlike | None:
        """Return the look-alike before its jobs are made; None without one, or where jobs are chosen or changed."""
        from gpuyard.scenario.sections import LOOK_ALIKE_KEYS

        given = self._checked.workload.model_dump(exclude_none=True).keys()
        if "fit" not in given or not given <= {*LOOK_ALIKE_KEYS}:
            return None
        with self._blamed_on("workload"):
            return self._look_alike(tell)

    def _look_alike(self, tell: Progress) -> LookAlike:
        """Return jobs like those of a trace, or of a model that was fitted before, not yet made."""
        from gpuyard.fitting import LookAlike

        section, model = self._checked.workload, self.fitted(tell)
        tell("making the look-alike", None)
        seed = self._checked.run.seed
        return LookAlike(model, jobs=section.jobs, days=section.days, start=section.start, seed=seed)

    def fitted(self, tell: Progress) -> FittedModel:
        """Return the model of the trace, or in the file, that the section names; it is made once."""
        if self._fitted is None:
            self._fitted = self._fit(tell)
        return self._fitted

    def _fit(self, tell: Progress) -> FittedModel:
        from gpuyard.fitting import FittedModel, fit

        section = self._checked.workload
        path = Path(str(section.fit))
        if path.suffix == ".toml":
            verify(path, section.sha256)
            return FittedModel.load(path)
        trace = checked_trace(path, section, tell)
        tell("fitting", None)
        return fit(Workload.from_trace(trace))

    def _arriving(self, workload: Workload) -> Workload:
        """Return the jobs as they come, or, where the section says so, jobs that only arrive."""
        ratio = self._checked.workload.arrivals_only
        if ratio is None:
            return workload
        from gpuyard.scenario.arrivals import arrivals_only, check_arrivals_policy

        with self._blamed_on("workload"):
            check_arrivals_policy(self.policy())
            return arrivals_only(workload, self._cluster.gpus, ratio, self._checked.run.seed)

    @cached_property
    def _spec(self) -> SynthesisSpec:
        from gpuyard.synthesis import SynthesisSpec

        with self._blamed_on("workload"):
            return SynthesisSpec.from_mapping(self._checked.workload.synthesis())

    def generation(self) -> Generation | None:
        """Return the synthetic workload before it is made; None for a trace, or where jobs are chosen or changed."""
        from gpuyard.scenario.sections import SYNTHESIS_KEYS

        given = self._checked.workload.model_dump(exclude_none=True)
        if not given.keys() <= {*SYNTHESIS_KEYS, "jobs"}:
            return None
        from gpuyard.synthesis import generation, generation_growing

        with self._blamed_on("workload"):
            if not self._checked.commission:
                return generation(self._spec, **self._site())
            return generation_growing(self._spec, self._stages(), seed=self._checked.run.seed)

    def _stages(self) -> list[Stage]:
        """Return the stages of a site that grows."""
        return stages_of(self._cluster, self.windows(), self._spec.days)

    def _site(self) -> dict[str, Any]:
        """Return what the jobs are made for: none is larger than the largest pool of GPUs of one type."""
        cluster = self._cluster
        pools = np.bincount(cluster.node_type, weights=cluster.node_gpus)
        cpus = None if cluster.node_cpus is None else float(cluster.node_cpus.min())
        seed = self._checked.run.seed
        own = {"node_cpus": cpus, "node_gpus": node_sizes(cluster.node_gpus)}
        return {"gpus": cluster.gpus, "seed": seed, "max_gpus_per_job": int(pools.max()), **own}

    def _synthesised(self, tell: Progress) -> Workload:
        """Return jobs made for the cluster."""
        from gpuyard.synthesis import synthesise, synthesise_growing

        def told(share: float) -> None:
            tell("making the workload", share)

        with self._blamed_on("workload"):
            if not self._checked.commission:
                return synthesise(self._spec, **self._site(), progress=told)
            return synthesise_growing(self._spec, self._stages(), seed=self._checked.run.seed, progress=told)

    def _options(self, workload: Workload, *, synthetic: bool) -> RunOptions:
        """Return the run options; what a synthetic workload is measured over is the time it was made for.

        Its arrivals stop there, so the time after it says how long the last jobs take, not how the site is used.
        """
        from gpuyard.scenario.what_if import MOVING
        from gpuyard.synthesis import span_of

        options = RunOptions(**self._checked.run.model_dump())
        if self._checked.workload.arrivals_only is not None:
            last = float(len(workload) - 1)
            return replace(options, until=last if options.until is None else min(last, options.until))
        moved = any(getattr(self._checked.workload, key) is not None for key in MOVING)
        span = span_of(workload) if synthetic and options.window is None and not moved else None
        if span is None:
            return options
        return replace(options, window=(min(max(options.begin or 0.0, 0.0), span), span))

    def _echo(self, policy: Policy, energy: EnergyModel, options: RunOptions, trace: Trace | None) -> dict[str, Any]:
        """Return the scenario with names made definite, paths absolute, and digests and versions added."""
        echo = {name: dict(item) if isinstance(item, Mapping) else item for name, item in self._values.items()}
        echo.pop("provenance", None)
        if self._checked.workload.fit is not None:
            path = Path(self._checked.workload.fit).resolve()
            echo["workload"] |= {"fit": str(path), "sha256": sha256_of(path)}
        elif trace is None:
            echo["workload"] = dict(self._values.get("workload", {})) | self._spec.to_mapping()
            own = [echo["workload"].get("services", {}), *echo["workload"].get("kinds", {}).values()]
            for kind in (kind for services in own for kind in services.values() if "requests" in kind):
                path = Path(kind["requests"]).resolve()
                kind |= {"requests": str(path), "sha256": sha256_of(path)}
            echo["provenance"] = {"workload_figures": [figure._asdict() for figure in self.workload_figures()]}
        else:
            path = Path(str(self._checked.workload.trace)).resolve()
            echo["workload"] |= {"trace": str(path), "format": trace.format, "sha256": sha256_of(path)}
        if self._checked.workload.merge:
            echo["workload"]["merge"] = [_echoed(each) for each in self._checked.workload.merge]
        if self._checked.cluster.file is not None:
            path = Path(self._checked.cluster.file).resolve()
            echo["cluster"] |= {"file": str(path), "sha256": sha256_of(path)}
        return _as_read(echo | {"policy": policy.to_mapping(), "energy": energy.to_mapping(), "run": asdict(options)})


def _echoed(merged: MergedTrace) -> dict[str, Any]:
    """Return what is written down of a trace that came along: its whole path and its digest."""
    path = Path(merged.trace).resolve()
    return merged.model_dump(exclude_none=True) | {"trace": str(path), "sha256": sha256_of(path)}


def _check_nodes(cluster: Cluster) -> None:
    """Raise a ConfigError for more nodes than the engine can keep apart, before any job is made or read."""
    from gpuyard.kernel.build import MOST_ITEMS

    if cluster.nodes > MOST_ITEMS:
        raise ConfigError(
            f"'{cluster.name}' has {cluster.nodes:,} nodes, and at most {MOST_ITEMS:,} can be simulated; "
            "simulate a part of the site, or describe several small nodes as one"
        )


def _as_read(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table as it comes back from a TOML file: no nulls, lists for tuples, tables after plain values."""
    plain = {key: list(item) if isinstance(item, tuple) else item for key, item in table.items() if item is not None}
    inner = {key: _as_read(item) for key, item in plain.items() if isinstance(item, Mapping)}
    return {key: item for key, item in plain.items() if key not in inner} | inner


def simulate_resolved(resolved: Resolved, tell: Progress) -> Result:
    """Simulate what a scenario resolved to."""
    from gpuyard.experiment import simulate
    from gpuyard.simulation import is_compiled

    workload, cluster, policy, energy, options = resolved
    simulating = f"simulating {counted(len(workload), 'job')} on {counted(cluster.gpus, 'GPU')}"
    stages = {
        "schedule": simulating,
        "energy": "adding up the energy",
        "metrics": "measuring",
        "alone": "simulating each tenant alone",
    }
    kinds = [(each.own_policy or policy, each.own_tenants or resolved.tenants) for each in resolved.virtual_clusters]
    ready = all(
        is_compiled(workload, cluster, own, resolved.windows, tenants)
        for own, tenants in kinds or [(policy, resolved.tenants)]
    )
    first = simulating if ready else "compiling the engine for this kind of policy; this happens once"

    def say(stage: str, share: float | None) -> None:
        if stage == "schedule" and not share:
            tell(first, None)
        else:
            tell(stages.get(stage, stage), share)

    return simulate(
        workload,
        cluster,
        policy=policy,
        energy=energy,
        windows=resolved.windows,
        virtual_clusters=resolved.virtual_clusters,
        tenants=resolved.tenants,
        bounds=resolved.bounds,
        scenario=resolved.echo,
        progress=say,
        **asdict(options),
    )


def _chosen(workload: Workload, section: WorkloadSection, head: int | None = None) -> Workload:
    """Return the jobs the section asks for; everything left out is counted in the notes."""
    for column, names in (("tenant", section.tenant), ("partition", section.partition), ("user", section.user)):
        if names is not None:
            workload = _only(workload, column, names)
    if section.window is not None:
        workload = workload.window(*parse_window(section.window))
    if head is not None:
        workload = workload.head(head)
    if len(workload) == 0:
        raise ConfigError("no job is left: [workload] tenant, partition, user and window leave none")
    return workload


def _only(workload: Workload, column: str, names: list[str]) -> Workload:
    codes, known = workload.labels(column)
    for name in names:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{nearest[0]}'? " if nearest else ""
            listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
            raise ConfigError(f"no job has the {column} '{name}'; {hint}the trace has {listed or 'none'}")
    wanted = [known.index(name) for name in names]
    return workload.where(np.isin(codes, wanted), f"{column} {', '.join(names)}")
