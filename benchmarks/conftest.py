"""What benchmarks need from outside: the yardstick and the recorded traces; without them they are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from measure import watched_kernel
from yardstick import NoYardstickError, Yardstick, build_yardstick

_PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def yardstick(tmp_path_factory: pytest.TempPathFactory) -> Yardstick:
    try:
        return build_yardstick(tmp_path_factory.mktemp("yardstick"))
    except NoYardstickError as problem:
        pytest.skip(str(problem))


@pytest.fixture
def kernel_alone() -> Iterator[None]:
    """Let ``KERNEL.clock`` advance while the kernel runs, and only then."""
    with watched_kernel():
        yield


@pytest.fixture(scope="session")
def philly() -> Path:
    folder = Path(os.environ.get("GPUYARD_TRACES", _PROJECT.parent / "shared" / "traces"))
    path = folder / "microsoft_philly_2017" / "philly.csv"
    if not path.is_file():
        pytest.skip(f"no recorded trace at {path}; set GPUYARD_TRACES to the folder of the traces")
    return path
