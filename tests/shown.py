"""What a page shows: its blocks of code, the commands in them, and whether what is printed is what is shown.

In a block marked ``console``, ``$ command`` is followed by what it prints.  A line of three dots stands for any
lines, and three dots inside a line for any text.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ROOT", "blocks", "matches", "run", "sessions", "with_commands"]

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(console|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (kind, text) of the blocks of a page, given as its path from the project's root."""
    return [(kind, body) for kind, body in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]


def sessions(body: str) -> Iterator[tuple[str, str]]:
    """Yield (command, expected output); lines after the first that begin with ``>`` belong to the command."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next((at for at in range(1, len(lines)) if not lines[at].startswith(">")), len(lines))
        yield "\n".join([lines[0], *(line[2:] for line in lines[1:end])]), "\n".join(lines[end:])


def matches(expected: str, printed: str) -> bool:
    """Return whether the output is what is shown, whatever the three dots stand for."""
    lines = [
        ".*?" if line.strip() == "..." else ".*?".join(map(re.escape, line.rstrip().split("...")))
        for line in expected.rstrip().splitlines()
    ]
    got = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    return re.fullmatch("\n".join(lines), got, flags=re.DOTALL) is not None


def with_commands(folder: Path) -> Path:
    """Put the commands ``gpuyard`` and ``python`` of this interpreter into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, words in (("gpuyard", " -m gpuyard"), ("python", "")):
        shim = folder / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    return folder


def run(words: list[str] | str, place: Path, commands: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, or a program and its arguments, in a folder, with these commands on the path."""
    environment = os.environ | {"PATH": f"{commands}:{os.environ['PATH']}", "COLUMNS": "100"}
    environment["PYTHONPATH"] = f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"
    return subprocess.run(
        words,
        shell=isinstance(words, str),
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
