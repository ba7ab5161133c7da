"""Look-alikes of published clusters have the figures of their sources, within the tolerances that the table states."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from gpuyard.errors import ConfigError
from gpuyard.scenario import load
from gpuyard.streams import Stream
from gpuyard.synthesis import SynthesisSpec
from gpuyard.synthesis.coupling import coupled
from gpuyard.synthesis.distributions import LogCdf, Sizes
from gpuyard.synthesis.look_alikes import LOOK_ALIKES

TABLE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "look_alikes.py"))


@pytest.mark.parametrize("cluster", LOOK_ALIKES)
def test_a_look_alike_is_as_near_to_its_source_as_the_table_says(cluster):
    rows = TABLE["rows"](cluster)
    assert len(rows) >= 18
    assert [row for row in rows if not row.holds()] == []


def test_the_table_would_show_a_figure_that_is_off():
    row = TABLE["Row"]("run time p50, s", 100.0, 111.0, 10.0)
    assert not row.holds()


def test_sizes_that_are_coupled_hold_the_asked_gpu_time_and_all_jobs_keep_their_run_times():
    sizes = Sizes.steps({1: 0.5, 8: 0.5})
    curve = LogCdf.lognormal(median=1_000, sigma=1.5, low=1, high=1e6)
    # at equal run times 8 GPUs would hold 8/9 of the GPU time; half of it needs an eighth of the run time
    coupling = coupled(sizes, (0.5, 0.5), curve)
    gpus = sizes.quantile(Stream(0, "size").uniform(400_000))
    runtime = curve.quantile(coupling.chances(gpus, Stream(0, "runtime").uniform(400_000)))
    work = gpus * runtime
    assert work[gpus == 8].sum() / work.sum() == pytest.approx(0.5, abs=0.01)
    assert np.quantile(runtime, (0.1, 0.5, 0.9)) == pytest.approx(curve.quantile(np.array([0.1, 0.5, 0.9])), rel=0.02)


def test_a_look_alike_is_one_word_and_other_keys_change_it():
    spec = SynthesisSpec.from_mapping({"like": "philly", "days": 10, "rate": 77.4})
    assert (spec.days, spec.rate, len(spec.tenants)) == (10, 77.4, 15)
    assert dict(spec.classes[0].source) == {"philly": 1.0}
    with pytest.raises(ConfigError, match="unknown cluster to be like 'phily'; did you mean 'philly'"):
        SynthesisSpec.from_mapping({"like": "phily"})
    scenario = load("phase-1").over({"workload": {"like": "kalos"}}, "test")
    assert scenario.read_workload()[0].labels("job_name")[1] == ("kalos-like",)
