"""The columns of the result tables and the keys of ``summary.json``: unit and meaning, stated here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from gpuyard.metrics.facts import STATES
from gpuyard.metrics.keys import DONE, FAIRNESS, Key
from gpuyard.metrics.keys import key as _key
from gpuyard.metrics.keys import percentiles as _percentiles
from gpuyard.metrics.service_columns import SERVED, SERVICE_KEYS, of_requests
from gpuyard.metrics.tenant_columns import SHARED, TENANT_KEYS
from gpuyard.traces.schema import Column

__all__ = [
    "ATTEMPTS",
    "DECISIONS",
    "DEFICIT",
    "HELD",
    "JOBS",
    "SERVED",
    "SUMMARY",
    "TIMELINE",
    "UNWEIGHED",
    "Key",
    "leaves",
    "reference",
    "schema",
    "undocumented",
]

DEFICIT: Final = "deficit."
"""Prefix of the timeline's columns of what tenants were due and did not hold."""
HELD: Final = "held."
"""Prefix of the timeline's columns by job class."""


def _column(name: str, dtype: pa.DataType, unit: str, meaning: str, null: str = "never null") -> Column:
    return Column(name=name, dtype=dtype, unit=unit, meaning=meaning, null=null)


_WAITING: Final = "the job did not start"
_RUNNING: Final = "the job did not end"
_LEFT: Final = f"{_RUNNING}, or a preemption cancelled it"

JOBS: Final[tuple[Column, ...]] = (
    _column("job_id", pa.string(), "name", "the job's name in the source"),
    _column("submit_time", pa.float64(), "s", "when it was submitted, since the origin"),
    _column(
        "eligible_time",
        pa.float64(),
        "s",
        "when it might first have started: submission, earliest start and dependencies considered",
        "never became eligible",
    ),
    _column("start_time", pa.float64(), "s", "first start, since the origin", _WAITING),
    _column("end_time", pa.float64(), "s", "last end, since the origin", _RUNNING),
    _column("wait_time", pa.float64(), "s", "start_time - eligible_time", _WAITING),
    _column("submit_wait_time", pa.float64(), "s", "start_time - submit_time", _WAITING),
    _column("jct", pa.float64(), "s", "job completion time: end_time - submit_time", _LEFT),
    _column(
        "runtime",
        pa.float64(),
        "s",
        "how long it worked, without what was lost; less than its own run time if its limit killed it",
        _LEFT,
    ),
    _column("gpus", pa.int32(), "GPUs", "GPUs it asked for"),
    _column("gpu_milli", pa.int32(), "1/1000 GPU", "share of its one GPU", "whole GPUs"),
    _column("job_class", pa.string(), "name", "workload class", "no class: counted as 'other'"),
    _column("tenant", pa.string(), "name", "who is charged", "no tenant: counted as 'other'"),
    _column("user", pa.string(), "name", "who submitted it", "not recorded"),
    _column("partition", pa.string(), "name", "the partition it was submitted to", "not recorded"),
    _column("qos", pa.string(), "name", "its quality of service class", "not recorded"),
    _column("priority", pa.int32(), "rank", "higher is more urgent", "not recorded: counted as 0"),
    _column(
        "virtual_cluster",
        pa.string(),
        "name",
        "the virtual cluster it belongs to",
        "the run has no virtual clusters, or it belongs to none",
    ),
    _column("state", pa.string(), "name", "how it fared: " + ", ".join(STATES)),
    _column("reject_reason", pa.string(), "text", "why it was rejected", "not rejected"),
    _column("slowdown", pa.float64(), "ratio", "jct / runtime", f"{_LEFT}, or it ran no time"),
    _column("bounded_slowdown", pa.float64(), "ratio", "max(1, jct / max(runtime, 10 s))", _LEFT),
    _column("gpu_time", pa.float64(), "GPU s", "GPUs held x time held; 0 for an attempt that found no room"),
    _column(
        "energy_kwh",
        pa.float64(),
        "kWh",
        "IT energy: its GPUs and CPUs above idle, and the idle draw of its share of the nodes it was on",
    ),
    _column("deadline", pa.float64(), "s", "when it was due, since the origin", "no deadline"),
    _column(
        "lateness",
        pa.float64(),
        "s",
        "end_time - deadline; negative if it ended early enough",
        f"no deadline, or {_LEFT}",
    ),
    _column(
        "recorded_start_time", pa.float64(), "s", "when it started in the record, since the origin", "not recorded"
    ),
)

