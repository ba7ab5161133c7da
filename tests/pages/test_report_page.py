"""The report in a browser: it opens offline, runs nothing out of a trace, fits its screen, and answers the pointer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import cluster, workload
from gpuyard.experiment import simulate
from gpuyard.portrait import portray
from gpuyard.report import compare_workloads, write_comparison, write_likeness, write_report
from report_results import plausible_result

CHROMIUM = Path("/usr/bin/chromium")
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(2)>'

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no system Chromium at {CHROMIUM}"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(plausible_result(), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "comparison.html"
    return write_comparison(plausible_result(), plausible_result(wait_factor=0.5), path, names=("fifo", "easy"))


@pytest.fixture(scope="module")
def workloads(tmp_path_factory):
    rows = [(3600.0 * k, 60.0 * (1 + k % 40), 1 + k % 9, {"user": f"u{k % 5}"}) for k in range(300)]
    sides = [portray(workload(*rows), name=SCRIPT), portray(workload(*rows[::2]), name=IMAGE)]
    path = tmp_path_factory.mktemp("workloads") / "workloads.html"
    return write_likeness(compare_workloads(*sides), path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A run with tenants, whose names are out of a trace."""
    names = ("steel", IMAGE, SCRIPT, "a-name-that-is-longer-than-most-" * 3)
    jobs = workload(*((900.0 * k, 7200.0, 1 + k % 8, {"tenant": names[k % 4]}) for k in range(120)))
    tenants = [{"name": name, "nominal": 4, "borrow": 8} for name in names]
    ran = simulate(
        jobs, cluster(8, 8), policy="fifo-fit", preemption="reclaim", tenants={"tenant": tenants, "nominal": 4}
    )
    return write_report(ran, tmp_path_factory.mktemp("shared") / "report.html")


class Visit:
    """A page opened offline, with everything that went wrong or was asked for while it was open."""

    def __init__(self, browser, path, *, width=1280, scheme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.requests, self.troubles, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.goto(path.as_uri())

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.context.close()


@pytest.mark.parametrize("name", ["report", "comparison", "workloads", "shared"])
def test_it_opens_offline_and_asks_for_nothing_but_itself(browser, request, name):
    path = request.getfixturevalue(name)
    with Visit(browser, path) as visit:
        assert visit.requests == [path.as_uri()]
        assert visit.troubles == []
        assert visit.page.locator("figure.chart svg").count() >= 5


def test_names_out_of_a_trace_neither_run_nor_become_elements(browser, tmp_path):
    evil = plausible_result(classes=(SCRIPT, "=cmd()", IMAGE), tenants=(SCRIPT, "=cmd()", IMAGE))
    pages = [
        write_report(evil, tmp_path / "report.html", title=SCRIPT),
        write_comparison(evil, evil, tmp_path / "comparison.html", names=(SCRIPT, IMAGE)),
    ]
    for path in pages:
        with Visit(browser, path) as visit:
            assert visit.dialogs == []
            assert visit.troubles == []
            assert visit.page.locator("img").count() == 0
            kinds = visit.page.locator("script").evaluate_all("all => all.map(each => each.type)")
            assert kinds.count("") == 1  # the page's own
            assert set(kinds) == {"", "application/json"}
            assert visit.page.get_by_text(SCRIPT).count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_of_tenants_are_texts_and_their_charts_show_the_quota(browser, shared, scheme):
    with Visit(browser, shared, scheme=scheme, width=390) as visit:
        assert visit.dialogs == []
        assert visit.page.locator("img").count() == 0
        section = visit.page.locator("#tenants")
        assert section.get_by_text(IMAGE).count() > 0
        assert section.locator("figure.chart").count() == section.get_by_text("nominal quota").count() == 5


def test_a_script_that_did_get_in_would_not_run(browser, report, tmp_path):
    forged = tmp_path / "forged.html"
    text = report.read_text(encoding="utf-8").replace("</main>", f'{SCRIPT}<img src="x" onerror="alert(3)"></main>')
    forged.write_text(text, encoding="utf-8")
    with Visit(browser, forged) as visit:
        assert visit.dialogs == []
        assert any("Content Security Policy" in trouble for trouble in visit.troubles)


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
@pytest.mark.parametrize("name", ["report", "comparison", "workloads", "shared"])
def test_it_fits_every_width(browser, request, name, width):
    with Visit(browser, request.getfixturevalue(name), width=width) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [390, 1280])
