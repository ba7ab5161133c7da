"""Tenants that move in later: what they submit before is left out, and nothing else of the workload changes."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import gpuyard as gy
from gpuyard.errors import ConfigError
from gpuyard.synthesis import ClassShare, SynthesisSpec, generation, synthesise
from gpuyard.synthesis.tenants import Tenant

DAY = 86_400.0
BEGIN = SynthesisSpec(days=4)
MOVE_IN = "2027-01-06"  # two days after second 0


def with_start(name: str, start: str, spec: SynthesisSpec = BEGIN) -> SynthesisSpec:
    return replace(spec, tenants=tuple(replace(each, start=start) if each.name == name else each
                                       for each in spec.tenants))  # fmt: skip


@pytest.fixture(scope="module")
def before() -> pa.Table:
    return synthesise(BEGIN, gpus=1_152, seed=0).table


def of(table: pa.Table, tenant: str, *, others: bool = False) -> pa.Table:
    mine = pc.equal(table["tenant"], tenant)
    return table.filter(pc.invert(mine) if others else mine)


@pytest.mark.parametrize("tenant", ["foundation-a", "bio", "steel", "university", "cloud"])
def test_a_move_in_leaves_the_jobs_of_all_other_tenants_as_they_are(before: pa.Table, tenant: str) -> None:
    after = synthesise(with_start(tenant, MOVE_IN), gpus=1_152, seed=0).table
    assert of(after, tenant, others=True).equals(of(before, tenant, others=True))


@pytest.mark.parametrize("tenant", ["foundation-a", "bio", "steel", "university"])
def test_a_tenant_submits_nothing_before_it_moves_in_and_afterwards_what_it_would_have(
    before: pa.Table, tenant: str
) -> None:
    after = of(synthesise(with_start(tenant, MOVE_IN), gpus=1_152, seed=0).table, tenant)
    due = of(before, tenant)
    due = due.filter(pc.greater_equal(due["submit_time"], 2 * DAY))
    own = pc.is_null(due["preemptible"])  # a replica that runs already is submitted at the move-in
    same = ["job_id", "submit_time", "runtime", "gpus", "user", "state", "cpus", "priority"]
    assert after.filter(pc.is_null(after["preemptible"])).select(same).equals(due.filter(own).select(same))
    assert 0 < after.num_rows < of(before, tenant).num_rows
    assert pc.min(after["submit_time"]).as_py() >= 2 * DAY


def test_a_job_waits_for_none_of_its_parents_where_one_was_due_before_the_move_in(before: pa.Table) -> None:
    after = of(synthesise(with_start("steel", MOVE_IN), gpus=1_152, seed=0).table, "steel")
    parents_before = dict(zip(*of(before, "steel").select(["job_id", "depends_on"]).to_pydict().values(), strict=True))
    present = set(after["job_id"].to_pylist())
    cut = 0
    for job, parents in zip(*after.select(["job_id", "depends_on"]).to_pydict().values(), strict=True):
        meant = parents_before[job] or []
        assert (parents or []) == (meant if present.issuperset(meant) else [])
        cut += not present.issuperset(meant)
    assert cut > 0


def test_a_service_has_its_replicas_from_the_move_in_of_its_owner_and_no_demand_before() -> None:
    both = (Tenant(name="early", weights={"realtime": 1.0}),
            Tenant(name="cloud", weights={"realtime": 1.0}, start="2027-01-05"))  # fmt: skip
    alone = SynthesisSpec(days=2, load=0.5, classes=(ClassShare(name="realtime", share=1.0),), tenants=both)
    workload = synthesise(alone, gpus=256, seed=0)
    table = gy.simulate(workload, gy.Cluster.parse("32x8"), policy=gy.Policy(backfill="fit")).services
    assert table is not None
    owners = workload.table.group_by(["job_name", "tenant"]).aggregate([("submit_time", "min")]).to_pylist()
    late = {row["job_name"] for row in owners if row["tenant"] == "cloud"}
    assert late
    assert {row["tenant"] for row in owners} > {"cloud"}
    first = {row["service"]: row["time"] for row in reversed(table.to_pylist())}
    assert {name for name, time in first.items() if time == DAY} == late
    assert {name for name, time in first.items() if time == 0} == first.keys() - late
    assert {row["submit_time_min"] for row in owners if row["tenant"] == "cloud"} == {DAY}
    assert pc.sum(table["attained_s"]).as_py() > 0.95 * pc.sum(table["duration_s"]).as_py()


def test_tables_of_any_size_hold_the_same_rows() -> None:
    spec = with_start("bio", MOVE_IN)
    parts = list(generation(spec, gpus=1_152, seed=0).tables(rows=1_000))
    assert pa.concat_tables(parts).equals(synthesise(spec, gpus=1_152, seed=0).table)


def test_a_tenant_that_never_moves_in_is_as_if_it_had_no_jobs(before: pa.Table) -> None:
    after = synthesise(with_start("cloud", "2030-01-01"), gpus=1_152, seed=0).table
    assert after.equals(of(before, "cloud", others=True).replace_schema_metadata(after.schema.metadata))


def test_a_tenants_priority_is_added_to_that_of_its_jobs(before: pa.Table) -> None:
    spec = replace(BEGIN, tenants=tuple(replace(each, priority=7 * (each.name == "bio")) for each in BEGIN.tenants))
    after = synthesise(spec, gpus=1_152, seed=0).table
    raised = np.asarray(after["priority"]) - np.asarray(before["priority"])
    assert np.array_equal(raised, 7 * np.asarray(pc.equal(before["tenant"], "bio")))


def test_a_date_of_toml_is_a_move_in_and_goes_back_into_the_table() -> None:
    table = tomllib.loads("[tenants.a]\ntraining = 1.0\npriority = 3\nstart = 2028-03-01\n[tenants.b]\nrealtime = 1\n")
    spec = SynthesisSpec.from_mapping(table)
    assert spec.tenants[0] == Tenant(name="a", weights={"training": 1.0}, priority=3, start="2028-03-01")
    assert spec.move_ins()[1] == -np.inf
    assert SynthesisSpec.from_mapping(spec.to_mapping()).tenants == spec.tenants


def test_the_rd_centres_come_as_a_set_that_other_keys_change() -> None:
    spec = SynthesisSpec.from_mapping(
        {"tenants": {"preset": "rd-centres", "cloud": {"users": 9}, "guest": {"training": 1}}}
    )
    tenants = {each.name: each for each in spec.tenants}
    assert tenants["cloud"].users == 9
    assert tenants["cloud"].weights == {"training": 0.2, "realtime": 0.6}
    assert tenants["bio-testbed"].start == "2028-03-01"
    assert "guest" in tenants
    for job_class in ("training", "realtime", "drug-discovery", "battery", "manufacturing"):
        weights = [each.weights.get(job_class, 0) for each in spec.tenants if each.name != "guest"]
        assert sum(weights) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("mapping", "complaint"),
    [
        ({"tenants": {"a": {"training": 1, "start": "soon"}}}, "must be a date such as 2028-03-01, got 'soon'"),
        ({"tenants": {"a": {"training": 1, "start": 5}}}, "must be a date such as 2028-03-01, got 5"),
        ({"tenants": {"a": {"training": 1, "priority": 5000}}}, "-1000 to 1000, got 5000"),
        ({"tenants": {"preset": "rd-centers"}}, "did you mean 'rd-centres'"),
        ({"jobs": 100, "tenants": {"a": {"training": 1, "start": "2028-01-01"}}}, "leave out its start or 'jobs'"),
    ],
)
def test_a_tenant_that_cannot_move_in_is_refused(mapping: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        SynthesisSpec.from_mapping(mapping)
