"""The process that a command has to itself: how it takes memory, and how it ends.  Nothing here changes a result.

A command fills gigabytes with columns, most of them only for a moment.  By default each is asked of the system, which
clears it, and given back; what Python's own allocators offer instead is to keep the memory and to use it again.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from typing import NoReturn

__all__ = ["leave", "prepare"]

_DEFAULTS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # one allocator for Arrow's columns and NumPy's
    "NUMPY_MADVISE_HUGEPAGE": "0",  # where a machine is virtual, large pages are cleared more slowly than small ones
    "OPENBLAS_NUM_THREADS": "1",  # nothing here multiplies matrices, and idle threads wait busily
}
"""Variables of the environment that libraries read when they are imported; what the user has set stays."""
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Parameters of ``mallopt`` in glibc's malloc.h."""


def prepare() -> None:
    """Set up the process, before anything large is imported."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        _keep_memory()
    gc.disable()  # a command ends before cycles of objects add up, and to look for them takes a fifth of a short one


def _keep_memory() -> None:
    """Have glibc keep what is freed and use it again, from one heap; elsewhere do nothing."""
    import ctypes

    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_TRIM_THRESHOLD, -1)  # never
    mallopt(_MMAP_MAX, 0)
    mallopt(_ARENA_MAX, 1)


def leave(code: int) -> NoReturn:
    """End the process with this exit code, without the half second that Python needs to take itself apart.

    What was registered to run at the end does run.  Under a profiler or a debugger, and where the interpreter is to
    stay open, Python ends as ever.
    """
    if sys.getprofile() is not None or sys.gettrace() is not None or sys.flags.inspect:
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads as Python itself does first
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
