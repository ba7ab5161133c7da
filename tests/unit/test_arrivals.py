"""Jobs that only arrive: random order, random repeats, and what does not fit is skipped."""

from __future__ import annotations

import numpy as np
import pytest

import gpuyard as gy
from conftest import workload
from gpuyard.errors import ConfigError
from gpuyard.scenario.arrivals import arrivals_only

SIZES = (1, 2, 5, 3, 8)


def made(ratio: float = 4.0, seed: int = 0, gpus: int = 8) -> tuple[list[str], list[int]]:
    """Return names and sizes of the arrivals made of five jobs that ask for 19 GPUs."""
    table = arrivals_only(workload(*((60 * at, 5, size) for at, size in enumerate(SIZES))), gpus, ratio, seed).table
    assert table["submit_time"].to_pylist() == list(range(table.num_rows))
    return table["job_id"].to_pylist(), table["gpus"].to_pylist()


def test_every_job_comes_once_in_random_order_then_repeats_up_to_the_ratio() -> None:
    orders = set()
    for seed in range(20):
        names, sizes = made(seed=seed)
        assert sorted(names[:5]) == ["0", "1", "2", "3", "4"]
        assert all(
            "~" in name and SIZES[int(name.split("~")[0])] == size
            for name, size in zip(names[5:], sizes[5:], strict=True)
        )
        assert len(set(names)) == len(names)
        assert 32 - 8 < sum(sizes) <= 32  # the next repeat, of at most 8 GPUs, would have been too much
        orders.add(tuple(names))
    assert len(orders) == 20
    assert made(seed=3) == made(seed=3)


def test_repeats_are_drawn_with_equal_chance() -> None:
    _, sizes = made(ratio=20_000)
    counts = np.array([sizes.count(size) for size in SIZES])
    expected = len(sizes) / 5
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_jobs_that_ask_for_too_much_by_themselves_are_left_out_from_the_end() -> None:
    names, sizes = made(ratio=1.0)
    assert sum(sizes) <= 8
    longer, _ = made(ratio=2.0)
    assert longer[: len(names)] == names


def scenario(tmp_path, policy: str = "fifo-fit", **run: object) -> gy.Scenario:
    (tmp_path / "jobs.csv").write_text(
        "job_id,submit_time,runtime,gpus\n" + "".join(f"{at},0,5,{size}\n" for at, size in enumerate(SIZES))
    )
    return gy.Scenario.from_mapping(
        {
            "workload": {"trace": str(tmp_path / "jobs.csv"), "arrivals_only": 4.0},
            "cluster": {"nodes": 1, "gpus_per_node": 8},
            "policy": {"name": policy},
            "run": run,
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_each_is_placed_as_it_comes_or_never_and_nothing_ends(tmp_path, seed: int) -> None:
    result = gy.run_scenario(scenario(tmp_path, seed=seed))
    free, starts = 8, []
    for number, size in enumerate(result.jobs["gpus"].to_pylist()):
        fits = size <= free
        free -= size if fits else 0
        starts.append(float(number) if fits else None)
    assert result.jobs["start_time"].to_pylist() == starts
    assert result.jobs["end_time"].null_count == len(starts)
    assert result.summary()["gpu"]["allocation_rate_end"] == (8 - free) / 8


def test_a_run_made_of_arrivals_can_be_stopped_earlier(tmp_path) -> None:
    stopped = gy.run_scenario(scenario(tmp_path, until=2.0)).summary()
    assert stopped["window"]["end_s"] == 2.0
    assert stopped["jobs"]["submitted"] == 3


def test_a_queue_that_would_not_skip_is_refused(tmp_path) -> None:
    with pytest.raises(
        ConfigError, match=r"\[workload\] arrivals_only .* needs the policy fifo-fit, got order fifo, backfill none"
    ):
        gy.run_scenario(scenario(tmp_path, policy="fifo"))


def test_jobs_without_gpus_cannot_fill_a_cluster() -> None:
    with pytest.raises(ConfigError, match="these ask for none"):
        arrivals_only(workload((0, 1, 0, {"cpus": 1.0})), 8, 1.0, 0)
    with pytest.raises(ConfigError, match="needs some 8e\\+06 jobs, and at most 5,000,000"):
        arrivals_only(workload((0, 1, 1)), 8, 1e6, 0)
