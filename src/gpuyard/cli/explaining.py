"""``gpuyard explain``: why a job of a finished run waited, and why it ran where it did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpuyard.cli.options import JsonOption, NoProgressOption
from gpuyard.cli.terminal import emit, emit_json, interruptible, progress

__all__ = ["explain"]


def explain(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as in jobs.parquet.")],
    *,
    json: JsonOption = False,
    no_progress: NoProgressOption = False,
) -> None:
    """Tell the life of a job: what held it back, why it waited, who passed it, why it ran where it did.

    A run of 'gpuyard run --decisions' knows all reservations; another is made again where they matter.
    """
    from gpuyard.explanation import explain as explain_job
    from gpuyard.explanation import tell
    from gpuyard.result import Result

    result = Result.load(folder)
    with progress(wanted=not no_progress) as stage:
        story = interruptible(lambda: explain_job(result, job, note=stage))
    if json:
        emit_json(story.to_mapping())
    else:
        emit(tell(story))
