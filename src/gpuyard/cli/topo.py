"""``gpuyard topo``: build, import, draw and export topologies."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(help="Build, import, draw and export topologies.", no_args_is_help=True, rich_markup_mode=None)
