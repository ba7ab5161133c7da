"""The pages of docs/ say what the code says: generated parts are fresh, names follow the glossary, links lead on."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from gpuyard.metrics.columns import ATTEMPTS, DECISIONS, JOBS, SERVED, SUMMARY, TIMELINE
from gpuyard.metrics.tenant_columns import SHARED
from gpuyard.synthesis import SynthesisSpec, describe
from gpuyard.traces.reference import catalogue_table, columns_table, formats_text, markdown
from gpuyard.traces.schema import COLUMNS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


CLASS_PAGES = ("training", "drug-discovery", "battery", "manufacturing")


def figures_table(job_class: str = "") -> str:
    """Return the figures behind one class of the default synthetic workload, or behind the rest, as a table."""
    classes = ("realtime", *CLASS_PAGES)
    owner = {one: name for one in describe(SynthesisSpec()) for name in classes if one.figure.startswith(f"{name}, ")}
    chosen = [one for one in describe(SynthesisSpec()) if owner.get(one, "") == job_class]
    lines = [f"| {' | '.join(one)} |" for one in chosen]
    return "\n".join(["| figure | value | standing | source |", "|---|---|---|---|", *lines, ""])


GENERATED = {
    "columns": ("traces.md", columns_table),
    "formats": ("traces.md", formats_text),
    "catalogue": ("traces.md", catalogue_table),
    "figures": ("workloads.md", figures_table),
    "services": ("services.md", lambda: figures_table("realtime")),
    **{name: (f"{name}.md", partial(figures_table, name)) for name in CLASS_PAGES},
}
"""Parts of pages by name, with what makes them; ``python tests/unit/test_docs.py`` writes them anew."""
OTHERS_SAY = ("turnaround", "walltime", "stretch", "utilisation", "occupancy", "tres", "vc", "server", "requested")
"""Words of other tools for things that have a word here."""


def part(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: begin -->\n)(.*?)(<!-- {name}: end -->)", re.DOTALL)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_what_the_code_says(name: str) -> None:
    page, make = GENERATED[name]
    found = part(name).search((DOCS / page).read_text(encoding="utf-8"))
    assert found is not None
    assert found[2] == make(), "stale: run python tests/unit/test_docs.py"


def test_a_docstring_becomes_markdown() -> None:
    lines = ["====  =====", "what  means", "====  =====", "``a``  one", "      two", "b     x | y", "====  ====="]
    text = "\n".join(["See :mod:`gpuyard.x`; ``a`` is:", "", *lines])
    assert markdown(text).splitlines() == [
        "See `gpuyard.x`; `a` is:",
        "",
        "| what | means |",
        "|---|---|",
        "| `a` | one two |",
        "| b | x \\| y |",
    ]


def names() -> list[str]:
    columns = [
        column.name for table in (JOBS, ATTEMPTS, DECISIONS, SERVED, SHARED, TIMELINE, COLUMNS) for column in table
    ]
    return columns + [key.path for key in SUMMARY]


def test_every_column_and_key_is_made_of_the_words_of_the_glossary() -> None:
    page = (DOCS / "glossary.md").read_text(encoding="utf-8").lower()
    bold = {word for text in re.findall(r"\*\*([^*]+)\*\*", page) for word in re.split(r"[^a-z0-9]+", text)}
    used = {word for name in names() for word in re.split(r"[._*]+", name) if word}
    assert sorted(word for word in used if not {word, word + "s", word.removesuffix("s")} & bold) == []


def test_no_column_or_key_has_the_word_of_another_tool() -> None:
    assert [name for name in names() for word in OTHERS_SAY if word in re.split(r"[._*]+", name)] == []


def test_the_map_of_the_pages_names_each_of_them() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in sorted(DOCS.glob("*.md")):
        if page.name != "index.md":
            assert f"]({page.name})" in index, page.name
            assert f"](docs/{page.name})" in readme, page.name
    assert "](docs/index.md)" in readme


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", page.read_text(encoding="utf-8")):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ +(.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{target}{anchor}"


@pytest.mark.parametrize("name", ["tenants_of_phase_1", "shared_site"])
def test_the_page_of_tenants_shows_what_its_examples_print(name: str) -> None:
    shown = (DOCS / "tenants.md").read_text(encoding="utf-8")
    assert (ROOT / "examples" / f"{name}.out").read_text(encoding="utf-8") in shown


def update() -> None:
    """Write the generated parts anew."""
    for name, (page, make) in GENERATED.items():
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        made = make()
        path.write_text(part(name).sub(lambda found, made=made: found[1] + made + found[3], text), encoding="utf-8")


if __name__ == "__main__":
    update()
