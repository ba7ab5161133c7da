"""Results made by hand for the tests of reports: plausible columns and numbers, no simulation behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gpuyard.result import Result

DAY = 86_400.0
NAMES = ("training", "realtime", "fine-tuning", "drug-discovery")


def plausible_result(
    *,
    seed: int = 1,
    jobs: int = 2_000,
    days: float = 30.0,
    bins: int = 720,
    classes: Sequence[str] = NAMES,
    tenants: Sequence[str] = ("national-lab", "battery-maker", "steelworks", "pharma"),
    wait_factor: float = 1.0,
    recorded: bool = True,
    energy: bool = True,
    policy: str = "fifo-fit",
) -> Result:
    """Return a result with every column and key that a report reads."""
    table = _jobs(
        np.random.default_rng(seed),
        jobs,
        days,
        classes=classes,
        tenants=tenants,
        wait_factor=wait_factor,
        recorded=recorded,
    )
    timeline = _timeline(np.random.default_rng(seed + 1), days, bins, classes, wait_factor, energy)
    attempts = table.select(["job_id", "start_time", "end_time"])
    numbers = _numbers(table, classes, tenants, energy)
    scenario = {
        "gpuyard": {"version": "0.1.0", "scenario": "phase-1"},
        "workload": {"preset": "phase-1", "jobs": jobs, "digest": f"workload-{seed}"},
        "cluster": {"preset": "phase-1", "nodes": 144, "gpus_per_node": 8, "source": "assumption: 8 GPUs a node"},
        "policy": {"order": "fifo", "name": policy, "placement": "packed"},
        "energy": {"pue": 1.13, "price": {"tariff": "industrial", "standing": "M"}},
        "run": {"seed": seed, "assumptions": ["GPU activity by class is an assumption, not a measurement"]},
    }
    return Result(jobs=table, attempts=attempts, timeline=timeline, numbers=numbers, scenario=scenario)


def _jobs(random, count, days, *, classes, tenants, wait_factor, recorded):
    submit = np.sort(random.uniform(0, days * DAY, count)).round(6)
    kind = random.choice(len(classes), count, p=_shares(len(classes)))
    gpus = random.choice([1, 2, 4, 8, 16, 64], count, p=[0.4, 0.15, 0.15, 0.2, 0.07, 0.03])
    runtime = random.lognormal(8, 1.6, count).round(6)
    wait = np.where(random.random(count) < 0.55, 0.0, wait_factor * random.lognormal(6, 2.2, count)).round(6)
    rejected = random.random(count) < 0.01
    start = np.where(rejected, np.nan, submit + wait)
    recorded_start = submit + np.where(random.random(count) < 0.3, 0.0, random.lognormal(6.5, 2, count))
    nullable = lambda values: pa.array(values, pa.float64(), mask=np.isnan(values))  # noqa: E731
    jct = start + runtime - submit
    columns = {
        "job_id": pa.array([f"job-{number}" for number in range(count)]),
        "submit_time": pa.array(submit),
        "eligible_time": pa.array(submit),
        "start_time": nullable(start),
        "end_time": nullable(start + runtime),
        "wait_time": nullable(start - submit),
        "submit_wait_time": nullable(start - submit),
        "jct": nullable(jct),
        "runtime": pa.array(runtime),
        "gpus": pa.array(gpus, pa.int32()),
        "gpu_milli": pa.nulls(count, pa.int32()),
        "job_class": pa.array(np.array(classes, dtype=object)[kind], pa.string()),
        "tenant": pa.array(np.array(tenants, dtype=object)[random.integers(0, len(tenants), count)], pa.string()),
        "user": pa.array([f"user-{number % 37}" for number in range(count)]),
        "state": pa.array(np.where(rejected, "rejected", "completed")),
        "reject_reason": pa.array(
            np.where(rejected, "needs 64 GPUs on one node, the largest has 8", None), pa.string()
        ),
        "slowdown": nullable(jct / runtime),
        "bounded_slowdown": nullable(np.maximum(1, jct / np.maximum(runtime, 10))),
        "gpu_time": nullable(np.where(rejected, 0.0, runtime * gpus)),
        "energy_kwh": nullable(runtime * gpus / 3600 * 0.9),
        "recorded_start_time": pa.array(recorded_start) if recorded else pa.nulls(count, pa.float64()),
    }
    return pa.table(columns)


def _shares(count):
    weights = 0.5 ** np.arange(count)
    return weights / weights.sum()


def _timeline(random, days, bins, classes, wait_factor, energy):
    time = np.linspace(0, days * DAY, bins, endpoint=False)
    day = 0.5 + 0.5 * np.sin(2 * np.pi * time / DAY)
    held = {
        f"held.{name}": 900 * share * (0.7 + 0.3 * day) * random.uniform(0.85, 1, bins)
        for name, share in zip(classes, _shares(len(classes)), strict=True)
    }
    total = np.sum(list(held.values()), axis=0)
    power = 400_000 + total * 1_000
    pue = 1.12 + 0.05 * day
    columns = {
        "time": time,
        "duration_s": np.full(bins, days * DAY / bins),
        "gpus_up": np.full(bins, 1152.0),
        "gpus_held": total,
        "gpus_busy": total * 0.8,
        "queued_jobs": np.floor(wait_factor * 30 * day),
        "queued_gpus": np.floor(wait_factor * 140 * day),
        "running_jobs": np.floor(total / 5),
        **held,
    }
    if energy:
        columns |= {
            "it_power_w": power,
            "facility_power_w": power * pue,
            "pue": pue,
            "carbon_kg_per_kwh": np.full(bins, 0.42),
            "price_krw_per_kwh": 110 + 60 * day,
        }
    return pa.table(columns)


def _block(values):
    known = np.sort(np.asarray(values, dtype=float)[~np.isnan(np.asarray(values, dtype=float))])
    if known.size == 0:
        return dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "max"))
    at = lambda level: float(np.percentile(known, level, method="lower"))  # noqa: E731
    return {
        "mean": float(known.mean()),
        "p50": at(50),
        "p90": at(90),
        "p95": at(95),
        "p99": at(99),
        "max": float(known[-1]),
    }


def _group(table, mask):
    rows = table.filter(pa.array(mask))
    get = lambda name: rows.column(name).to_numpy()  # noqa: E731
    return {
        "jobs": {
            "submitted": rows.num_rows,
            "completed": int((get("state") == "completed").sum()),
            "rejected": int((get("state") == "rejected").sum()),
        },
        "wait_s": _block(get("wait_time")),
        "submit_wait_s": _block(get("submit_wait_time")),
        "jct_s": _block(get("jct")),
        "bounded_slowdown": _block(get("bounded_slowdown")),
        "gpu": {"gpu_hours": float(np.nansum(get("gpu_time"))) / 3600},
    }


def _shared(blocks):
    total = sum(block["gpu"]["gpu_hours"] for block in blocks.values())
    for block in blocks.values():
        block["gpu"]["share"] = block["gpu"]["gpu_hours"] / total
        block["energy"] = {"it_kwh": 0.8 * block["gpu"]["gpu_hours"]}
    return blocks


def _numbers(table, classes, tenants, energy):
    everything = _group(table, np.ones(table.num_rows, bool))
    job_class, tenant = table.column("job_class").to_pylist(), table.column("tenant").to_pylist()
    gpus = table.column("gpus").to_numpy()
    wait_recorded = table.column("recorded_start_time").to_numpy() - table.column("submit_time").to_numpy()
    numbers = {
        **everything,
        "jobs": {**everything["jobs"], "failed": 0, "cancelled": 0, "timed_out": 0, "unfinished": 0},
        "makespan_s": 2_700_000.0,
        "first_submit_s": 12.0,
        "last_end_s": 2_700_012.0,
        "gpu": {"count": 1152, "allocation_rate": 0.713, "utilization": 0.57, "goodput": 0.99, "fragmentation": 0.021},
        "queue": {"mean_jobs": 15.2, "max_jobs": 61, "mean_gpus": 71.0},
        "preemptions": 0,
        "restarts": 0,
        "lost_gpu_hours": 0.0,
        "network": {"cross_rack_share": 0.04},
        "by_class": _shared({name: _group(table, np.array([name == one for one in job_class])) for name in classes}),
        "by_tenant": _shared({name: _group(table, np.array([name == one for one in tenant])) for name in tenants}),
        "by_gpus": _shared(
            {
                name: _group(table, mask)
                for name, mask in {
                    "1": gpus == 1,
                    "2-4": (gpus > 1) & (gpus <= 4),
                    "8": gpus == 8,
                    "9+": gpus > 8,
                }.items()
            }
        ),
        "engine": {"events": 4_000, "passes": 3_900, "wall_s": 0.012, "events_per_s": 333_333.0, "digest": "ab" * 32},
        "window": {"start_s": 0.0, "end_s": 2_592_000.0, "warmup_s": 0.0},
        "saturated": False,
    }
    if not np.isnan(wait_recorded).all():
        numbers["recorded"] = {
            "jobs": table.num_rows,
            "recorded_wait_s": _block(wait_recorded),
            "simulated_wait_s": everything["submit_wait_s"],
            "mean_absolute_error_s": 1234.0,
            "correlation": 0.25,
        }
    if energy:
        numbers["energy"] = {
            "it_kwh": 780_000.0,
            "facility_kwh": 893_000.0,
            "pue": 1.145,
            "mean_mw": 1.24,
            "peak_mw": 1.53,
            "kwh_per_gpu_hour": 1.51,
            "carbon_kg": 375_000.0,
            "cost_krw": 125_000_000.0,
            "idle_share": 0.2,
        }
    return numbers