def test_labels_of_an_axis_do_not_touch(browser, report, width):
    with Visit(browser, report, width=width) as visit:
        gaps = visit.page.evaluate(
            """() => [...document.querySelectorAll('.x-axis')].map((axis) => {
                const boxes = [...axis.children].map((each) => each.getBoundingClientRect()).filter((box) => box.width);
                return Math.min(...boxes.slice(1).map((box, index) => box.left - boxes[index].right));
            })"""
        )
        assert len(gaps) >= 5
        assert min(gaps) > 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(browser, report, scheme):
    """WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1 for text."""
    with Visit(browser, report, scheme=scheme) as visit:
        colours = visit.page.evaluate(
            """() => {
                const of = (query) => getComputedStyle(document.querySelector(query));
                const page = of('body').backgroundColor, panel = of('.notices').backgroundColor;
                return [
                    ...['h1', '.kind', '.tiles dt a', 'nav a', '.note', 'thead th', '.y-axis span', '.keys .value']
                        .map((query) => [query, of(query).color, page]),
                    ['.notices h2', of('.notices h2').color, panel],
                    ['.notices li', of('.notices li').color, panel],
                ];
            }"""
        )
    ratios = {name: contrast(front, back) for name, front, back in colours}
    assert min(ratios.values()) >= 4.5, ratios
    assert (luminance(colours[0][2]) < 0.1) == (scheme == "dark")


def luminance(colour):
    """Return the relative luminance of ``rgb(r, g, b)``, as WCAG 2.2 defines it."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(front, back):
    lighter, darker = sorted((luminance(front), luminance(back)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_pointer_reads_the_chart_and_leaving_brings_the_means_back(browser, report):
    with Visit(browser, report) as visit:
        chart = visit.page.locator("#figure-gpus")
        value, readout = chart.locator(".keys li", has_text="up").locator(".value"), chart.locator("output")
        assert value.text_content() == "mean 1,152"
        chart.locator(".plot").scroll_into_view_if_needed()
        box = chart.locator(".plot").bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
        assert value.text_content() == "1,152"
        assert readout.text_content() == "at 15 days"
        visit.page.mouse.move(2, 2)
        assert value.text_content() == "mean 1,152"
        assert readout.text_content() == ""


def test_the_pointer_reads_a_bar_by_its_sizes(browser, workloads):
    with Visit(browser, workloads) as visit:
        assert visit.dialogs == []
        chart = visit.page.locator("#figure-sizes-jobs")
        chart.locator(".plot").scroll_into_view_if_needed()
        box = chart.locator(".plot").bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        assert chart.locator("output").text_content() == "3-4"
        assert chart.locator(".value").first.text_content() == "22.33"


def test_the_keyboard_reads_a_distribution(browser, report):
    with Visit(browser, report) as visit:
        chart = visit.page.locator("#figure-wait")
        chart.locator(".plot").focus()
        for _ in range(60):
            visit.page.keyboard.press("ArrowLeft")
        assert chart.locator("output").text_content() == "within 1 s"
        everyone = chart.locator(".keys li", has_text="all jobs").locator(".value").text_content()
        assert re.fullmatch(r"5\d\.\d %", everyone)  # the share of jobs that did not wait
        visit.page.keyboard.press("Escape")
        assert chart.locator("output").text_content() == ""


def test_every_table_has_a_caption_and_every_figure_a_title_and_a_description(browser, report):
    with Visit(browser, report) as visit:
        count = visit.page.evaluate(
            """() => {
                const all = (query) => [...document.querySelectorAll(query)];
                const names = all('[id]').map((each) => each.id);
                return {
                    tables: all('table').filter((each) => !each.caption?.textContent.trim()).length,
                    titles: all('figure').filter((each) => !each.querySelector('figcaption h3')).length,
                    plots: all('.plot').filter((each) => !each.getAttribute('aria-label')).length,
                    language: document.documentElement.lang,
                    identifiers: names.length - new Set(names).size,
                    dead: all('a[href^="#"]').filter((each) => !names.includes(each.hash.slice(1))).length,
                };
            }"""
        )
    assert count == {"tables": 0, "titles": 0, "plots": 0, "language": "en", "identifiers": 0, "dead": 0}


def test_it_prints_on_a_few_pages_of_paper(browser, report):
    with Visit(browser, report) as visit:
        printed = visit.page.pdf(prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 3 <= pages <= 6
