"""The autoscaler of the synthesis asks for what the rule of the page asks for, taken step by step in fractions."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.services.autoscaling import Scales, wanted
from reference import autoscaling


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


@given(st.lists(services(), min_size=1, max_size=3), st.integers(1, 60), st.randoms(use_true_random=False))
def test_replicas_are_those_of_the_rule_taken_step_by_step(
    rules: list[dict[str, object]], steps: int, draw: Random
) -> None:
    demands = [[draw.randint(0, draw.choice((40, 400))) for _ in range(steps)] for _ in rules]
    exact = [[Fraction(each, 16) for each in row] for row in demands]
    found = wanted(np.array(demands) / 16, table(rules))
    assert found.tolist() == [autoscaling.wanted(row, **rule) for row, rule in zip(exact, rules, strict=True)]
