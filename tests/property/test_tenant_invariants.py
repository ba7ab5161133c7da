"""What is promised among tenants, checked on the engine's record from outside: everything is counted anew here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from conftest import cluster
from gpuyard.policy import Policy
from gpuyard.record import Record
from gpuyard.simulation import schedule
from gpuyard.tenancy import BETWEEN, RECLAIMS, Tenants
from gpuyard.workload import Workload
from oracle.comparing import EXAMPLES
from oracle.test_schedules import checked
from tenant_strategies import lenders, lent_to
from tenant_strategies import tenants as tenants_of


class Books:
    """Who holds how many GPUs of one node, and what quotas say of it; all in whole GPUs or parts of them."""

    def __init__(self, record: Record, tenants: Tenants) -> None:
        self.tenants = tenants
        self.rows = record.workload.table.to_pylist()
        self.given = {each.name: each for each in tenants.tenants}
        self.running: set[int] = set()

    def tenant(self, row: int) -> str:
        parts = (self.rows[row]["tenant"] or "").split("/")
        paths = ("/".join(parts[:depth]) for depth in range(len(parts), 0, -1))
        return next((path for path in paths if path in self.tenants.paths), "")

    def own(self, name: str) -> float:
        return sum(self.rows[row]["gpus"] for row in self.running if self.tenant(row) == name)

    def own_nominal(self, name: str) -> float:
        if name == "":
            return self.tenants.nominal or 0
        return (self.given[name].nominal or 0) if name in self.given else 0

    def below(self, name: str) -> list[str]:
        return [path for path in self.tenants.paths if path and path.rpartition("/")[0] == name]

    def kept(self, name: str) -> float:
        lend = self.given[name].lend if name in self.given else None
        return 0 if lend is None else max(self.nominal(name) - lend, 0)

    def nominal(self, name: str) -> float:
        return self.own_nominal(name) + sum(self.nominal(each) - self.kept(each) for each in self.below(name))

    def usage(self, name: str) -> float:
        return self.own(name) + sum(max(self.usage(each) - self.kept(each), 0) for each in self.below(name))

    def is_kept(self) -> bool:
        """Whether nobody uses more than it may, nor all together more than there is."""
        borrow = {name: each.borrow for name, each in self.given.items()} | {"": 0}
        return all(
            self.usage(name) <= self.nominal(name) + borrow[name]
            for name in self.tenants.paths
            if borrow.get(name) is not None
        )

    def would_be_kept_with(self, row: int) -> bool:
        before = set(self.running)
        self.running.add(row)
        kept = self.is_kept()
        self.running = before
        return kept


def story_of(record: Record, kind: int | None = None) -> Iterator[tuple[int, str, int, int]]:
    """Tell what happened in order: instant, "ends", "loses" (to whom) or "starts", row, and to whom it lost.

    ``kind``: only on nodes of this GPU type, by its number.

    Who preempts starts right after its victims have lost: attempts are written down in the order in which they start.
    In which order one's victims were taken is not written down; told is the order in which most of what a tenant holds
    is left before its last one loses.
    """
    gpus = record.workload.table["gpus"].to_pylist()
    attempts = list(
        zip(
            record.attempt_job.tolist(),
            record.attempt_start.tolist(),
            record.attempt_end.tolist(),
            (record.attempt_cause if record.attempt_cause is not None else record.attempt_job * 0 - 1).tolist(),
            strict=True,
        )
    )
    if kind is not None:
        types = record.cluster.node_type[record.slot_node[record.slot_offset[:-1]]].tolist()
        attempts = [each for each, its in zip(attempts, types, strict=True) if its == kind]
    for now in sorted({at for _, start, end, _ in attempts for at in (start, end)}):
        for job, _, end, cause in attempts:
            if end == now and cause < 0:
                yield now, "ends", job, -1
        for job, start, _, _ in attempts:
            if start == now:
                lost = [it[0] for it in attempts if it[2] == now and it[3] == job and it[1] < now]
                for victim in sorted(lost, key=lambda row: gpus[row]):
                    yield now, "loses", victim, job
                yield now, "starts", job, -1


def check(record: Record, tenants: Tenants, gpus: int, *, conserves: bool = True, kind: int | None = None) -> None:
    """Check a record; ``conserves``: nobody is kept waiting for the sake of others; ``kind``: of one GPU type only."""
    books = Books(record, tenants)
    reclaim = tenants.reclaim
    entitled: dict[int, bool] = {}
    last = None
    for now, what, row, to in story_of(record, kind):
        if conserves and last is not None and now > last:
            check_work_is_conserved(record, books, gpus, last)
        last = now
        if what == "starts":
            books.running.add(row)
            entitled.clear()
            assert books.is_kept(), f"quotas do not hold at {now}"
            assert sum(books.own(name) for name in tenants.paths) <= gpus
            continue
        if what == "loses":
            loser, winner = books.tenant(row), books.tenant(to)
            if to not in entitled:
                with_it = books.own(winner) + books.rows[to]["gpus"]
                entitled[to] = with_it <= books.own_nominal(winner)
            if loser != winner:
                assert reclaim != "never"
                assert books.own(loser) > books.own_nominal(loser), f"{loser} within its quota loses to {winner}"
                may_borrow = reclaim in ("fair", "cohorts") or takes_to_borrow(books, row, to)
                assert entitled[to] or may_borrow, f"{winner} takes though it is above its quota"
        books.running.remove(row)


def takes_to_borrow(books: Books, loser: int, winner: int) -> bool:
    """Return whether a job may take another's place to borrow itself, by their priorities."""
    priority = books.rows[loser]["priority"]
    most = books.tenants.borrow_threshold
    is_lower = priority < books.rows[winner]["priority"] and (most is None or priority <= most)
    return books.tenants.borrows_within and is_lower


