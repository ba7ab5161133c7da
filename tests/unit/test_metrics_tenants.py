"""What tenants held, borrowed and lent: against a count second by second, and in stories of a few jobs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from conftest import Row, cluster, workload
from gpuyard.energy import EnergyModel, account
from gpuyard.entitlement import due_quotas, entitlement, owners
from gpuyard.experiment import simulate
from gpuyard.metrics import summarise, tenants_table
from gpuyard.metrics.usage import usage
from gpuyard.policy import named_policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import Tenant, Tenants
from gpuyard.workload import MICROSECOND, NEVER

SECOND, HOUR = MICROSECOND, 3600


def recorded(tenants: Tenants, *rows: Row, site: tuple[int, ...] = (64,)) -> Record:
    """Return what happens to jobs that all start at once, seen with tenants that nothing was held back by."""
    return replace(schedule(workload(*rows), cluster(*site), named_policy("fifo-fit")), tenants=tenants)


def block(record: Record, **options: object) -> Mapping[str, Mapping[str, float]]:
    found = summarise(record, account(record, EnergyModel.from_mapping({})), **options)["tenants"]  # type: ignore[arg-type]
    assert isinstance(found, Mapping)
    return found["by_tenant"]  # type: ignore[no-any-return]


FLAT = Tenants(tenants=(Tenant(name="steel", nominal=8), Tenant(name="bio", nominal=8), Tenant(name="guest")))


def of(tenant: str, **more: object) -> dict[str, object]:
    return {"tenant": tenant, **more}


def test_a_tenant_borrows_what_it_holds_above_its_quota_and_others_lend_by_what_they_leave_unused() -> None:
    rows = [(0, 2 * HOUR, 12, of("steel")), (HOUR, 2 * HOUR, 6, of("bio")), (0, HOUR, 2, of("guest"))]
    found = block(recorded(FLAT, *rows))
    steel, bio, guest = found["steel"], found["bio"], found["guest"]
    assert (steel["held_gpu_hours"], steel["within_quota_gpu_hours"], steel["borrowed_gpu_hours"]) == (24, 16, 8)
    assert (guest["held_gpu_hours"], guest["borrowed_gpu_hours"], guest["lent_gpu_hours"]) == (2, 2, 0)
    assert bio["borrowed_gpu_hours"] == 0
    assert (
        bio["lent_gpu_hours"] == 6 + 2
    )  # all that was borrowed in the first hour, and in the second the 2 it had left
    assert (steel["at_quota_s"], bio["at_quota_s"], guest["at_quota_s"]) == (2 * HOUR, 0, 0)
    assert steel["at_quota_share"] == pytest.approx(2 / 3)
    assert steel["quota_used"] == pytest.approx(16 / 24)


def test_jobs_of_tenants_below_count_with_the_tenant_and_what_is_kept_is_lent_to_nobody() -> None:
    tenants = Tenants(
        tenants=(
            Tenant(name="steel/vision", nominal=4, lend=1),  # of whose 4 the others can have 1
            Tenant(name="steel/lines", nominal=4),
            Tenant(name="bio", nominal=0),
        )
    )
    found = block(recorded(tenants, (0, HOUR, 5, of("bio")), (0, HOUR, 1, of("steel/lines/night"))))
    assert found["steel"]["nominal_gpus"] == 8
    assert found["steel"]["held_gpu_hours"] == 1
    assert found["steel"]["lent_gpu_hours"] == 4
    assert found["bio"]["borrowed_gpu_hours"] == 5
    assert found["steel/lines"]["held_gpu_hours"] == 1


def test_a_quota_in_common_is_all_that_there_is_where_no_tenant_is_named() -> None:
    """Of 8 GPUs 6 are in common: the second job waits for the quota, and no tenant held any of it."""
    jobs = workload((0, HOUR, 4, of("steel")), (0, HOUR, 4, of("bio")))
    record = schedule(jobs, cluster(8), named_policy("fifo-fit"), tenants=Tenants(nominal=6))
    assert record.start.tolist() == [0, HOUR * SECOND]
    whole = summarise(record, account(record, EnergyModel()))["tenants"]
    assert isinstance(whole, Mapping)
    assert (whole["common_gpus"], whole["common_lent_gpu_hours"], whole["by_tenant"]) == (6, 0, {})


def test_each_window_counts_what_lies_in_it() -> None:
    found = block(recorded(FLAT, (0, 4 * HOUR, 12, of("steel"))), window=(HOUR, 2 * HOUR))
    assert (found["steel"]["held_gpu_hours"], found["steel"]["borrowed_gpu_hours"]) == (12, 4)
    assert found["bio"]["lent_gpu_hours"] == 4


def test_quotas_by_type_are_charged_with_the_type_that_a_job_runs_on() -> None:
    tenants = Tenants(tenants=(Tenant(name="steel", nominal={"A100": 2, "H100": 2}),))
    record = recorded(
        tenants,
        (0, HOUR, 3, of("steel", gpu_type="H100")),
        (0, HOUR, 1, of("steel", gpu_type="A100")),
        site=(("A100", 4), ("H100", 4)),  # type: ignore[arg-type]
    )
    steel = block(record)["steel"]
    assert (steel["nominal_gpus"], steel["held_gpu_hours"], steel["borrowed_gpu_hours"]) == (4, 4, 1)


def test_what_others_took_back_is_counted_with_what_was_lost() -> None:
    rows = [(0, HOUR, 8, of("guest")), (600, HOUR, 8, of("steel", priority=1))]
    jobs, site = workload(*rows), cluster(8)
    policy = named_policy("fifo-fit", preemption={"rule": "priority", "checkpoint_interval": "none"})
    found = summarise(record := replace(schedule(jobs, site, policy), tenants=FLAT), account(record, EnergyModel()))
    shared = found["tenants"]
    assert isinstance(shared, Mapping)
    assert shared["reclaims"] == 1
    guest = shared["by_tenant"]["guest"]
    assert guest["reclaimed"] == {"preemptions": 1, "gpu_hours": 8 / 6, "lost_gpu_hours": 8 / 6}
    assert shared["by_tenant"]["steel"]["reclaims"] == {"preemptions": 1}


def test_without_quotas_nothing_is_borrowed_and_jobs_of_nobody_are_counted() -> None:
    tenants = Tenants(tenants=(Tenant(name="steel"),), between="drf")
    record = recorded(tenants, (0, 1, 1, of("steel")), (0, 1, 1, of("bio")), (0, 1, 1))
    shared = summarise(record, account(record, EnergyModel()))["tenants"]
    assert isinstance(shared, Mapping)
    assert shared["jobs_of_nobody"] == 2
    assert "borrowed_gpu_hours" not in shared["by_tenant"]["steel"]


def test_a_run_without_tenants_has_no_block() -> None:
    record = recorded(Tenants(), (0, 1, 1))
    assert summarise(record, account(record, EnergyModel()))["tenants"] is None


# --- against a count second by second -----------------------------------------------------------------------------


def shared_out(seed: int) -> tuple[Tenants, Record]:
    """Return random tenants in three levels and jobs of theirs, some of no tenant."""
    dice = random.Random(seed)
    names = ["a", "b", "b/x", "b/y", "b/y/1", "c/z"]
    tenants = Tenants(
        tenants=tuple(
            Tenant(
                name=name,
                nominal=dice.choice([None, 0, 1, 2, 4]),
                lend=dice.choice([None, None, 0, 1, 2]),
                borrow=dice.choice([None, 2]),
            )
            for name in names
        ),
        nominal=dice.choice([None, 0, 3]),
    )
    rows = [
        (
            dice.randrange(20),
            dice.randrange(15),
            dice.randrange(4),
            of(dice.choice([*names, "c", "b/y/1/deep", "other"])),
        )
        for _ in range(30)
    ]
    return tenants, recorded(tenants, *rows)


def counted(tenants: Tenants, record: Record, second: int) -> dict[str, dict[str, float]]:
    """Return what each tenant held, borrowed and lent in a second, from the page and not from the code."""
    stated = {each.name: each for each in tenants.tenants}
    paths = tenants.paths
    below = {path: [each for each in paths if each and each.rpartition("/")[0] == path] for path in paths}
    own = dict.fromkeys(paths, 0)
    for attempt, job in enumerate(record.attempt_job.tolist()):
        if record.attempt_start[attempt] <= second * SECOND < record.attempt_end[attempt]:
            path = record.workload.table["tenant"][job].as_py()
            while path not in own:
                path = path.rpartition("/")[0]
            own[path] += int(record.workload.gpus[job])

    def q(path: str) -> float:
        return (tenants.nominal if path == "" else stated[path].nominal if path in stated else 0) or 0  # type: ignore[return-value]

    def nominal(path: str) -> float:
        return q(path) + sum(nominal(each) - kept(each) for each in below[path])

    def kept(path: str) -> float:
        lend = stated[path].lend if path in stated else None
        return 0 if lend is None else max(nominal(path) - lend, 0)  # type: ignore[operator]

    def used(path: str) -> float:
        return own[path] + sum(max(used(each) - kept(each), 0) for each in below[path])

    def held(path: str) -> float:
        return own[path] + sum(held(each) for each in below[path])

    def borrowed(path: str) -> float:
        return max(used(path) - nominal(path), 0)

    def unused(path: str) -> float:
        return max(nominal(path) - kept(path) - max(used(path) - kept(path), 0), 0)

    found = {}
    for path in paths[1:]:
        parent = path.rpartition("/")[0]
        wanted = sum(borrowed(each) for each in below[parent]) + max(own[parent] - q(parent), 0)
        free = sum(unused(each) for each in below[parent]) + max(q(parent) - own[parent], 0)
        found[path] = {
            "held": held(path),
            "borrowed": borrowed(path),
            "lent": unused(path) * min(wanted, free) / free if free else 0.0,
            "full": float(used(path) >= nominal(path) > 0),
        }
    return found


@pytest.mark.parametrize("seed", range(30))
def test_held_borrowed_lent_and_time_at_quota_are_those_of_a_count_second_by_second(seed: int) -> None:
    tenants, record = shared_out(seed)
    stop = int(record.attempt_end.max(initial=0)) // SECOND
    known = usage(record, 0, stop * SECOND)
    edges = np.array([0, 7, 13, stop]) * SECOND
    by_second = [counted(tenants, record, second) for second in range(stop)]
    for number, path in enumerate(known.given.paths):
        if not number:
            continue
        for name, of_usage in (("held", known.held), ("borrowed", known.borrowed), ("lent", known.lent)):
            sums = [sum(by_second[at][path][name] for at in range(a, b)) for a, b in ((0, 7), (7, 13), (13, stop))]
            assert of_usage(number, edges) * HOUR == pytest.approx(sums), (path, name)
        sums = [sum(by_second[at][path]["full"] for at in range(a, b)) for a, b in ((0, 7), (7, 13), (13, stop))]
        assert known.seconds_at_quota(number, edges) == pytest.approx(sums), path


@pytest.mark.parametrize("seed", range(5))
def test_the_table_over_time_adds_up_to_the_numbers_of_the_summary(seed: int) -> None:
    _, record = shared_out(seed)
    drawn = account(record, EnergyModel())
    table = tenants_table(record, drawn.start, drawn.stop, bin_width=4.0)
    numbers = block(record)
    for name, entry in numbers.items():
        mine = np.array(table["tenant"].to_pylist()) == name
        for column in ("held", "borrowed", "lent") if "borrowed_gpu_hours" in entry else ("held",):
            sums = (table["duration_s"].to_numpy() * table[f"{column}_gpus"].to_numpy())[mine].sum() / HOUR
            assert sums == pytest.approx(entry[f"{column}_gpu_hours"]), (name, column)


# --- quotas along the tree ----------------------------------------------------------------------------------------


def test_quotas_add_up_along_the_tree_less_what_is_kept() -> None:
    given = entitlement(
        Tenants(
            tenants=(Tenant(name="a", nominal=2), Tenant(name="a/b", nominal=4, lend=1, borrow=3), Tenant(name="c/d")),
            nominal=1,
        )
    )
    assert given.paths == ("", "a", "a/b", "c", "c/d")
    assert (given.nominal[:, 0] / 1000).tolist() == [1 + 3, 2 + 1, 4, 0, 0]
    assert (given.kept[:, 0] / 1000).tolist() == [0, 0, 3, 0, 0]
    assert given.borrow[:, 0].tolist() == [0, NEVER, 3000, NEVER, NEVER]


def test_a_job_belongs_to_the_deepest_tenant_that_begins_its_column() -> None:
    jobs = workload(*((0, 1, 1, of(name)) for name in ("a/b/c", "a/bc", "a", "x", "other")), (0, 1, 1))
    assert owners(("", "a", "a/b", "other"), jobs).tolist() == [2, 1, 1, 0, 3, 0]


def test_what_is_due_is_a_nominal_quota_split_between_those_that_it_is_for() -> None:
    tenants = Tenants(
        tenants=(Tenant(name="a", nominal=12), Tenant(name="a/b", nominal=4), Tenant(name="a/c"), Tenant(name="d")),
        nominal=2,
    )
    names = ("a", "a/b", "a/b/deep", "a/c", "a/c/x", "d", "other")
    assert due_quotas(tenants, names).tolist() == [4, 2, 2, 4, 4, 1, 1]


def test_fairness_goes_by_nominal_quotas() -> None:
    tenants = Tenants(tenants=(Tenant(name="steel", nominal=12), Tenant(name="bio", nominal=4)))
    record = recorded(tenants, (0, 60, 8, of("steel")), (0, 60, 8, of("bio")))
    fairness = summarise(record, account(record, EnergyModel()))["fairness"]
    assert isinstance(fairness, Mapping)
    assert {name: each["due_share"] for name, each in fairness["by_tenant"].items()} == {"bio": 0.25, "steel": 0.75}


def test_a_tenant_is_simulated_alone_under_the_same_quotas() -> None:
    jobs = workload((0, 60, 8, of("steel")), (0, 60, 8, of("steel")), (0, 60, 8, of("bio")))
    tenants = {"tenant": [{"name": "steel", "nominal": 8, "borrow": 0}, {"name": "bio", "nominal": 8}]}
    result = simulate(jobs, cluster(8, 8), policy="fifo-fit", preemption="reclaim", tenants=tenants, alone=True)
    fairness = result.numbers["fairness"]
    assert isinstance(fairness, Mapping)
    assert fairness["alone_slowdown_total"] == 1  # borrowing nothing, steel is as slow alone
