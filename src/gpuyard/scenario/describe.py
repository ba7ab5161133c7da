"""What a workload, a scenario or a trace holds: flat facts and rows for people and for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpuyard.datasheet import STANDINGS, Row, compare_rows, describe, describe_rows
from gpuyard.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuyard.scenario.model import Scenario
    from gpuyard.scenario.node_sets import CommissionSection
    from gpuyard.traces.trace import Trace
    from gpuyard.workload import Workload

__all__ = ["compared_rows", "scenario_facts", "scenario_rows", "trace_facts", "workload_facts"]

HOUR, DAY = 3600.0, 86_400.0


def workload_facts(workload: Workload) -> dict[str, object]:
    """Return counts, the span, GPU-hours, and the share of each class and tenant in GPU-hours."""
    submit, runtime = workload.floats("submit_time"), workload.floats("runtime")
    gpus = workload.gpus
    hours = np.where(np.isfinite(runtime), runtime, 0.0) * gpus / HOUR
    facts: dict[str, object] = {
        "name": workload.name,
        "jobs": len(workload),
        "rejected_rows": len(workload.rejected),
        "origin": workload.origin or None,
        "first_submit_s": float(submit.min()) if submit.size else None,
        "last_submit_s": float(submit.max()) if submit.size else None,
        "gpu_hours": float(hours.sum()),
        "gpus_largest_job": int(gpus.max()) if gpus.size else None,
        "runtime_median_s": float(np.nanmedian(runtime)) if np.isfinite(runtime).any() else None,
        "jobs_without_runtime": int((~np.isfinite(runtime)).sum()),
    }
    for column, name in (("job_class", "class"), ("tenant", "tenant")):
        codes, labels = workload.labels(column)
        if len(labels) > 1:
            jobs = np.bincount(codes, minlength=len(labels))
            share = np.bincount(codes, weights=hours, minlength=len(labels)) / max(float(hours.sum()), 1e-300)
            largest = sorted(range(len(labels)), key=lambda at: (-share[at], labels[at]))
            for at in largest[:12]:
                facts[f"{name} {labels[at]}"] = f"{counted(jobs[at], 'job')}, {share[at]:.1%} of GPU-hours"
            if len(labels) > 12:
                facts[f"further {name} names"] = len(labels) - 12
    return facts


def scenario_facts(scenario: Scenario) -> dict[str, object]:
    """Return what a scenario is, for JSON: its tables as they were merged, and what its cluster comes to."""
    return {"name": scenario.name, **scenario.to_mapping(), "cluster": describe(scenario.build_cluster())}


def scenario_rows(scenario: Scenario) -> list[Row]:
    """Return what a scenario is: its cluster, and the policy, energy and load figures with their sources."""
    checked = scenario.checked
    rows = [Row("scenario", scenario.name), Row("description", checked.description or "-")]
    rows += describe_rows(scenario.build_cluster())
    policy = scenario.build_policy()
    values = {f"energy.{key}": item for key, item in checked.energy.model_dump(exclude_none=True).items()}
    values |= {f"workload.{key}": item for key, item in checked.workload.model_dump(exclude_none=True).items()}
    values |= {"policy": f"{policy.name}, placement {policy.placement}"}
    values |= {f"commission.{number}": _coming(each) for number, each in enumerate(checked.commission, start=1)}
    sources = checked.site.get("sources", {})
    for key, value in values.items():
        standing, source = sources.get(key, sources.get(key.partition(".")[0], ("", "")))
        text = str(source).removeprefix("an assumption: ")
        rows.append(Row(key, _short(value), STANDINGS.get(standing, standing), text))
    return rows


def compared_rows(scenarios: Sequence[Scenario]) -> list[tuple[str, ...]]:
    """Return (figure, one value a scenario, standing) rows: clusters side by side, and what is submitted to them.

    Jobs are counted as :meth:`Scenario.generation` plans them; none is made.
    """
    rows = compare_rows([scenario.build_cluster() for scenario in scenarios])
    made = [scenario.generation() for scenario in scenarios]
    figures = {
        "tenants": [f"{len(each.tenants)}" if each else "-" for each in made],
        "users": [f"{sum(tenant.users for tenant in each.tenants):,}" if each else "-" for each in made],
        "offered load": [f"{each.load:.2f}" if each else "-" for each in made],
        "jobs a day": [f"{each.jobs / each.span * DAY:,.0f}" if each else "-" for each in made],
    }
    return rows + [(figure, *values, STANDINGS["M"]) for figure, values in figures.items()]


def _coming(section: CommissionSection) -> str:
    """Return which nodes come when, in words."""
    when = section.start if isinstance(section.start, str) else f"{section.start:g} s"
    return f"nodes {', '.join(map(str, section.nodes))} from {when}" + (
        f", phase {section.phase}" * bool(section.phase)
    )


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def trace_facts(trace: Trace) -> dict[str, object]:
    """Return the format, the rows, why rows were rejected, and the reader's notes."""
    facts: dict[str, object] = {"format": trace.format, "rows": trace.rows_in, "jobs": trace.table.num_rows}
    facts |= {f"rejected: {reason}": count for reason, count in trace.reasons().items()}
    facts |= {f"note {number}": text for number, text in enumerate(trace.notes, start=1)}
    return facts
