"""All commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuyard import __version__
from gpuyard.cli import explaining, likeness, results, running, show, sweeping, workloads
from gpuyard.cli.terminal import emit
from gpuyard.cli.topo import app as topo_app

__all__ = ["app"]

app = typer.Typer(
    name="gpuyard",
    help="Simulate a GPU cluster scheduler: replay or make a workload, and see waits, utilization and energy.",
    epilog="Exit codes: 0 good, 1 a goal was missed, 2 bad input or usage. --debug shows where an error comes from.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"gpuyard {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take what comes before the command; the application's own help says the rest."""


app.command("run")(running.run)
app.command("sweep")(sweeping.sweep)
app.command("validate")(workloads.validate)
app.command("convert")(workloads.convert)
app.command("generate")(workloads.generate)
app.command("show")(show.show)
app.command("compare")(results.compare)
app.command("compare-workloads")(likeness.compare_workloads)
app.command("report")(results.report)
app.command("explain")(explaining.explain)
app.add_typer(topo_app, name="topo")
app.add_typer(workloads.traces_app, name="traces")
