"""What the README and the command line's page show is what happens.

Blocks marked ``console`` are run line by line, one folder for each page.  A block marked ``python`` is run, and printed
output is compared with the block marked ``text`` that follows it.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from shown import ROOT, blocks, matches, run, sessions, with_commands

PAGES = (
    "README.md",
    "docs/cli.md",
    "docs/tutorial.md",
    "docs/what-if.md",
    "docs/fit.md",
    "docs/tenants.md",
    "docs/virtual-clusters.md",
    "docs/explain.md",
)

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="the pages show runs that are long without compilation"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, with the commands beside it."""
    with_commands(tmp_path / "bin")
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "traces").symlink_to(ROOT / "traces")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_what_is_typed_on_the_page_prints_what_the_page_shows(page: str, place: Path) -> None:
    """In the order of the page: a later block may use what an earlier one left behind."""
    found = blocks(page)
    shown = 0
    for at, (kind, body) in enumerate(found):
        for command, expected in sessions(body) if kind == "console" else ():
            done = run(command, place, place.parent / "bin")
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert matches(expected, done.stdout), f"$ {command}\n{done.stdout}"
            shown += 1
        if kind == "python":
            assert found[at + 1][0] == "text"
            done = run([sys.executable, "-W", "error", "-c", body], place, place.parent / "bin")
            assert done.returncode == 0, done.stderr
            assert matches(found[at + 1][1], done.stdout), done.stdout
            shown += 1
    assert shown > 0


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