ATTEMPTS: Final[tuple[Column, ...]] = (
    _column("job_id", pa.string(), "name", "whose attempt"),
    _column("attempt", pa.int32(), "number", "1 for the first attempt of the job, 2 for the next"),
    _column("start_time", pa.float64(), "s", "since the origin"),
    _column("end_time", pa.float64(), "s", "since the origin; the stop for an attempt that was still running"),
    _column(
        "end_reason",
        pa.string(),
        "name",
        "finished (its run time was over), time_limit (killed at its limit), stopped (still running at the stop) or "
        "preempted (it made room for another)",
    ),
    _column("useful_time", pa.float64(), "s", "of its time: without restart, checkpoints and work that was lost"),
    _column("preempted_by", pa.string(), "name", "the job that it made room for", "it was not preempted"),
    _column(
        "preemption_reason",
        pa.string(),
        "name",
        "the rule by which it made room: that of the policy, such as priority, las or cells; reclaim where a job of "
        "another tenant took back what its own had borrowed, borrow where that job would borrow itself",
        "it was not preempted",
    ),
    _column(
        "lost_gpu_hours", pa.float64(), "GPU h", "held for nothing: work lost in a preemption, restart, checkpoints"
    ),
    _column("lent", pa.bool_(), "true or false", "it ran in cells that were lent to it", "the policy has no cells"),
    _column("speed", pa.float64(), "0 to 1", "speed of progress over that of an undisturbed allocation"),
    _column("gpus", pa.int32(), "GPUs", "GPUs it was on, a shared one counted whole; 0 if it found no room"),
    _column("nodes", pa.list_(pa.int32()), "node", "the nodes it was on; empty if it found no room"),
    _column("gpus_on_node", pa.list_(pa.int32()), "GPUs", "GPUs on each of these nodes"),
    _column(
        "first_gpu",
        pa.list_(pa.int32()),
        "GPU",
        "lowest GPU number on each of these nodes; -1 where GPU numbers were not tracked",
    ),
)

DECISIONS: Final[tuple[Column, ...]] = (
    _column("time", pa.float64(), "s", "when it was decided, since the origin"),
    _column(
        "job_id",
        pa.string(),
        "name",
        "easy: the first job in the queue, which found no room and was promised to start; conservative, slurm: a job "
        "whose planned beginning changed; none, under an order with a score: the first job in the queue, for which all "
        "others wait",
    ),
    _column(
        "begin_time",
        pa.float64(),
        "s",
        "when it is promised to start (easy: the shadow time), since the origin",
        "no such time was found (slurm: within its window), or nothing is promised",
    ),
    _column(
        "extra_gpus",
        pa.float64(),
        "GPUs",
        "easy by counts: GPUs that jobs may take which would still run at that time",
        "GPUs are not what is promised",
    ),
    _column("reserved_nodes", pa.int32(), "nodes", "easy on nodes: how many nodes are reserved for the job; else 0"),
    _column(
        "nodes",
        pa.list_(pa.int32()),
        "node",
        "which nodes these are",
        "the log had no room left for their numbers",
    ),
)
"""What the scheduler promised, a row for each promise that differs from the one before; only with ``decisions``."""

UNWEIGHED: Final = "no job could run, or too many different demands to weigh"
"""When the timeline's fragmentation is null."""

