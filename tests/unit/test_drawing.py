"""The picture of a cluster: every node or domain is in it once, inside the page, and it stays small."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gpuyard.cluster import Cluster
from gpuyard.drawing import MOST_SQUARES, draw, picture
from gpuyard.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


def shapes(cluster: Cluster) -> tuple[ElementTree.Element, dict[str, ElementTree.Element]]:
    """Return the root, and every shape that has a title, by title."""
    root = ElementTree.fromstring(picture(cluster))
    titled = [rect for rect in root.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    return root, {rect.find(f"{SVG}title").text: rect for rect in titled}


def edges(rect: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_a_small_cluster_shows_each_node_in_its_rack():
    _, titled = shapes(Cluster.uniform(nodes=6, gpus_per_node=8, nodes_per_rack=3))
    assert [title for title in titled if title.startswith("node")] == [f"node-{n:05d}: 8 GPUs" for n in range(6)]
    left, top, right, bottom = edges(titled["rack 1"])
    for node in range(6):
        x0, y0, x1, y1 = edges(titled[f"node-{node:05d}: 8 GPUs"])
        assert (left <= x0 and x1 <= right and top <= y0 and y1 <= bottom) == (node >= 3)


def test_phase_1_shows_its_625_racks_in_79_leaves_in_10_pods():
    root, titled = shapes(Cluster.preset("phase-1"))
    kinds = [title.split()[0] for title in titled]
    assert (kinds.count("rack"), kinds.count("leaf"), kinds.count("pod")) == (625, 79, 10)
    assert titled["rack 0: 4 nodes, 32 GPUs"].get("fill") != "none"
    said = " ".join(text.text for text in root.iter(f"{SVG}text"))
    assert "632 leaf switches on 79 leaves" in said
    assert "2,500 nodes, 20,000 GPUs, 38.6 MW at the meter at rated load" in said


@pytest.mark.parametrize("name", ["phase-1", "phase-2", "phase-3", "phase-4"])
def test_nothing_is_outside_the_page_and_squares_do_not_overlap(name):
    root, titled = shapes(Cluster.preset(name))
    width, height = float(root.get("width")), float(root.get("height"))
    squares = [edges(rect) for rect in titled.values() if rect.get("fill") != "none"]
    assert all(x0 >= 0 and x1 <= width and y0 >= 0 and y1 <= height for x0, y0, x1, y1 in squares)
    assert len({(x0, y0) for x0, y0, _, _ in squares}) == len(squares) <= MOST_SQUARES


def test_a_cluster_of_one_node_and_one_of_none_but_cpus_can_be_drawn():
    assert "node-00000: 8 GPUs" in shapes(Cluster.parse("1x8"))[1]
    assert "no GPU: 3 nodes" in picture(Cluster.parse("3x0"))


def test_names_are_escaped_and_bytes_are_the_same_again():
    cluster = Cluster.uniform(nodes=2, gpus_per_node=1, name="a<b & 'c'")
    assert "a&lt;b &amp;" in picture(cluster)
    ElementTree.fromstring(picture(cluster))
    assert picture(cluster) == picture(cluster)


def test_a_picture_goes_to_a_file(tmp_path):
    assert draw(Cluster.parse("4x8"), tmp_path / "site.svg").read_text().startswith("<svg")
    with pytest.raises(InputError, match="cannot be written"):
        draw(Cluster.parse("4x8"), tmp_path / "no" / "site.svg")
