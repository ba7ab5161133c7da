"""What the README and the command line's page show is what happens.

Blocks marked ``console`` are run line by line, one folder for each page; after ``$ command`` comes what it prints.  A
line of three dots stands for any lines, and three dots inside a line for any text.  A block marked ``python`` is run,
and printed output is compared with the block marked ``text`` that follows it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/cli.md")
BLOCK = re.compile(r"^```(console|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="the pages show runs that are long without compilation"
)


def blocks(page: str) -> list[tuple[str, str]]:
    return [(kind, body) for kind, body in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]


def sessions(body: str) -> Iterator[tuple[str, str]]:
    """Yield (command, expected output); lines after the first that begin with ``>`` belong to the command."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next((at for at in range(1, len(lines)) if not lines[at].startswith(">")), len(lines))
        yield "\n".join([lines[0], *(line[2:] for line in lines[1:end])]), "\n".join(lines[end:])


def matches(expected: str, printed: str) -> bool:
    lines = [
        ".*?" if line.strip() == "..." else ".*?".join(map(re.escape, line.rstrip().split("...")))
        for line in expected.splitlines()
    ]
    got = "\n".join(line.rstrip() for line in printed.splitlines())
    return re.fullmatch("\n".join(lines), got, flags=re.DOTALL) is not None


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, with the command on the path."""
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "gpuyard"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gpuyard "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def run(place: Path, words: list[str] | str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{place.parent / 'bin'}:{os.environ['PATH']}", "COLUMNS": "100"}
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


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_on_the_page_print_what_the_page_shows(page: str, place: Path) -> None:
    shown = 0
    for kind, body in blocks(page):
        for command, expected in sessions(body) if kind == "console" else ():
            done = run(place, command)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert matches(expected, done.stdout), f"$ {command}\n{done.stdout}"
            shown += 1
    assert shown > 0


def test_the_python_examples_print_what_the_page_shows(place: Path) -> None:
    found = blocks("README.md")
    examples = [(body, found[at + 1]) for at, (kind, body) in enumerate(found) if kind == "python"]
    assert examples
    for code, (kind, expected) in examples:
        assert kind == "text"
        done = run(place, [sys.executable, "-W", "error", "-c", code])
        assert done.returncode == 0, done.stderr
        assert matches(expected, done.stdout), done.stdout


def test_every_command_has_an_example_on_its_page() -> None:
    from gpuyard.cli.commands import app

    commands = [item.name for item in app.registered_commands]
    commands += [
        f"{group.name} {item.name}"
        for group in app.registered_groups
        for item in group.typer_instance.registered_commands
    ]
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert [name for name in commands if f"gpuyard {name}" not in text] == []


def test_links_to_files_lead_somewhere() -> None:
    for page in (*PAGES, "CONTRIBUTING.md"):
        path = ROOT / page
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{page}: {target}"
