"""Measure every target once at full size and print the result as Markdown: python benchmarks/report.py [--into PAGE].

It takes about ten minutes and wants the yardstick and the recorded traces (see conftest.py for where they are).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from backfill_figures import easy_by_depth, easy_yardstick
from command_figures import commands, stages, time_goes
from first_runs import first_runs
from kernel_figures import by_depth, by_nodes, by_policy, memory, yardsticks
from measure import watched_kernel
from page import Section, into, markdown
from preemption_figures import preempting
from sizes import FULL, SIZE, Size
from tenant_figures import sharing
from yardstick import NoYardstickError, build_yardstick

_PROJECT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Measure, and print or put into the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--into", type=Path, metavar="PAGE", help="replace what is between the marks of this page")
    options.add_argument("--quick", action="store_true", help="use the sizes of the tests, to try the script")
    chosen = options.parse_args()
    with TemporaryDirectory() as folder, watched_kernel():
        try:
            text = markdown(_sections(SIZE if chosen.quick else FULL, Path(folder)))
        except NoYardstickError as problem:
            sys.stderr.write(f"{problem}\n")
            return 2
    if chosen.into is not None:
        into(chosen.into, text)
    sys.stdout.write(text)
    return 0


def _sections(size: Size, folder: Path) -> Iterator[Section]:
    traces = Path(os.environ.get("GPUYARD_TRACES", _PROJECT.parent / "shared" / "traces"))
    philly = traces / "microsoft_philly_2017" / "philly.csv"
    yardstick = build_yardstick(folder)
    yield yardsticks(size, yardstick, folder)
    yield easy_yardstick(size, yardstick, folder)
    yield by_nodes(size)
    yield by_depth(size)
    yield easy_by_depth(size)
    yield by_policy(size)
    yield preempting(size, philly)
    yield sharing(size)
    yield memory(size)
    yield first_runs()
    yield commands(size, philly, folder)
    yield stages(size, folder)
    yield time_goes(philly, folder)


if __name__ == "__main__":
    sys.exit(main())
