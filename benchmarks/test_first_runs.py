"""The first run of each policy family compiles, and no later one does."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from first_runs import FAMILIES, first_run
from measure import commands_clock
from sizes import FULL, SIZE

pytestmark = pytest.mark.benchmark(group="first runs", timer=commands_clock)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_run_compiles_and_the_second_finds_all_of_it(
    benchmark: BenchmarkFixture, family: str, tmp_path: Path
) -> None:
    if SIZE is not FULL and family != "`fifo` + `best-fit`":
        pytest.skip("compiles the engine, which takes long; set GPUYARD_BENCH_SIZE=full")
    first = benchmark.pedantic(first_run, (family, tmp_path), rounds=1, warmup_rounds=0)
    second = first_run(family, tmp_path)

    assert first.compiled > 0
    assert second.compiled == 0
    benchmark.extra_info.update(schedule_s=first.cpu_s, second_s=second.cpu_s)
