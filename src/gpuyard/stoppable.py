"""Run the engine so that progress is shown and an interrupt stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gpuyard.kernel.codes import Count
from gpuyard.kernel.tables import Events

__all__ = ["Progress", "interruptible"]

Progress = Callable[[float], None]
"""Told which share of the jobs has been submitted."""


def interruptible(work: Callable[[], float], events: Events, jobs: int, progress: Progress | None) -> float:
    """Run the engine in a thread, so that progress is shown and an interrupt stops it at the next instant."""
    seconds: list[float] = []
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            seconds.append(work())
        except BaseException as problem:  # handed to the caller below
            failure.append(problem)

    thread = threading.Thread(target=guarded, name="gpuyard-engine", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
            if progress is not None and jobs:
                progress(float(events.counter[Count.NEXT]) / jobs)
    except BaseException:
        events.counter[Count.CANCEL] = 1
        thread.join()
        raise
    if failure:
        raise failure[0]
    return seconds[0]
