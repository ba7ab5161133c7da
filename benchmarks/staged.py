"""Run one ``gpuyard`` command and write the CPU seconds of each of its stages: staged.py REPORT WORDS...

The command tells which stage begins; here a stopwatch listens instead of the progress bar.  What comes before the
first stage is the start of Python and the imports, what comes after the last is printing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stopwatch:
    """The seconds of each stage, in the order they came; those with one name are added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage = "starting, imports"
        self._begun = 0.0

    def __call__(self, stage: str) -> None:
        """Stop the time of the last stage and begin one."""
        now = time.process_time()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._begun
        self._stage, self._begun = stage, now


def main(report: str, *words: str) -> int:
    """Run the command and write the report."""
    from gpuyard import cli  # noqa: PLC0415  # what the imports take is part of the first stage
    from gpuyard.cli import running  # noqa: PLC0415
    from gpuyard.report import html  # noqa: PLC0415

    watch = Stopwatch()

    @contextmanager
    def listened(*, wanted: bool) -> Iterator[Stopwatch]:
        yield watch

    write_report = html.write_report

    def timed_report(*given: object) -> None:
        watch("writing report.html")
        write_report(*given)
        watch("printing")

    running.progress = listened
    html.write_report = timed_report
    code = cli.main(words)
    watch("")
    Path(report).write_text(json.dumps(watch.seconds), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
