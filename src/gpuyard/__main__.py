"""``python -m gpuyard``: the command of the same name."""

from __future__ import annotations

from gpuyard.cli import command

if __name__ == "__main__":
    command()