TIMELINE: Final[tuple[Column, ...]] = (
    _column("time", pa.float64(), "s", "start of the bin, since the origin"),
    _column("duration_s", pa.float64(), "s", "length of the bin; the first and last may be shorter than the rest"),
    _column("gpus_up", pa.float64(), "GPUs", "GPUs that were up"),
    _column("gpus_closed", pa.float64(), "GPUs", "GPUs on nodes under maintenance, held or not; they count as up"),
    _column("gpus_held", pa.float64(), "GPUs", "GPUs held by jobs, a fraction counted as what it is"),
    _column("gpus_busy", pa.float64(), "GPUs", "GPUs held x the activity of the jobs that hold them"),
    _column(
        "gpus_fragmented",
        pa.float64(),
        "GPUs",
        "free GPUs that a job could not use where they are, the mean over all jobs of the workload",
        UNWEIGHED,
    ),
    _column(
        "gpus_stranded",
        pa.float64(),
        "GPUs",
        "free GPUs that no job of the workload could use where they are",
        UNWEIGHED,
    ),
    _column("queued_jobs", pa.float64(), "jobs", "eligible jobs that wait"),
    _column("queued_gpus", pa.float64(), "GPUs", "GPUs these jobs ask for"),
    _column("running_jobs", pa.float64(), "jobs", "jobs that run"),
    _column("it_power_w", pa.float64(), "W", "power of nodes, switches, storage and management"),
    _column("facility_power_w", pa.float64(), "W", "power at the meter: IT, cooling and losses"),
    _column("pue", pa.float64(), "ratio", "facility power over IT power"),
    _column("carbon_kg_per_kwh", pa.float64(), "kg CO2e/kWh", "carbon of a kWh, weighted by facility energy"),
    _column("price_krw_per_kwh", pa.float64(), "KRW/kWh", "price of a kWh, weighted by facility energy"),
)
"""Means over the bin, exact, so that value x duration_s adds up to the total.  ``held.<class>`` columns follow."""


_OUTCOMES: Final = {
    "submitted": "submitted in the window",
    "completed": "ran to the end",
    "failed": "failed in the record; ran their recorded run time here",
    "cancelled": "cancelled in the record, which ran their recorded run time here, or by a preemption (mode cancel)",
    "timed_out": "killed at their time limit",
    "rejected": "could never run on this cluster, or had no run time",
    "unfinished": "still waiting or running at the stop",
    "not_started": "of the unfinished, those that had not started, also for want of others; in none of the waits",
}


def _of_jobs(prefix: str) -> tuple[Key, ...]:
    return (
        *(_key(f"{prefix}jobs.{name}", "jobs", meaning) for name, meaning in _OUTCOMES.items()),
        *_percentiles(f"{prefix}wait_s", "s", "first start - eligible time, over jobs that started"),
        *_percentiles(f"{prefix}submit_wait_s", "s", "first start - submission, over jobs that started"),
        *_percentiles(f"{prefix}jct_s", "s", f"end - submission, over jobs {DONE}"),
        *_percentiles(f"{prefix}bounded_slowdown", "ratio", f"max(1, jct / max(runtime, 10 s)), over jobs {DONE}"),
    )


def _of_groups(prefix: str) -> tuple[Key, ...]:
    return (
        *_of_jobs(prefix),
        _key(f"{prefix}gpu.gpu_hours", "GPU h", "held by the group"),
        _key(f"{prefix}gpu.share", "0 to 1", "share of all GPU-hours held"),
        _key(f"{prefix}gpu.allocation_rate", "0 to 1", "GPUs held by the group / GPUs up"),
        _key(f"{prefix}gpu.utilization", "0 to 1", "busy GPUs of the group / GPUs up"),
        _key(f"{prefix}gpu.activity", "0 to 1", "busy share of the GPUs the group held"),
        _key(f"{prefix}energy.it_kwh", "kWh", "IT energy of the group's jobs, idle draw of their GPUs included"),
        _key(f"{prefix}preemptions", "attempts", "attempts of the group's jobs that made room for another job"),
        _key(f"{prefix}lost_gpu_hours", "GPU h", "held by the group for nothing, as lost_gpu_hours"),
    )