def check_work_is_conserved(record: Record, books: Books, gpus: int, now: int) -> None:
    """Nobody waits at the end of a pass whom quotas admit and for whom there are GPUs."""
    free = gpus - sum(books.own(name) for name in books.tenants.paths)
    for row, job in enumerate(books.rows):
        waits = record.eligible[row] <= now < record.end[row] and row not in books.running
        if waits and job["gpus"] <= free and record.reject_reason[row] == 0:
            assert not books.would_be_kept_with(row), f"{row} waits in vain at {now}"


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("rule", ["none", "reclaim", "priority"])
def test_quotas_hold_work_is_conserved_and_nobody_within_its_quota_loses_to_others(rule, between, reclaim):
    def one(data: st.DataObject) -> None:
        gpus = data.draw(st.sampled_from([4, 8, 12]), label="gpus")
        tenants = data.draw(lenders(gpus, between=between, reclaim=reclaim), label="tenants")
        jobs = data.draw(lent_to(tenants, 24), label="jobs")
        policy = Policy(backfill="fit", preemption=rule)
        check(schedule(jobs, cluster(gpus), policy, tenants=tenants), tenants, gpus)

    checked(f"tenants kept {rule} {between} {reclaim}", max(EXAMPLES // 3, 3), one)


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "slurm"])
@pytest.mark.parametrize("order", ["fifo", "wfp", "multifactor"])
def test_quotas_hold_and_nobody_within_its_quota_loses_to_others_under_any_backfill(order, backfill, reclaim):
    """Work is conserved where nobody has a reservation and nobody waits behind his own."""

    def one(data: st.DataObject) -> None:
        gpus = data.draw(st.sampled_from([4, 8, 12]), label="gpus")
        between = data.draw(st.sampled_from(sorted(BETWEEN)), label="between")
        tenants = data.draw(lenders(gpus, between=between, reclaim=reclaim), label="tenants")
        jobs = data.draw(lent_to(tenants, 24), label="jobs")
        rule = data.draw(st.sampled_from(["reclaim", "priority", "las", "2d-las"]), label="rule")
        policy = Policy(order=order, backfill=backfill, preemption=rule)
        record = schedule(jobs, cluster(gpus), policy, tenants=tenants)
        check(record, tenants, gpus, conserves=backfill == "fit")

    checked(f"tenants kept {order} {backfill} {reclaim}", max(EXAMPLES // 3, 3), one)


@pytest.mark.parametrize("reclaim", ["any", "lower"])
@pytest.mark.parametrize("between", BETWEEN)
def test_who_takes_to_borrow_takes_what_is_less_urgent_from_those_that_borrow(between, reclaim):
    def one(data: st.DataObject) -> None:
        gpus = data.draw(st.sampled_from([4, 8, 12]), label="gpus")
        most = data.draw(st.none() | st.integers(-2, 2), label="threshold")
        given = data.draw(lenders(gpus, between=between, reclaim=reclaim), label="tenants")
        tenants = replace(given, borrow_within="lower", borrow_threshold=most)
        jobs = data.draw(lent_to(tenants, 24), label="jobs")
        check(
            schedule(jobs, cluster(gpus), Policy(backfill="fit", preemption="priority"), tenants=tenants), tenants, gpus
        )

    checked(f"tenants kept to borrow {between} {reclaim}", max(EXAMPLES // 3, 3), one)


def of_type(tenants: Tenants, kind: str) -> Tenants:
    """Return the tenants with their quotas of one GPU type as numbers."""

    def one(table: object) -> float | None:
        return table.get(kind, 0) if isinstance(table, Mapping) else None

    given = (
        replace(each, nominal=one(each.nominal), borrow=one(each.borrow), lend=one(each.lend))
        for each in tenants.tenants
    )
    return replace(tenants, tenants=tuple(given), nominal=one(tenants.nominal))


@pytest.mark.parametrize("reclaim", RECLAIMS)
@pytest.mark.parametrize("rule", ["reclaim", "priority"])
def test_quotas_of_each_type_hold_and_nobody_within_its_quota_of_a_type_loses_gpus_of_it(rule, reclaim):
    """The quotas of a type are numbers by themselves: what runs on nodes of other types has no part in them."""

    def one(data: st.DataObject) -> None:
        site = cluster(("a", 8), ("b", 8))
        between = data.draw(st.sampled_from(sorted(BETWEEN)), label="between")
        quotas = tenants_of(site, "types", between=between, reclaim=reclaim).filter(lambda drawn: drawn.has_quotas)
        shared = replace(data.draw(quotas, label="tenants"), limits=())
        jobs = data.draw(lent_to(shared, 24), label="jobs")
        rows = jobs.table.to_pylist()
        for row in rows:
            row["gpu_type"] = data.draw(st.sampled_from([None, None, "a", "b"]))
        jobs = Workload.from_table(jobs.table.from_pylist(rows, schema=jobs.table.schema))
        backfill = data.draw(st.sampled_from(["none", "fit", "easy", "slurm"]), label="backfill")
        record = schedule(jobs, site, Policy(backfill=backfill, preemption=rule), tenants=shared)
        for number, kind in enumerate(site.gpu_types):
            check(record, of_type(shared, kind), 8, conserves=False, kind=number)

    checked(f"tenants kept by type {rule} {reclaim}", 2 * EXAMPLES, one)
