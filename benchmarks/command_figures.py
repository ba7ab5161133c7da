"""Figures of whole commands and of what they do before and after the kernel."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from gpuyard.energy import account
from gpuyard.metrics import attempts_table, jobs_table, summarise, timeline_table
from gpuyard.policy import Policy
from gpuyard.report.html import write_report
from gpuyard.result import Result
from gpuyard.simulation import schedule
from gpuyard.traces import read
from gpuyard.traces.write import write_table
from gpuyard.workload import Workload
from measure import KERNEL, Child, command
from page import Section, Target
from sizes import Size
from workloads import draw, uniform

__all__ = ["commands", "stages", "time_goes"]

_STAGED = Path(__file__).resolve().parent / "staged.py"


def _best(rounds: int, *words: str, cache: Path | None = None) -> Child:
    """Return the run that took the least CPU time; all must succeed."""
    children = [command(*words, cache=cache) for _ in range(rounds)]
    for child in children:
        if child.code:
            raise SystemExit(child.stderr)
    return min(children, key=lambda child: child.cpu_s)


def commands(size: Size, philly: Path, folder: Path) -> Section:
    """Measure commands from start to exit, the first ever included."""
    many, cache, out = folder / "jobs.parquet", folder / "cache", ("-o", str(folder / "out"))
    write_table(draw(size.jobs, size.nodes).workload().table, many)
    trace = ("--trace", str(philly), "--cluster", "352x8")
    first = _best(1, "run", cache=cache)
    second = _best(3, "run", cache=cache)
    recorded = _best(size.rounds, "run", *trace, *out)
    files = _jobs(folder / "out")
    cold = _best(1, "run", *trace, *out, cache=folder / "another-cache")
    large = _best(3, "run", "--trace", str(many), "--cluster", f"{size.nodes}x8", *out)
    asked = _best(size.rounds, "--help")
    week = _jobs_said(_best(1, "run", "--json", cache=cache))
    rows = [
        _row("`gpuyard --help`", asked, None),
        _row("`gpuyard run`, the first ever: compiles", first, week),
        _row("`gpuyard run`, the second", second, week),
        _row("`gpuyard run --trace philly.csv --cluster 352x8 -o out`, the first ever", cold, files),
        _row("the same, warm", recorded, files),
        _row(f"`gpuyard run --trace jobs.parquet --cluster {size.nodes}x8 -o out`, warm", large, size.jobs),
    ]
    return Section(
        title="Whole commands",
        note="From the start of Python to its exit; the run with the least CPU time of several (first ones: of one).",
        header=("command", "CPU s", "wall s", "jobs", "jobs/s of CPU", "peak memory"),
        rows=rows,
        targets=[
            _within("philly.csv with all outputs, warm", recorded, 3),
            _within("`gpuyard --help`", asked, 0.3),
            _within("first ever `gpuyard run`", first, 30),
            _within("second `gpuyard run`", second, 3),
        ],
    )


def _within(what: str, child: Child, limit_s: float) -> Target:
    """Return whether a command takes no more CPU time; its wall-clock time depends on who else runs."""
    return Target(what=what, measured=child.cpu_s, limit=limit_s, unit="s", detail=f"CPU; wall {child.wall_s:.2f} s")


def _jobs(folder: Path) -> int:
    return int(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["jobs"]["submitted"])


def _jobs_said(child: Child) -> int:
    return int(json.loads(child.stdout)["jobs"]["submitted"])


def _row(name: str, child: Child, jobs: int | None) -> tuple[str, ...]:
    counts = ("", "") if jobs is None else (f"{jobs:,}", f"{jobs / child.cpu_s:,.0f}")
    return (name, f"{child.cpu_s:.2f}", f"{child.wall_s:.2f}", *counts, f"{child.peak_bytes / 1e6:.0f} MB")


def stages(size: Size, folder: Path) -> Section:
    """Measure what a run does around the kernel, with many jobs and with fewer."""
    columns = [_staged(jobs, size.nodes, folder) for jobs in (size.fewer_jobs, size.jobs)]
    rows = [(name, *(f"{column[name]:.3f}" for column in columns)) for name in columns[0]]
    return Section(
        title="Before and after the kernel",
        note=f"CPU seconds of this process, all threads; {size.nodes:,} x 8, load 1.0. Least of three.",
        header=("", f"{size.fewer_jobs:,} jobs", f"{size.jobs:,} jobs"),
        rows=rows,
    )


def _staged(jobs: int, nodes: int, folder: Path) -> dict[str, float]:
    made, site = draw(jobs, nodes).workload(), uniform(nodes)
    record = schedule(made, site, Policy())
    kernel_s = KERNEL.last_s
    drawn = account(record)
    tables = {
        "jobs": jobs_table(record, drawn),
        "attempts": attempts_table(record),
        "timeline": timeline_table(record, drawn),
    }
    result = Result(**tables, numbers=summarise(record, drawn))
    csv, parquet = folder / "staged.csv", folder / "staged.parquet"
    write_table(made.table, csv)
    write_table(made.table, parquet)
    acts: dict[str, Callable[[], object]] = {
        "reading our CSV": lambda: read(csv),
        "reading our Parquet": lambda: read(parquet),
        "checking and sorting the jobs": lambda: Workload.from_table(made.table),
        "schedule(), the kernel included": lambda: schedule(made, site, Policy()),
        "energy account": lambda: account(record),
        "energy totals": lambda: account(record).totals,
        "summary": lambda: summarise(record, account(record)),
        "table of jobs": lambda: jobs_table(record, drawn),
        "table of attempts": lambda: attempts_table(record),
        "timeline": lambda: timeline_table(record, account(record)),
        "saving": lambda: result.save(folder / "staged"),
        "report.html": lambda: write_report(result, folder / "report.html"),
    }
    seconds = {name: min(_cpu_s(act) for _ in range(3)) for name, act in acts.items()}
    for name in ("energy totals", "summary", "timeline"):
        seconds[name] -= seconds["energy account"]
    return {"kernel alone": kernel_s, **seconds}


def _cpu_s(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def time_goes(philly: Path, folder: Path) -> Section:
    """Measure the stages of one warm command."""
    report, words = folder / "stages.json", ("run", "--trace", str(philly), "--cluster", "352x8")
    runs = []
    for _ in range(5):
        child = command(str(report), *words, "-o", str(folder / "stages"), script=_STAGED)
        if child.code:
            raise SystemExit(child.stderr)
        runs.append(json.loads(report.read_text(encoding="utf-8")))
    best = min(runs, key=lambda run: sum(run.values()))
    rows = [(_plain(name), f"{cpu_s:.3f}") for name, cpu_s in best.items()]
    rows.append(("in all", f"{sum(best.values()):.3f}"))
    return Section(
        title="Where the time of a command goes",
        note="`gpuyard run --trace philly.csv --cluster 352x8 -o out`, warm. Imports are counted apart.",
        header=("stage", "CPU s"),
        rows=rows,
    )


def _plain(stage: str) -> str:
    """Return the name of a stage without the folders of this machine."""
    if stage.startswith("writing /"):
        return "writing the tables"
    return " ".join(Path(word).name if "/" in word else word for word in stage.split(" "))
