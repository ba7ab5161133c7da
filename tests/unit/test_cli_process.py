"""The process of a command: memory that is used again, and an end that loses nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from gpuyard.cli.process import leave

PREPARE = "from gpuyard.cli.process import leave, prepare\nprepare()\n"


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with these variables of the environment and none that allocators read."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env=inherited | variables
    )


def test_what_the_user_has_set_stays() -> None:
    code = PREPARE + "import os\nprint(os.environ['OPENBLAS_NUM_THREADS'], os.environ['ARROW_DEFAULT_MEMORY_POOL'])"

    assert python(code, OPENBLAS_NUM_THREADS="3", ARROW_DEFAULT_MEMORY_POOL="mimalloc").stdout == "3 mimalloc\n"


def test_arrow_and_numpy_share_an_allocator() -> None:
    code = PREPARE + "import pyarrow\nprint(pyarrow.default_memory_pool().backend_name)"

    assert python(code).stdout == "system\n"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory")
@pytest.mark.parametrize(("given", "kept"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "100000"}, False)])
def test_memory_that_is_freed_is_used_again(given: dict[str, str], kept: bool) -> None:
    """The second column of 80 MB lies where the first lay and takes no new page, unless the user wants it otherwise."""
    code = (
        f"{PREPARE}import numpy, resource, threading\n"
        "def fill():\n"
        "    for _ in range(2):\n"
        "        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "        numpy.ones(10_000_000)\n"
        "        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
        "thread = threading.Thread(target=fill)\nthread.start()\nthread.join()"
    )

    first, second = (int(line) for line in python(code, **given).stdout.split())

    assert first > 1000
    assert (second < 100) is kept


def test_an_end_runs_what_was_registered_and_writes_what_was_printed() -> None:
    code = PREPARE + "import atexit\natexit.register(print, 'registered')\nprint('printed')\nleave(3)"

    done = python(code)

    assert (done.returncode, done.stdout, done.stderr) == (3, "printed\nregistered\n", "")


def test_under_a_profiler_python_ends_as_ever() -> None:
    earlier = sys.getprofile()
    sys.setprofile(lambda *_: None)
    try:
        with pytest.raises(SystemExit) as ended:
            leave(2)
    finally:
        sys.setprofile(earlier)
    assert ended.value.code == 2
