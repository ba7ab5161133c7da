"""Engine against reference: the identical schedule, job by job, for every policy on random workloads.

``GPUYARD_EXAMPLES`` sets the number of workloads for each case (30 unless given, 15 where nothing is compiled).  Every
order and every placement meets every backfill; what else a policy says is drawn.  ``-k easy``, ``-k "easy and wfp"``
choose cases.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conftest import cluster, workload
from gpuyard import policy as names
from gpuyard.policy import Policy
from oracle.comparing import EXAMPLES, compare
from reference import BACKFILLS, ESTIMATES, ORDERS, PLACEMENTS
from strategies import VARIANTS, clusters, crowded_sites, crowded_workloads, policies, workloads


def checked(name: str, examples: int, check: Callable[[st.DataObject], None]) -> None:
    """Run a check on so many examples; the name decides which."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    seed(zlib.crc32(name.encode()))(chosen(given(st.data())(check)))()


def agree(fixed: dict[str, object], max_nodes: int, max_jobs: int, examples: int) -> None:
    """Compare on clusters of every kind and jobs that use every feature."""

    def check(data: st.DataObject) -> None:
        cluster = data.draw(clusters(max_nodes), label="cluster")
        workload = data.draw(workloads(cluster, max_jobs), label="workload")
        policy = data.draw(policies(**fixed), label="policy")
        run_seed = data.draw(st.integers(0, 3), label="seed")
        until = data.draw(st.none() | st.none() | st.integers(0, 12), label="until")
        compare(workload, cluster, policy, run_seed, until)

    checked(repr((sorted(fixed.items()), max_nodes)), examples, check)


def agree_when_crowded(fixed: dict[str, object], examples: int) -> None:
    """Compare on small sites that are asked for more than they have, so that it matters who may pass."""

    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001, 1e-6]), label="scale")
        cluster = data.draw(crowded_sites(), label="cluster")
        workload = data.draw(crowded_workloads(cluster, scale), label="workload")
        policy = data.draw(policies(scale=scale, **fixed), label="policy")
        run_seed = data.draw(st.integers(0, 3), label="seed")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")
        compare(workload, cluster, policy, run_seed, until)

    checked(repr(sorted(fixed.items())), examples, check)


def test_the_reference_knows_every_name_of_a_policy():
    assert set(ORDERS) == set(names.ORDERS)
    assert set(BACKFILLS) == set(names.BACKFILLS)
    assert set(PLACEMENTS) == set(names.PLACEMENTS)
    assert set(ESTIMATES) == set(names.ESTIMATES)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_order_and_backfill_gives_the_schedule_of_the_reference(variant, order):
    agree_when_crowded({"variant": variant, "order": order}, EXAMPLES)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_every_estimate_gives_the_schedule_of_the_reference(estimate):
    agree_when_crowded({"estimate": estimate}, 4 * EXAMPLES)


@pytest.mark.parametrize("placement", ["first-fit", "best-fit", "worst-fit"])
def test_easy_promises_what_the_reference_does_where_jobs_end_when_they_are_expected_to(placement):
    """Heads of whole nodes and of parts of them, and jobs that end early now and then."""

    def check(data: st.DataObject) -> None:
        site = cluster(*[4] * data.draw(st.integers(2, 5)))
        gpus = st.sampled_from([1, 1, 2, 3, 4, 6, 8, 9]).filter(lambda each: each <= site.gpus)
        jobs = st.tuples(st.integers(0, 30), st.integers(1, 20), gpus, st.sampled_from([0, 0, 0, 0, 5]))
        rows = data.draw(st.lists(jobs, min_size=12, max_size=30))
        told = [(at, run, asked, {"time_limit": float(run + more)}) for at, run, asked, more in rows]
        compare(workload(*told), site, Policy(backfill="easy", placement=placement), 0, None)

    checked(f"as expected {placement}", 4 * EXAMPLES, check)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_placement_and_backfill_gives_the_schedule_of_the_reference_for_jobs_of_every_kind(variant, placement):
    agree({"variant": variant, "placement": placement}, 8 if variant in {"none", "fit"} else 6, 14, EXAMPLES)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_recorded_replay_gives_the_schedule_of_the_reference(placement):
    agree({"placement": placement, "replay": "recorded"}, 6, 14, EXAMPLES)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_spread_gives_the_schedule_of_the_reference(placement):
    agree({"placement": placement, "spread": True, "backfill": "fit"}, 6, 14, EXAMPLES)


def test_packed_gives_the_schedule_of_the_reference_on_larger_sites():
    agree({"placement": "packed", "backfill": "fit"}, 24, 10, 4 * EXAMPLES)
