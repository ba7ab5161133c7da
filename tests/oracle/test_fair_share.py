"""Engine against reference: fair share, with every backfill, windows over nodes and a beginning in the middle."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from conftest import cluster, workload
from oracle.comparing import EXAMPLES, compare
from oracle.test_constraints import recorded, windows
from oracle.test_schedules import checked
from strategies import VARIANTS, crowded_sites, crowded_workloads, fair_policies, tenanted

MOST_JOBS = 12


def scales(variant: str) -> st.SearchStrategy[float]:
    """Return what times are multiples of; slurm lets jobs wait for 30 s, which are many periods of a millisecond."""
    return st.just(1) if variant == "slurm" else st.sampled_from([1, 1, 0.001, 1e-6])


@pytest.mark.parametrize("variant", VARIANTS)
def test_fair_share_has_the_schedule_of_the_reference_where_all_wait_for_the_same_gpus(variant):
    """Two GPUs and a long queue: most passes have more than one user to choose from."""

    def check(data: st.DataObject) -> None:
        scale = data.draw(scales(variant), label="scale")
        job = st.tuples(st.integers(0, 5), st.integers(1, 9), st.sampled_from([1, 1, 2]))
        rows = data.draw(st.lists(job, min_size=8, max_size=MOST_JOBS))
        jobs = data.draw(tenanted(workload(*((at * scale, run * scale, gpus) for at, run, gpus in rows))), label="jobs")
        policy = data.draw(fair_policies(variant, scale), label="policy")
        compare(jobs, cluster(2), policy, data.draw(st.integers(0, 3), label="seed"), None)

    checked(f"fair share of two {variant}", 4 * EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fair_share_has_the_schedule_of_the_reference(variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(scales(variant), label="scale")
        site = data.draw(crowded_sites(), label="site")
        plain = data.draw(st.booleans())
        jobs = data.draw(tenanted(data.draw(crowded_workloads(site, scale, MOST_JOBS, plain=plain))), label="jobs")
        policy = data.draw(fair_policies(variant, scale), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(0, 40).map(lambda at: at * scale), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3), label="seed"), until)

    checked(f"fair share {variant}", 2 * EXAMPLES, check)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fair_share_has_the_schedule_of_the_reference_with_windows_and_a_beginning_in_the_middle(variant):
    def check(data: st.DataObject) -> None:
        scale = data.draw(scales(variant), label="scale")
        site = data.draw(crowded_sites(), label="site")
        jobs = data.draw(tenanted(data.draw(crowded_workloads(site, scale, MOST_JOBS))), label="jobs")
        begin = None
        if data.draw(st.integers(0, 2)):
            jobs = data.draw(recorded(jobs, scale), label="recorded")
            begin = data.draw(st.integers(-2, 6)) * scale
        policy = data.draw(fair_policies(variant, scale), label="policy")
        closed = data.draw(windows(site.nodes, scale), label="windows") if data.draw(st.booleans()) else ()
        until = data.draw(st.none() | st.none() | st.integers(6, 40).map(lambda at: at * scale), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3), label="seed"), until, begin=begin, windows=closed)

    checked(f"fair share amid {variant}", 2 * EXAMPLES, check)