def _of_stages(prefix: str, kind: str, begins: str, null: str) -> tuple[Key, ...]:
    """Return the keys of a part of the run: ``kind`` of part, when it ``begins``, and where there are none."""
    return (
        _key(f"{prefix}start_s", "s", f"{begins}; the block is null {null}"),
        _key(f"{prefix}end_s", "s", "when the next one begins"),
        _key(f"{prefix}gpus_up", "GPUs", f"GPUs up in the {kind}, mean over time"),
        _key(f"{prefix}gpu.allocation_rate", "0 to 1", f"GPUs held / GPUs up, over the {kind}"),
        _key(f"{prefix}gpu.utilization", "0 to 1", f"busy GPUs / GPUs up, over the {kind}"),
        _key(f"{prefix}gpu.gpu_hours", "GPU h", f"held in the {kind}"),
        _key(f"{prefix}energy.it_kwh", "kWh", f"IT energy in the {kind}"),
        _key(f"{prefix}energy.facility_kwh", "kWh", f"energy at the meter in the {kind}"),
        _key(f"{prefix}energy.mean_mw", "MW", f"power at the meter, mean over the {kind}"),
        _key(f"{prefix}energy.peak_mw", "MW", f"power at the meter, highest in the {kind}"),
        *(
            _key(*each)
            for each in of_requests(f"{prefix}services.", f"of services that answer requests, in the {kind}")
        ),
        _key(f"{prefix}services.time_attained", "0 to 1", "share of the time in which a service met its goal"),
        *_of_groups(f"{prefix}by_class.*."),
    )


_PHASES: Final = _of_stages("phases.*.", "phase", "when the first nodes of the phase come", "where none has a name")
_YEARS: Final = _of_stages("years.*.", "year", "when the calendar year begins", "in a run within one year")

_TENANTS_APART = tuple(_key(f"by_virtual_cluster.*.{path}", unit, meaning) for path, unit, meaning in TENANT_KEYS)

