"""Engine against reference where the cluster is handed out in cells: the identical attempts on the identical GPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from cell_strategies import cell_policies, cell_sites, cells_for, in_cells, in_ranks
from gpuyard.tenancy import NO_TENANTS, Tenants
from oracle.comparing import EXAMPLES, compare
from oracle.test_constraints import in_arrays, recorded
from oracle.test_schedules import checked
from reference import ORDERS
from reference.queueing import SCORED
from strategies import crowded_workloads, fair_policies, workloads
from tenant_strategies import job_limits

BACKFILLS = ("none", "fit", "easy")
LIMITS = st.lists(job_limits(4), min_size=1, max_size=2).map(lambda drawn: Tenants(limits=tuple(drawn)))
FAIR = ("order", "weights", "qos", "partitions", "fair_share", "shares", "share_period", "half_life")


@pytest.mark.parametrize("beyond", ["wait", "opportunistic"])
@pytest.mark.parametrize("backfill", ["none", "fit", "easy"])
@pytest.mark.parametrize("kind", ["crowded", "plain", "every", "arrays"])
def test_cells_give_the_attempts_of_the_reference(kind, backfill, beyond):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001, 1e-6]), label="scale")
        site = data.draw(cell_sites(), label="cluster")
        if kind == "every":
            scale, jobs = 1, data.draw(workloads(site, 14))
        else:
            jobs = data.draw(crowded_workloads(site, scale, 24, plain=kind == "plain"))
        by = data.draw(st.sampled_from(["tenant", "tenant", "partition"]))
        jobs = data.draw(in_cells(jobs, by), label="workload")
        if kind == "arrays":
            jobs = data.draw(in_arrays(jobs))
        cells = data.draw(cells_for(site, by, beyond=beyond), label="cells")
        policy = data.draw(cell_policies(cells, scale, backfill=backfill), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3)), until)

    checked(f"cells {kind} {backfill} {beyond}", 2 * EXAMPLES, check)


@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("order", [*SCORED, "fair share"])
def test_cells_in_an_order_with_a_score_give_the_attempts_of_the_reference(order, backfill):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001]), label="scale")
        site = data.draw(cell_sites(), label="cluster")
        jobs = data.draw(in_cells(data.draw(crowded_workloads(site, scale, 24)), users=True), label="workload")
        cells = data.draw(cells_for(site), label="cells")
        fields: dict[str, object] = {"order": order}
        if order == "fair share":
            fair = data.draw(fair_policies("none", scale))
            fields = {name: getattr(fair, name) for name in FAIR}
        policy = data.draw(cell_policies(cells, scale, backfill=backfill, **fields), label="policy")
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3)), until)

    checked(f"cells by score {order} {backfill}", EXAMPLES, check)


@pytest.mark.parametrize("beyond", ["wait", "opportunistic"])
@pytest.mark.parametrize("backfill", ["none", "fit"])
@pytest.mark.parametrize("limited", [False, True])
def test_priorities_inside_an_owner_give_the_attempts_of_the_reference(limited, backfill, beyond):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001]), label="scale")
        site = data.draw(cell_sites(), label="cluster")
        jobs = data.draw(crowded_workloads(site, scale, 24, plain=data.draw(st.booleans())))
        jobs = data.draw(in_ranks(data.draw(in_cells(jobs, users=True))), label="workload")
        owned = cells_for(site, beyond=beyond).filter(lambda drawn: drawn.owners["blue"])
        cells = replace(data.draw(owned, label="cells"), within="priority")
        policy = data.draw(cell_policies(cells, scale, backfill=backfill, order="priority"), label="policy")
        tenants = data.draw(LIMITS, label="limits") if limited else NO_TENANTS
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: at * scale), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3)), until, tenants=tenants)

    checked(f"cells within {limited} {backfill} {beyond}", 4 * EXAMPLES, check)


@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("kind", ["stays", "score"])
def test_limits_beside_cells_give_the_attempts_of_the_reference(kind, backfill):
    def check(data: st.DataObject) -> None:
        site = data.draw(cell_sites(), label="cluster")
        jobs = data.draw(in_cells(data.draw(crowded_workloads(site, 1, 24)), users=True), label="workload")
        cells = data.draw(cells_for(site), label="cells")
        orders = SCORED if kind == "score" else [each for each in ORDERS if each not in SCORED]
        order = data.draw(st.sampled_from(orders))
        policy = data.draw(cell_policies(cells, 1, backfill=backfill, order=order), label="policy")
        tenants = data.draw(LIMITS, label="limits")
        until = data.draw(st.none() | st.none() | st.integers(0, 20), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3)), until, tenants=tenants)

    checked(f"cells with limits {kind} {backfill}", 2 * EXAMPLES, check)


@pytest.mark.parametrize(
    ("kind", "backfill"),
    [
        *[(kind, backfill) for kind in ("stays", "score", "fair share", "limits") for backfill in BACKFILLS],
        ("within", "none"),
        ("within", "fit"),
    ],
)
def test_cells_of_a_simulation_that_begins_in_the_middle_give_the_attempts_of_the_reference(kind, backfill):
    def check(data: st.DataObject) -> None:
        scale = data.draw(st.sampled_from([1, 1, 0.001]), label="scale")
        site = data.draw(cell_sites(), label="cluster")
        drawn = data.draw(crowded_workloads(site, scale, 24, plain=data.draw(st.booleans())))
        drawn = data.draw(in_cells(data.draw(in_arrays(drawn)) if data.draw(st.booleans()) else drawn, users=True))
        if kind == "within":
            drawn = data.draw(in_ranks(drawn))
        jobs = data.draw(recorded(drawn, scale), label="workload")
        cells = data.draw(cells_for(site), label="cells")
        orders = SCORED if kind == "score" else [each for each in ORDERS if each not in SCORED]
        order = "priority" if kind == "within" else data.draw(st.sampled_from(orders))
        cells = replace(cells, within="priority") if kind == "within" else cells
        fields: dict[str, object] = {"order": order}
        if kind == "fair share":
            fair = data.draw(fair_policies("none", scale))
            fields = {name: getattr(fair, name) for name in FAIR}
        policy = data.draw(cell_policies(cells, scale, backfill=backfill, **fields), label="policy")
        tenants = data.draw(LIMITS, label="limits") if kind == "limits" else NO_TENANTS
        begin = data.draw(st.integers(0, 8), label="begin") * scale
        until = data.draw(st.none() | st.none() | st.integers(0, 20).map(lambda at: begin + at * scale), label="until")
        compare(jobs, site, policy, data.draw(st.integers(0, 3)), until, begin=begin, tenants=tenants)

    checked(f"cells that begin in the middle {kind} {backfill}", 2 * EXAMPLES, check)
