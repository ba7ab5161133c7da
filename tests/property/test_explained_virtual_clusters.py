"""What is told of a job in a virtual cluster is what is told in a run of its virtual cluster alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from gpuyard import simulate
from gpuyard.dividing import cut_windows
from gpuyard.explanation import Story, gather, story_of
from gpuyard.virtual_clusters import divide
from oracle.comparing import FEWER
from oracle.test_schedules import checked
from oracle.test_shared_virtual_clusters import QUEUED, SOMEBODY, closed, preempting, shared_out
from oracle.test_virtual_clusters import divided, parents
from strategies import crowded_sites, crowded_workloads, policies, ranked
from tenant_strategies import owned


def told(story: Story) -> tuple[object, ...]:
    """Return what is told of the waits and attempts of a job."""
    return story.eligible, story.holds, story.stretches, story.passed, story.start, story.attempts, story.state


@pytest.mark.parametrize("preempts", [False, True], ids=["stays", "preempts"])
@pytest.mark.parametrize("variant", QUEUED)
def test_a_story_is_that_of_the_virtual_cluster_alone(variant, preempts):
    def check(data: st.DataObject) -> None:
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(owned(data.draw(ranked(data.draw(crowded_workloads(site, 1))))))
        jobs, parts = data.draw(divided(site, jobs, ("user", "partition")), label="virtual clusters")
        parts, of_run = data.draw(shared_out(site, parts), label="shared")
        policy = data.draw(preempting(variant) if preempts else policies(variant=variant), label="policy")
        assume("random" not in (policy.order, policy.placement) and policy.estimate in ("limit", "runtime"))
        if policy.preemption.rule == "reclaim":
            parts = [each if each.sharing or of_run else replace(each, sharing=SOMEBODY) for each in parts]
        windows = data.draw(closed(site), label="windows")
        until = data.draw(st.sampled_from([12, 30]), label="until")
        result = simulate(
            jobs,
            site,
            policy=policy,
            virtual_clusters=parts,
            tenants=of_run,
            windows=windows,
            until=until,
            decisions=True,
        )
        evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
        division = divide(jobs, site, policy, parts, of_run)
        for number, each in enumerate(parts):
            mine = division.member == number
            assume(all(division.member[list(rows)].min(initial=number) == number for rows in parents(jobs, mine)))
            if not mine.any():
                continue
            nodes, own = np.flatnonzero(division.owner == number), jobs.where(mine, each.name)
            there, shut = site.part(nodes, each.name), cut_windows(windows, site, nodes)
            assume(all(window.nodes for window in shut))  # a partition without nodes is none of a run's own
            alone = simulate(
                own,
                there,
                policy=policy,
                tenants=division.tenants[number],
                windows=shut,
                until=until,
                decisions=True,
            )
            known = gather(alone, workload=own, cluster=there, note=lambda _: None)
            for name in own.table["job_id"].to_pylist():
                assert told(story_of(evidence, name)) == told(story_of(known, name)), name

    checked(f"explained in virtual clusters {variant} {preempts}", FEWER, check)
