"""Explanations of random runs in cells: they cover every wait, and the record never contradicts a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from cell_strategies import cell_policies, cell_sites, cells_for, in_cells, in_ranks
from gpuyard import simulate
from gpuyard.cluster import Cluster
from gpuyard.explanation import Story, Stretch, gather, story_of
from gpuyard.explanation.evidence import Evidence
from gpuyard.explanation.forest import Forest
from gpuyard.explanation.sharing import Sharing
from gpuyard.explanation.story import Held
from gpuyard.explanation.yard import held_milli
from gpuyard.policy import Policy
from gpuyard.tenancy import Tenants
from gpuyard.workload import MICROSECOND, Workload
from oracle.comparing import EXAMPLES
from oracle.test_constraints import recorded
from oracle.test_schedules import checked
from reference import cells as plain
from strategies import crowded_workloads
from tenant_strategies import job_limits


@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("beyond", ["wait", "opportunistic"])
def test_nor_is_one_where_jobs_take_cells_from_others_of_their_owner(backfill: str, beyond: str) -> None:
    def check(data: st.DataObject) -> None:
        site = data.draw(cell_sites(), label="cluster")
        drawn = data.draw(in_cells(data.draw(crowded_workloads(site, 1, 24)), users=True))
        jobs = lasting(data.draw(in_ranks(drawn), label="workload"))
        owned = cells_for(site, beyond=beyond).filter(lambda each: each.owners["blue"])
        cells = replace(data.draw(owned, label="cells"), within="priority")
        check_stories(site, jobs, data.draw(cell_policies(cells, backfill=backfill, order="priority")), Tenants())

    checked(f"stories of priorities in cells {backfill} {beyond}", 2 * EXAMPLES, check)


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("beyond", ["wait", "opportunistic"])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
def test_every_wait_in_cells_is_covered_and_no_reason_is_contradicted(
    backfill: str, beyond: str, limited: bool
) -> None:
    def check(data: st.DataObject) -> None:
        site = data.draw(cell_sites(), label="cluster")
        drawn = in_cells(data.draw(crowded_workloads(site, 1, 24)), users=True)
        jobs = lasting(data.draw(drawn, label="workload"))
        cells = data.draw(cells_for(site, beyond=beyond), label="cells")
        policy = data.draw(cell_policies(cells, backfill=backfill), label="policy")
        most = data.draw(st.lists(job_limits(4), min_size=1, max_size=2)) if limited else ()
        check_stories(site, jobs, policy, Tenants(limits=tuple(most)))

    checked(f"stories of cells {backfill} {beyond} {limited}", EXAMPLES, check)


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
def test_nor_is_one_of_a_run_that_begins_in_the_middle(backfill: str, limited: bool) -> None:
    def check(data: st.DataObject) -> None:
        site = data.draw(cell_sites(), label="cluster")
        drawn = data.draw(in_cells(data.draw(crowded_workloads(site, 1, 24)), users=True))
        jobs = data.draw(recorded(lasting(drawn), 1), label="workload")
        policy = data.draw(cell_policies(data.draw(cells_for(site), label="cells"), backfill=backfill), label="policy")
        most = data.draw(st.lists(job_limits(4), min_size=1, max_size=2)) if limited else ()
        begin = data.draw(st.integers(1, 8), label="begin")
        check_stories(site, jobs, policy, Tenants(limits=tuple(most)), begin=float(begin))

    checked(f"stories of cells that begin in the middle {backfill} {limited}", EXAMPLES, check)


def check_stories(
    site: Cluster, jobs: Workload, policy: Policy, tenants: Tenants, *, begin: float | None = None
) -> None:
    result = simulate(jobs, site, policy=policy, tenants=tenants, begin=begin)
    evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
    for job in evidence.names:
        story = story_of(evidence, job)
        check_cover(evidence, story)
        for stretch in story.stretches:
            if begin is None or stretch.start >= begin:
                check_reason(evidence, story, stretch)
            else:
                assert (stretch.reason, stretch.end <= begin) == ("before_begin", True)
        assert str(story)


def lasting(jobs: Workload) -> Workload:
    """Return the jobs with run times: where one runs for none, an instant has several passes, and what was free at each
    is not known."""
    rows = jobs.table.to_pylist()
    for row in rows:
        row["runtime"] = max(row["runtime"] or 1, 1)
        row["time_limit"] = None if row["time_limit"] is None else max(row["time_limit"], 1)
    return Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))


def check_cover(evidence: Evidence, story: Story) -> None:
    """The stretches are the times from when a job was eligible, or preempted, to the next start, cut into pieces."""
    if story.eligible is None or story.state == "rejected":
        assert story.stretches == ()
        return
    edges = [story.eligible, *(edge for stay in story.attempts for edge in (stay.start, stay.end))]
    waits = [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=False) if begin < end]
    pieces = [(each.start, each.end) for each in story.stretches]
    joined: list[tuple[float, float]] = []
    for begin, end in pieces:
        if joined and joined[-1][1] == begin and begin not in {wait[0] for wait in waits}:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    if story.end is not None:
        assert joined == waits


def check_reason(evidence: Evidence, story: Story, stretch: Stretch) -> None:
    free = stretch.cells
    assert free is not None
    assert story.cells is not None
    assert (free.own is not None) == story.cells.guaranteed
    assert free.own is not None or free.idle is not None
    named = {"order"} if evidence.tenants else {"order", "reservation"}
    assert stretch.blocker is None or stretch.reason in ("order", "reservation")
    assert stretch.blocker is not None or stretch.reason not in named
    backfills = {"order": ["none"], "reservation": ["easy"]}
    assert stretch.reason in ("order", "reservation", "cells", "limit")
    assert evidence.policy.backfill in backfills.get(stretch.reason, ["none", "fit", "easy"])
    assert stretch.reason != "reservation" or stretch.fits
    assert (stretch.reason == "limit") == (stretch.held is not None)
    for each in (free.own, free.idle):
        assert each is None or stretch.reason != "cells" or each[0] < story.cells.count
    if stretch.held is not None:
        check_limit(evidence, story, stretch)
    if free.idle_gpus is not None:
        begin, end = round(stretch.start * MICROSECOND), round(stretch.end * MICROSECOND)
        starts, ends = evidence.attempt_start, evidence.attempt_end
        for now in {begin, *ends[(ends >= begin) & (ends < end)].tolist()}:
            held = np.flatnonzero((starts < now) & (ends > now))
            slots = [slice(evidence.slot_offset[each], evidence.slot_offset[each + 1]) for each in held]
            used = sum(int(evidence.slot_gpus[each].sum()) for each in slots)
            assert evidence.cluster.gpus - used >= free.idle_gpus[0]
    if stretch.blocker is not None:
        assert stretch.blocker.job_id != story.job_id
        other = evidence.names.index(stretch.blocker.job_id)
        row, begin = evidence.names.index(story.job_id), round(stretch.start * MICROSECOND)
        assert not evidence.goes_later(row, np.array([other]), begin)[0]


def check_limit(evidence: Evidence, story: Story, stretch: Stretch) -> None:
    """Nothing that ends or starts later than the stretch begins can explain why its limit was full then; more than it
    admits is held only by who ran when the simulation began, whom no limit had to admit."""
    begin, held = round(stretch.start * MICROSECOND), stretch.held
    assert held is not None
    assert held.most is not None
    sharing = Sharing(evidence)
    for attempt in np.flatnonzero((evidence.attempt_start <= begin) & (evidence.attempt_end >= begin)):
        sharing.hold(int(attempt))
    row = evidence.names.index(story.job_id)
    assert sharing.limit(row) is not None
    assert held.used[0] + (1 if held.what == "jobs" else held_milli(evidence, row) / 1000) > held.most
    assert held.used[0] <= held.used[1] <= max(held.most, held_since_begin(evidence, held, row, begin))


def held_since_begin(evidence: Evidence, held: Held, row: int, now: int) -> float:
    """Return what those of a job's group held of a limit who ran when the simulation began and did not end before an
    instant: jobs or GPUs, and the most where several limits admit as many."""
    if evidence.begin is None:
        return 0.0
    sharing, counts_jobs = Sharing(evidence), held.what == "jobs"
    holds = np.diff(evidence.slot_offset) > 0
    ran = evidence.attempt_job[(evidence.attempt_since < evidence.begin) & (evidence.attempt_end >= now) & holds]
    amounts = [0.0]
    for number, limit in enumerate(evidence.tenants.limits):
        if (limit.jobs if counts_jobs else limit.gpus) == held.most:
            theirs = [job for job in ran.tolist() if sharing.groups(job)[number] == sharing.groups(row)[number]]
            amounts.append(sum(1 if counts_jobs else held_milli(evidence, job) / 1000 for job in theirs))
    return max(amounts)


def test_cells_are_taken_as_the_reference_takes_them() -> None:
    def check(data: st.DataObject) -> None:
        site = data.draw(cell_sites())
        (owned, *_) = data.draw(cells_for(site)).owners.values()
        hierarchy = plain.Hierarchy.of(site, None)
        counts = [owned.get(name, 0) for name in hierarchy.names]
        size = [hierarchy.size(level) for level in range(len(counts))]
        forest, other = Forest(np.array(size), np.array(counts)), plain.Forest(hierarchy, counts)
        held: list[tuple[int, list[int], list[plain.Cell]]] = []
        for _ in range(data.draw(st.integers(1, 12))):
            if held and data.draw(st.integers(0, 2)) == 0:
                level, numbers, cells = held.pop(data.draw(st.integers(0, len(held) - 1)))
                forest.give(level, numbers)
                for cell in cells:
                    cell.taken = False
                continue
            level, count = data.draw(st.integers(0, hierarchy.node)), 1
            if level == hierarchy.node:
                count = data.draw(st.integers(1, 4))
            numbers, cells = forest.take(level, count), other.take(level, count)
            assert numbers == (None if cells is None else [cell.number for cell in cells])
            if numbers is not None and cells is not None:
                held.append((level, numbers, cells))
            assert forest.free(0).tolist() == [cell.free for cell in other.levels[0]]

    checked("forests of explanations", 10 * EXAMPLES, check)
