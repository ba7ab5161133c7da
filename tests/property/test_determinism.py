"""The same scenario and seed give the same bytes: in another process, and with the JIT on or off."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
