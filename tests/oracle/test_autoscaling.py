"""The autoscaler of the synthesis asks for what the rule of the page asks for, taken step by step in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.services.autoscaling import Scales, wanted
from reference import autoscaling

DEMANDS = st.lists(st.integers(0, 400).map(lambda each: Fraction(each, 16)), min_size=1, max_size=60)


@st.composite
def services(draw: st.DrawFn) -> dict[str, object]:
    least = draw(st.integers(1, 4))
    return {
        "target": Fraction(draw(st.integers(1, 16)), 16),
        "tolerance": Fraction(draw(st.sampled_from([0, 1, 2, 4])), 16),
        "window": draw(st.integers(1, 6)),
        "least": least,
        "most": draw(st.integers(least, 40)),
        "spare": draw(st.integers(0, 2)),
    }


def table(rules: list[dict[str, object]]) -> Scales:
    return Scales(
        target=np.array([float(each["target"]) for each in rules]),
        tolerance=np.array([float(each["tolerance"]) for each in rules]),
        intervals=np.array([each["window"] for each in rules], dtype=np.int64),
        least=np.array([each["least"] for each in rules], dtype=np.int64),
        most=np.array([each["most"] for each in rules], dtype=np.int64),
        spare=np.array([each["spare"] for each in rules], dtype=np.int64),
    )


@given(st.data())
def test_replicas_are_those_of_the_rule_taken_step_by_step(data: st.DataObject) -> None:
    rules = data.draw(st.lists(services(), min_size=1, max_size=3))
    steps = len(data.draw(DEMANDS))
    demands = [data.draw(st.lists(st.integers(0, 400), min_size=steps, max_size=steps)) for _ in rules]
    exact = [[Fraction(each, 16) for each in row] for row in demands]
    found = wanted(np.array(demands) / 16, table(rules))
    assert found.tolist() == [autoscaling.wanted(row, **rule) for row, rule in zip(exact, rules, strict=True)]
