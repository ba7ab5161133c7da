"""What docs/semantics.md promises of its policies, checked on the reference alone.

The reference asserts in every pass that a reservation does not move to later unless it may, that nobody starts who was
refused under the same reservation, and that no GPU is promised twice; the tests here only have to run it.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import cluster
from gpuyard.policy import Policy
from oracle.comparing import EXAMPLES
from reference import simulate
from strategies import VARIANTS, crowded_sites, crowded_workloads, policies

CHOSEN = settings(
    max_examples=2 * EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_job_that_is_not_rejected_starts_and_ends(variant):
    @CHOSEN
    @given(st.data())
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 0.001, 1e-6]))
        site = data.draw(crowded_sites())
        jobs = data.draw(crowded_workloads(site, scale))
        policy = data.draw(policies(variant=variant, scale=scale))
        assert all(fate.outcome != "unfinished" for fate in simulate(jobs, site, policy))

    check()


@CHOSEN
@given(st.data())
def test_nobody_starts_later_than_in_order_under_conservative_backfilling_of_exact_run_times(data):
    """Who starts early is gone early: at each instant those in front hold no more GPUs than they would in order."""
    site = cluster(data.draw(st.sampled_from([4, 8])))
    jobs = data.draw(crowded_workloads(site, 1, plain=True))
    in_order = simulate(jobs, site, Policy(estimate="runtime", on_limit="ignore"))
    planned = simulate(jobs, site, Policy(estimate="runtime", on_limit="ignore", backfill="conservative"))
    for mine, theirs in zip(planned, in_order, strict=True):
        assert mine.start <= theirs.start
