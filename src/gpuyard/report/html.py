"""One HTML file a report: styles, drawings and the readout inside, nothing fetched, every text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gpuyard.report.measures import lookup
from gpuyard.report.wording import clean
from gpuyard.result import Result

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render", "report_html", "write_page", "write_report"]


def write_report(result: Result, path: str | Path, *, title: str | None = None) -> Path:
    """Write the report of a run as one file that opens without a network; return its path.

    The same result gives the same bytes.  The file appears whole or not at all.

    Parameters
    ----------
    result
        What :func:`gpuyard.simulate` returned, or ``Result.load`` read.
    path
        The file to write; its folder must exist.
    title
        What stands at the head of the page; the scenario's name where it is left out.
    """
    return write_page(report_html(result, title=title), path)


def report_html(result: Result, *, title: str | None = None) -> str:
    """Return the page that :func:`write_report` writes."""
    from gpuyard.report import background, fairness, figures, preemption, sections, services, stages, tenants

    return render(
        "report.html.j2",
        title=clean(title, 120) if title else _title(result.scenario),
        lead=sections.lead(result),
        tiles=sections.tiles(result),
        notices=sections.notices(result),
        times=figures.time_figures(result),
        step_note=figures.step_note(result),
        has_energy=isinstance(result.numbers.get("energy"), Mapping),
        distributions=figures.distribution_figures(result),
        groups=sections.group_grids(result),
        stages=stages.stage_grids(result),
        service_lead=services.service_lead(result),
        service_figures=services.service_figures(result),
        services=services.service_grid(result),
        tenant_lead=tenants.tenant_lead(result),
        tenant_figures=tenants.tenant_figures(result),
        tenants=tenants.tenant_grid(result),
        preemptions=preemption.preemption_grid(result),
        fairness_lead=fairness.fairness_lead(result),
        fairness_figure=fairness.deficit_figure(result),
        fairness=fairness.fairness_grid(result),
        recorded=sections.recorded_grid(result),
        recorded_figure=figures.recorded_figure(result),
        rejected=sections.rejected_grid(result),
        assumptions=background.assumptions(result),
        figures=background.figures_grid(result),
        data_notes=background.data_notes(result),
        scenario=background.scenario_grids(result),
        engine=background.engine_grid(result),
        definitions=background.definitions(result),
    )


def _title(scenario: Mapping[str, object]) -> str:
    """Return the scenario's own name, or a plain one."""
    for section in ("title", "name"):
        if isinstance(scenario.get(section), str):
            return clean(scenario[section], 120)
    run = scenario.get("run")
    for key in ("title", "name"):
        if isinstance(run, Mapping) and isinstance(run.get(key), str):
            return clean(run[key], 120)
    names = [lookup(scenario, f"provenance.{key}") for key in ("workload", "cluster")]
    if all(isinstance(name, str) and name for name in names):
        return clean(" on ".join(map(str, names)), 120)
    cluster = scenario.get("cluster")
    for key in ("name", "preset"):
        if isinstance(cluster, Mapping) and isinstance(cluster.get(key), str):
            return f"Simulation of {clean(cluster[key], 100)}"
    return "Simulation of a GPU cluster"


def environment() -> Environment:
    """Return the template environment: everything is escaped, and a name that is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("gpuyard.report", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render(template: str, **values: object) -> str:
    """Return a page made from a template, with the one script it may run named in its security policy."""
    pages = environment()
    assert pages.loader is not None
    script, _, _ = pages.loader.get_source(pages, "readout.js")
    style, _, _ = pages.loader.get_source(pages, "page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return pages.get_template(template).render(script=script, script_digest=digest, style=style, **values)


def write_page(page: str, path: str | Path) -> Path:
    """Write a page under a temporary name beside the target and rename it; return the target."""
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.write_bytes(page.encode("utf-8"))
        return partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
