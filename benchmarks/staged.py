"""Run one ``gpuyard`` command and write the CPU seconds of each of its stages: staged.py REPORT WORDS...

The command tells which stage begins; here a stopwatch listens instead of the progress bar.  The page is worked out
beside the files, and counts among them.  Importing modules counts as a stage of its own, whenever it happens.
"""

from __future__ import annotations

import builtins
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMPORTS = "importing modules"


class Stopwatch:
    """The CPU seconds of each stage, in the order they came; those with one name are added up."""

    def __init__(self) -> None:
        self.seconds = {"starting Python": time.process_time(), IMPORTS: 0.0}
        self._stage = "command line, scenario"
        self._begun = time.process_time()
        self._import = builtins.__import__
        self._importing = False

    def __call__(self, stage: str, _share: float | None = None) -> None:
        """Stop the time of the last stage and begin one; how much of it is done does not matter here."""
        now = time.process_time()
        self._add(self._stage, now - self._begun)
        self._stage, self._begun = stage, now

    def import_module(self, *given: object, **more: object) -> object:
        """Import as ever, and count the time; a module's own imports are part of its import."""
        if self._importing:
            return self._import(*given, **more)  # type: ignore[arg-type]  # as they came
        self._importing, begun = True, time.process_time()
        try:
            return self._import(*given, **more)  # type: ignore[arg-type]  # as they came
        finally:
            taken = time.process_time() - begun
            self._importing = False
            self._begun += taken
            self._add(IMPORTS, taken)

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def main(report: str, *words: str) -> int:
    """Run the command and write the report."""
    watch = Stopwatch()
    builtins.__import__ = watch.import_module  # type: ignore[assignment]  # the same call

    from gpuyard import cli  # noqa: PLC0415  # after the stopwatch was started
    from gpuyard.cli import process, running  # noqa: PLC0415  # likewise
    from gpuyard.report import html  # noqa: PLC0415  # likewise

    @contextmanager
    def listened(**_: object) -> Iterator[Stopwatch]:
        yield watch

    write_page = html.write_page

    def timed_page(*given: object) -> None:
        watch("writing report.html")
        write_page(*given)
        watch("printing")

    process.prepare()
    running.progress = listened
    html.write_page = timed_page
    code = cli.main(words)
    watch("")
    Path(report).write_text(json.dumps(watch.seconds), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