SUMMARY: Final[tuple[Key, ...]] = (
    *_of_jobs(""),
    _key("makespan_s", "s", "last end - first submission"),
    _key("first_submit_s", "s", "first submission in the window, since the origin"),
    _key("last_end_s", "s", "last end of a job submitted in the window, since the origin"),
    _key("gpu.count", "GPUs", "GPUs of the cluster"),
    _key("gpu.allocation_rate", "0 to 1", "GPUs held / GPUs up, over the window; holding is not using"),
    _key("gpu.utilization", "0 to 1", "busy share of the GPUs up: held x activity of the job that holds them"),
    _key("gpu.goodput", "0 to 1", "useful / held GPU time; 1 where nothing is preempted"),
    _key("gpu.allocation_rate_end", "0 to 1", "GPUs held / GPUs up, at the end of the window"),
    _key(
        "gpu.fragmentation",
        "0 to 1",
        "share of the free GPU time that a job could not use where it is, the mean over all jobs of the workload",
    ),
    _key("gpu.stranded", "0 to 1", "share of the free GPU time that no job of the workload could use where it is"),
    _key("gpu.gpu_hours", "GPU h", "held in the window"),
    _key("gpu.gpu_hours_by_state.*", "GPU h", "held by jobs of this outcome"),
    _key(
        "gpu.activity_from.*",
        "0 to 1",
        "share of GPU-hours whose activity is the job's own, its class's or the default",
    ),
    _key("queue.mean_jobs", "jobs", "eligible or preempted jobs that wait, mean over time"),
    _key("queue.max_jobs", "jobs", "most jobs waiting at one instant; a job that starts at once never waits"),
    _key("queue.mean_gpus", "GPUs", "GPUs that waiting jobs ask for, mean over time"),
    _key("preemptions", "attempts", "attempts that made room for a more urgent job"),
    _key("restarts", "attempts", "attempts after the first of their job"),
    _key("lost_gpu_hours", "GPU h", "held for nothing: work lost in preemptions, restarts, checkpoints"),
    _key("energy.it_kwh", "kWh", "nodes, switches, storage and management, from the meter"),
    _key("energy.facility_kwh", "kWh", "IT, cooling and losses, from the meter"),
    _key("energy.pue", "ratio", "facility_kwh / it_kwh"),
    _key("energy.mean_mw", "MW", "facility power, mean over time"),
    _key("energy.peak_mw", "MW", "facility power, largest at one instant"),
    _key("energy.it_mean_mw", "MW", "IT power, mean over time"),
    _key("energy.it_peak_mw", "MW", "IT power, largest at one instant"),
    _key("energy.kwh_per_gpu_hour", "kWh/GPU h", "facility_kwh / GPU-hours held"),
    _key("energy.carbon_kg", "kg CO2e", "facility energy x carbon intensity"),
    _key("energy.cost_krw", "KRW", "facility energy x price"),
    _key("energy.idle_share", "0 to 1", "idle_kwh / it_kwh: what nodes drew for GPUs nobody held"),
    _key("energy.jobs_kwh", "kWh", "GPUs and CPUs above idle, because of jobs"),
    _key("energy.held_idle_kwh", "kWh", "idle draw of the nodes for GPUs that were held"),
    _key("energy.idle_kwh", "kWh", "idle draw of the nodes for the rest"),
    _key("energy.switches_kwh", "kWh", "network switches"),
    _key("energy.other_kwh", "kWh", "storage and management"),
    _key("energy.overhead_kwh", "kWh", "cooling and losses: (PUE - 1) x IT"),
    _key("energy.notes", "texts", "what the account had to assume"),
    _key("network.cross_rack_share", "0 to 1", "of GPU time held on several nodes, the share that spans racks"),
    _key("network.multi_node_share", "0 to 1", "share of GPU time held on several nodes"),
    _key("network.mean_speed", "0 to 1", "speed of jobs over that of undisturbed ones; 1 without contention"),
    *_of_groups("by_class.*."),
    *_of_groups("by_tenant.*."),
    *_of_groups("by_gpus.*."),
    *_of_groups("by_partition.*."),
    *_of_groups("by_qos.*."),
    *_of_groups("by_virtual_cluster.*."),
    _key("by_virtual_cluster.*.nodes", "nodes", "nodes it has; the block is null in a run without virtual clusters"),
    _key("by_virtual_cluster.*.gpus", "GPUs", "GPUs it has"),
    _key("by_virtual_cluster.*.policy", "name", "the policy under which its jobs are scheduled"),
    _key("by_virtual_cluster.*.queue.mean_jobs", "jobs", "its queue, mean over time"),
    _key("by_virtual_cluster.*.queue.max_jobs", "jobs", "its longest queue"),
    _key("by_virtual_cluster.*.queue.mean_gpus", "GPUs", "GPUs that its queue asks for, mean over time"),
    *(
        _key(f"by_preemption_reason.*.{name}", unit, meaning)
        for name, unit, meaning in (
            ("preemptions", "attempts", "attempts that made room for this reason; the block is null where none did"),
            ("jobs", "jobs", "whose attempts these were"),
            ("gpu_hours", "GPU h", "held by these attempts"),
            ("lost_gpu_hours", "GPU h", "held by these attempts for nothing, as lost_gpu_hours"),
        )
    ),
    *FAIRNESS,
    _key("deadlines.jobs", "jobs", "jobs with a deadline; the block is null where no job has one"),
    _key("deadlines.met", "jobs", "ended by their deadline, in whatever state, and no preemption cancelled them"),
    _key(
        "deadlines.missed",
        "jobs",
        "ended later, were rejected or cancelled by a preemption, or had not ended by the stop and were due by then",
    ),
    _key("deadlines.open", "jobs", "had not ended by the stop and were due later"),
    _key("deadlines.missed_share", "0 to 1", "missed / (met + missed)"),
    *_percentiles("deadlines.lateness_s", "s", "end - deadline, over jobs that ended after their deadline"),
    _key("maintenance.windows", "windows", "maintenance of nodes; the block is null where nodes are never closed"),
    _key("maintenance.reservations", "windows", "reservations of nodes"),
    _key("maintenance.gpu_hours", "GPU h", "GPUs closed to everybody, held or not, over time; they stay up"),
    _key("maintenance.share", "0 to 1", "their share of the GPU-hours up"),
    *_of_stages("stages.*.", "stage", "when the nodes of the stage are commissioned", "where none are"),
    *_PHASES,
    *_YEARS,
    *(_key(*each) for each in SERVICE_KEYS),
    *(_key(*each) for each in TENANT_KEYS),
    *_TENANTS_APART,
    _key("oversubscribed.attempts", "attempts", "recorded replay, or what ran at `begin`: attempts without room"),
    _key("oversubscribed.gpu_hours", "GPU h", "asked for by these attempts"),
    _key("oversubscribed.peak_gpus_above_capacity", "GPUs", "largest excess of all GPUs asked for over GPUs up"),
    _key("oversubscribed.gpu_hours_above_capacity", "GPU h", "that excess over time"),
    _key("recorded.jobs", "jobs", "jobs with a recorded and a simulated start"),
    _key("recorded.share_of_jobs", "0 to 1", "their share of the jobs submitted"),
    *_percentiles("recorded.recorded_wait_s", "s", "recorded start - submission"),
    *_percentiles("recorded.simulated_wait_s", "s", "simulated start - submission, the same jobs"),
    _key("recorded.mean_error_s", "s", "mean of simulated - recorded wait"),
    _key("recorded.mean_absolute_error_s", "s", "mean of |simulated - recorded wait|"),
    _key("recorded.correlation", "-1 to 1", "Pearson correlation of both waits"),
    _key("engine.events", "events", "state changes applied"),
    _key("engine.passes", "passes", "scheduling passes made"),
    _key("engine.wall_s", "s", "time the engine took, without what had to be compiled before"),
    _key("engine.events_per_s", "1/s", "events / wall_s"),
    _key("engine.digest", "SHA-256", "over the schedule: job, nodes, start, end; equal schedules have equal digests"),
    _key("window.start_s", "s", "start of the window, since the origin"),
    _key("window.end_s", "s", "end of the window, since the origin"),
    _key("window.warmup_s", "s", "left out at the start of the window"),
    _key("saturated", "yes or no", "the queue grows without bound; null where that cannot be said"),
    _key(
        "warnings",
        "sentences",
        "likely slips: names in tenants, limits and tiers that no job has, a beginning without recorded starts",
    ),
)

