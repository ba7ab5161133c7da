"""A month of each phase with all classes at once, or one phase at several loads: how each class fares, in Markdown.

``python benchmarks/phases_month.py --phases phase-1 phase-4 --days 30``, and for the trade-off between real-time work
and training ``python benchmarks/phases_month.py --phases phase-1 --days 7 --loads 0.6 0.7 0.8 0.9 1.0 1.1``.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from gpuyard.scenario import load
from gpuyard.scenario import run as run_scenario

CLASSES = ("realtime", "training", "manufacturing", "drug-discovery", "battery")


def run(phase: str, days: float, load_of_it: float) -> tuple[dict[str, Any], float]:
    """Return the numbers of a run, stopped when the window ends, and its seconds of CPU."""
    scenario = load(phase).apply_sets(
        [f"workload.days={days}", f"workload.load={load_of_it}", f"run.until={days * 86_400}"]
    )
    begun = time.process_time()
    numbers = run_scenario(scenario).summary()
    return numbers, time.process_time() - begun


def row_of_classes(phase: str, numbers: dict[str, Any]) -> list[str]:
    """Return one row of Markdown a class."""
    rows = []
    for name in CLASSES:
        one = numbers["by_class"][name]
        rows.append(
            f"| `{phase}` | {name} | {one['jobs']['submitted']:,} | {one['gpu']['allocation_rate']:.1%} | "
            f"{one['gpu']['utilization']:.1%} | {one['wait_s']['mean']:,.0f} s | {one['wait_s']['p99']:,.0f} s | "
            f"{one['energy']['it_kwh'] / 1e6:,.2f} GWh |"
        )
    return rows


def row_of_site(phase: str, load_of_it: float, numbers: dict[str, Any], seconds: float) -> str:
    """Return one row of Markdown."""
    services, (realtime, training) = numbers["services"], (numbers["by_class"][name] for name in CLASSES[:2])
    cells = (
        f"`{phase}`",
        f"{load_of_it:g}",
        f"{numbers['gpu']['allocation_rate']:.1%}",
        f"{services['time_attained']:.2%}",
        f"{1 - services['attainment']:.4%}",
        f"{realtime['wait_s']['mean']:.0f} s",
        f"{training['wait_s']['mean']:,.0f} s",
        f"{training['wait_s']['p99'] / 3600:.1f} h",
        f"{training['gpu']['gpu_hours'] / 1e6:.3f} M",
        f"{numbers['energy']['facility_kwh'] / 1e6:.2f} GWh",
        f"{seconds:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phases", nargs="+", default=["phase-1", "phase-2", "phase-3", "phase-4"])
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--loads", nargs="+", type=float, default=[0.85])
    asked = parser.parse_args()
    by_class, by_site = [], []
    for phase in asked.phases:
        for load_of_it in asked.loads:
            numbers, seconds = run(phase, asked.days, load_of_it)
            by_class += row_of_classes(phase, numbers)
            by_site.append(row_of_site(phase, load_of_it, numbers, seconds))
    if len(asked.loads) == 1:
        say("| phase | class | jobs | GPUs held | GPUs busy | mean wait | p99 wait | IT energy |")
        say("|---|---|--:|--:|--:|--:|--:|--:|")
        say("\n".join(by_class))
    say("| phase | load | GPUs held | goals met | requests late or lost | replicas waited | training waited | p99 "
        "| training GPU-hours | energy | CPU |")  # fmt: skip
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    say("\n".join(by_site))


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
