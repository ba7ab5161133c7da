"""The same scenario and seed give the same bytes: in another process, on more threads, with the JIT on or off."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpuyard.cluster import Cluster
from gpuyard.metrics import schedule_digest
from gpuyard.policy import named_policy
from gpuyard.simulation import schedule
from gpuyard.synthesis import SynthesisSpec, synthesise

ROOT = Path(__file__).parents[2]
RUN = """
import sys, gpuyard as gy
scenario = gy.load_scenario("phase-1").over(
    {{"cluster": {{"nodes": 24, "gpus_per_node": 8}}, "workload": {{"days": 2, "load": 0.9}},
      "policy": {{"name": "fifo-fit", "placement": "{placement}"}}}}, "the test")
gy.run_scenario(scenario).save(sys.argv[1])
"""
FILES = ("jobs.parquet", "attempts.parquet", "timeline.parquet", "scenario.toml")


def digests(folder: Path, placement: str, **environment: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(placement=placement), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


@pytest.mark.parametrize("placement", ["random", "best-fit"])
def test_files_are_the_same_bytes_in_another_process_and_without_compilation(tmp_path: Path, placement: str) -> None:
    once = digests(tmp_path / "once", placement, NUMBA_DISABLE_JIT="0")
    again = digests(tmp_path / "again", placement, NUMBA_DISABLE_JIT="0")
    interpreted = digests(tmp_path / "interpreted", placement, NUMBA_DISABLE_JIT="1")
    assert once == again
    assert once == interpreted


@pytest.mark.parametrize("policy", ["easy", "srtf"])
def test_schedules_are_the_same_on_any_number_of_threads(policy: str) -> None:
    """The engine holds no lock and no state of its own: runs beside each other do not meet."""
    jobs = synthesise(SynthesisSpec(days=1, load=1.1), gpus=64, seed=3)
    site = Cluster.uniform(nodes=8, gpus_per_node=8)

    def digest(seed: int) -> str:
        return schedule_digest(schedule(jobs, site, named_policy(policy, placement="random"), seed=seed))

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        alone, together = list(one.map(digest, range(6))), list(two.map(digest, range(6)))
    assert alone == together
    assert len(set(alone)) == 6