_AS_BY_CLASS: Final = {
    key
    for group in ("by_tenant", "by_gpus", "by_partition", "by_qos", "by_virtual_cluster", "stages.*.by_class")
    for key in _of_groups(f"{group}.*.")
} | {*_PHASES, *_YEARS, *_TENANTS_APART}
_GROUPS: Final = (
    "by_class",
    "by_tenant",
    "fairness.by_tenant",
    "by_gpus",
    "by_partition",
    "by_qos",
    "by_preemption_reason",
    "by_virtual_cluster",
    "by_virtual_cluster.*.tenants.by_tenant",
    "gpu.gpu_hours_by_state",
    "gpu.activity_from",
    "services.by_class",
    "services.by_service",
    "tenants.by_tenant",
    "stages",
    "stages.*.by_class",
    "phases",
    "phases.*.by_class",
    "years",
    "years.*.by_class",
)


def leaves(numbers: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Yield the path of every number in a summary, such as ``wait_s.p95``; names of groups and states as ``*``."""
    for name, value in numbers.items():
        path = prefix + ("*" if prefix.rstrip(".") in _GROUPS else name)
        if isinstance(value, Mapping):
            yield from leaves(value, path + ".")
        else:
            yield path


def undocumented(numbers: Mapping[str, object]) -> list[str]:
    """Return the paths of a summary that :data:`SUMMARY` does not explain; a block that is null is explained."""
    known = {key.path for key in SUMMARY}
    parts = [path.split(".") for path in known]
    blocks = {".".join(each[:depth]) for each in parts for depth in range(1, len(each)) if each[depth - 1] != "*"}
    return [path for path in dict.fromkeys(leaves(numbers)) if path not in known and path not in blocks]


def schema(columns: Sequence[Column], metadata: Mapping[bytes, bytes]) -> pa.Schema:
    """Return the Arrow schema of a result table."""
    return pa.schema([pa.field(column.name, column.dtype) for column in columns], metadata=dict(metadata))


def reference() -> str:
    """Return the tables of ``docs/metrics.md`` in Markdown."""
    parts = ["### jobs.parquet\n", _table(JOBS), "### attempts.parquet\n", _table(ATTEMPTS)]
    held = _column(f"{HELD}<class>", pa.float64(), "GPUs", "GPUs held by jobs of this class, one column a class")
    parts += ["### decisions.parquet\n", _table(DECISIONS), "### services.parquet\n", _table(SERVED)]
    parts += ["### tenants.parquet\n", _table(SHARED)]
    missing = _column(
        f"{DEFICIT}<tenant>",
        pa.float64(),
        "GPUs",
        "GPUs that the tenant was due less those it held, while its jobs waited; one column a tenant, for 2 to 100",
    )
    parts += ["### timeline.parquet\n", _table((*TIMELINE, held, missing)), "### summary.json\n", _keys()]
    return "\n".join(parts)


def _table(columns: Sequence[Column]) -> str:
    lines = ["| column | type | unit | meaning | null |", "|---|---|---|---|---|"]
    lines += [f"| `{each.name}` | {each.dtype} | {each.unit} | {each.meaning} | {each.null} |" for each in columns]
    return "\n".join(lines) + "\n"


def _keys() -> str:
    """Return the keys, percentile blocks in one line, and groups once."""
    lines = ["| key | unit | meaning |", "|---|---|---|"]
    for key in SUMMARY:
        if key in _AS_BY_CLASS:
            continue
        stem, _, last = key.path.rpartition(".")
        if last in ("p50", "p90", "p95", "p99", "max") and key.meaning.partition(": ")[2]:
            continue
        path, meaning = key.path, key.meaning
        if last == "mean":
            path, meaning = f"{stem}.{{mean, p50, p90, p95, p99, max}}", meaning.removeprefix("mean: ")
        lines.append(f"| `{path}` | {key.unit} | {meaning.replace('|', chr(92) + '|')} |")
    lines.append("| `by_tenant.*`, `by_gpus.*`, `stages.*.by_class.*` | | as `by_class.*` |")
    lines.append("| `by_partition.*`, `by_qos.*` | | also as `by_class.*`; null where no job states any |")
    lines.append("| `phases.*` | | as `stages.*`, of the phases that have a name; null where none has |")
    lines.append("| `years.*` | | as `stages.*`, of calendar years; null in a run within one year |")
    lines.append("| `by_virtual_cluster.*` | | also as `by_class.*`; the rates are those of its own GPUs |")
    lines.append("| `by_virtual_cluster.*.tenants` | | as `tenants`, of its own; null where no tenants share it |")
    return "\n".join(lines) + "\n"
