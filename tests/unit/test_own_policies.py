"""Users' own policies: compiled orders, classes that decide, what they may not do, and the kit that finds out."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

import gpuyard as gy
from conftest import cluster, workload
from gpuyard.policy import Policy, named_policy
from gpuyard.simulation import schedule
from gpuyard.testing import check_policy
from gpuyard.workload import MICROSECOND

JOBS = workload((0, 10, 4), (1, 5, 2), (1, 3, 1), (2, 9, 4), (3, 2, 1))
SITE = cluster(4)


@gy.order
def shortest(now, jobs, out):
    for place in range(jobs.size):
        out[place] = -jobs[place]["estimate"]


@gy.order
def by_age(now, jobs, out, weights):
    for place in range(jobs.size):
        out[place] = weights[0] * min(1.0, jobs[place]["wait"] / weights[1])


@gy.order
def own_wfp(now, jobs, out):
    for place in range(jobs.size):
        ratio = jobs[place]["wait"] / jobs[place]["estimate"]
        out[place] = ratio * ratio * ratio * jobs[place]["gpus"]


@gy.order
def nothing(now, jobs, out):
    for place in range(jobs.size):
        out[place] = np.nan


@gy.placement
def highest_free(  # noqa: PLR0917  # as the engine calls it
    free_gpus, gpus, free_milli, free_cpu, free_memory, gpu_type, wanted_gpus, wanted_milli, wanted_cpu, wanted_memory
):
    return free_gpus


class Arrivals:
    """Starts whoever fits, in the order of eligibility."""

    def decide(self, state):
        return state.rows


class FromBehind:
    """Starts whoever fits, on the nodes with the highest numbers."""

    def decide(self, state):
        free = state.free_gpus.copy()
        chosen = []
        for job in state.waiting:
            fitting = np.flatnonzero(free >= job["gpus"])
            if fitting.size:
                free[fitting[-1]] -= int(job["gpus"])
                chosen.append((int(job["row"]), fitting[-1]))
        return chosen


class At:
    """Arrivals, but at one instant it says what it was told."""

    def __init__(self, now, say):
        self.now, self.say = now, say

    def decide(self, state):
        return self.say(state) if state.now == self.now else state.rows


def starts(policy: object, jobs=JOBS, site=SITE, **changes: object) -> list[float]:
    return (schedule(jobs, site, named_policy(policy, **changes)).start / MICROSECOND).tolist()


# --- compiled orders ---------------------------------------------------------------------------------------


def test_an_order_of_ones_own_is_the_order_it_says():
    """Job 2 takes 3 s and job 1 takes 5 s: at 10 s job 2 starts, and job 1 when it ends."""
    jobs = workload((0, 10, 4), (1, 5, 4), (2, 3, 4))
    assert starts(shortest, jobs) == starts("sjf", jobs) == [0, 13, 10]


@pytest.mark.parametrize("backfill", ["none", "fit", "easy", "conservative", "slurm"])
def test_an_order_of_ones_own_schedules_as_the_one_it_repeats(backfill):
    assert starts(own_wfp, backfill=backfill) == starts("wfp", backfill=backfill)


def test_an_order_may_use_the_weights():
    """With an age of 2 s counted at most, jobs 1 to 4 are all as old at 10 s, and go by submission."""
    assert starts(Policy(order=by_age, weights={"max_age": 2})) == [0, 10, 10, 15, 24]


@pytest.mark.parametrize("backfill", ["none", "conservative", "slurm"])
def test_a_score_that_is_no_number_is_an_error(backfill):
    with pytest.raises(gy.PolicyError, match=r"nothing: at 0 s the score of job '0' is no number"):
        starts(nothing, backfill=backfill)


def test_a_function_with_other_arguments_is_no_order():
    with pytest.raises(gy.ConfigError, match=r"takes 2 arguments; it must take \(now, jobs, out\[, weights\]\)"):
        gy.order(lambda now, jobs: None)


def test_two_functions_of_one_name_are_two_orders():
    def made(sign):
        def score(now, jobs, out):
            for place in range(jobs.size):
                out[place] = sign * jobs[place]["estimate"]

        return gy.order(score)

    longest_first, shortest_first = Policy(order=made(1.0)), Policy(order=made(-1.0))
    assert longest_first.order != shortest_first.order
    jobs = workload((0, 10, 4), (1, 3, 4), (2, 5, 4), (3, 4, 4))
    assert starts(longest_first, jobs) == [0, 19, 10, 15]
    assert starts(shortest_first, jobs) == [0, 10, 17, 13]


# --- placements --------------------------------------------------------------------------------------------


def test_a_placement_of_ones_own_is_the_rule_it_says():
    site = cluster(2, 4)
    jobs = workload((0, 10, 1), (1, 10, 2))
    found = [schedule(jobs, site, Policy(placement=rule)).slot_node.tolist() for rule in (highest_free, "worst-fit")]
    assert found == [[1, 1], [1, 1]]
    assert schedule(jobs, site, Policy(placement="best-fit")).slot_node.tolist() == [0, 1]


# --- classes that decide -----------------------------------------------------------------------------------


def test_a_class_decides_who_starts():
    assert starts(Arrivals()) == starts("fifo-fit")


def test_a_class_may_name_the_nodes():
    record = schedule(workload((0, 10, 1), (1, 10, 2)), cluster(2, 4), named_policy(FromBehind()))
    assert record.slot_node.tolist() == [1, 1]


def test_a_class_that_decides_knows_no_exclusive_jobs():
    with pytest.raises(gy.ConfigError, match=r"job '0' is exclusive, which '\S*Arrivals' does not know"):
        schedule(workload((0, 1, 1, {"exclusive": True})), cluster(4), named_policy(Arrivals()))


def test_a_class_sees_who_waits_who_runs_and_what_is_free():
    seen = []

    class Looks:
        def decide(self, state):
            running = state.running
            seen.append(
                (
                    state.now,
                    state.rows.tolist(),
                    state.waiting["wait"].tolist(),
                    state.free_gpus.tolist(),
                    running.tolist(),
                    state.expected_ends(running).tolist(),
                    [state.nodes_of(int(row))[0].tolist() for row in running],
                )
            )
            with pytest.raises(ValueError, match="read-only"):
                state.free_gpus[0] = 9
            return state.rows

    starts(Looks(), workload((0, 10, 3), (2, 5, 2)), cluster(2, 4))
    assert seen == [(0, [0], [0], [2, 4], [], [], []), (2, [1], [0], [2, 1], [0], [10], [[1]])]


@pytest.mark.parametrize(
    ("say", "said"),
    [
        (lambda state: [0], r"job '0' \(row 0\) is not waiting"),
        (lambda state: [9], r"\(row 9\) is not waiting"),
        (lambda state: [-1], r"\(row -1\) is not waiting"),
        (lambda state: [1, 1], r"job '1' \(row 1\) is named twice"),
        (lambda state: np.array([1, 2, 1]), "names 3 rows of which only 2 are waiting"),
        (lambda state: [(1, 7)], "job '1' .* is given node 7, which does not exist"),
        (lambda state: [(1, (0, 0))], "is given 2 nodes, more than it has chunks"),
        (lambda state: [(1, 0)], "is given node 0, which has no room for it"),
        (lambda state: [(1, ())], "is given no nodes"),
        (lambda state: 1, "returns 1; it must return rows"),
        (lambda state: ["1"], "returns '1'; it must return rows"),
        (lambda state: [(1.5, 0)], "names row 1.5, which is no row"),
    ],
)
def test_a_decision_that_cannot_be_is_an_error_with_time_job_and_value(say, said):
    with pytest.raises(gy.PolicyError, match=rf"test_own_policies.*:At: at 1 s .*{said}"):
        starts(At(1, say))


def test_named_nodes_must_be_of_the_type_and_as_many_as_there_are_chunks():
    site = cluster(("a", 4), ("b", 4), ("b", 4))

    def run(named, **more):
        return starts(At(0, lambda state: [(0, named)]), workload((0, 5, 4, more)), site)

    assert run((1, 2), nodes=2) == [0]
    with pytest.raises(gy.PolicyError, match="whose GPUs are not of its type"):
        run((0, 1), nodes=2)
    with pytest.raises(gy.PolicyError, match="whose GPUs are not of its type"):
        run(0, gpu_type="b")
    with pytest.raises(gy.PolicyError, match="is given too few nodes"):
        run(1, nodes=2)
    with pytest.raises(gy.PolicyError, match="is given node 1 twice"):
        run((1, 1), nodes=2)


def test_what_a_policy_raises_is_the_cause_of_what_comes_out():
    with pytest.raises(gy.PolicyError, match="at 1 s raises ZeroDivisionError") as caught:
        starts(At(1, lambda state: 1 // 0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_policy_that_starts_nobody_is_an_error_and_not_a_result():
    with pytest.raises(gy.PolicyError, match=r"job '1' .* still waits, as one of 4, and nothing will happen any more"):
        starts(At(1, lambda state: []), workload((0, 1, 4), (1, 5, 2), (1, 3, 1), (1, 9, 4), (1, 2, 1)))


def test_what_a_class_decides_itself_cannot_be_said_beside_it():
    with pytest.raises(gy.ConfigError, match=r"'backfill' has no meaning beside .*Arrivals"):
        Policy(decide=Arrivals(), backfill="easy")


def test_a_class_is_told_the_cluster_before_it_begins():
    told = []

    class Begins(Arrivals):
        def begin(self, site):
            told.append(site)

    starts(Begins())
    assert told == [SITE]


# --- by name -----------------------------------------------------------------------------------------------

CODE = """
import gpuyard as gy
class Mine:
    def decide(self, state):
        return state.rows
@gy.order
def oldest(now, jobs, out):
    for place in range(jobs.size):
        out[place] = jobs[place]["wait"]
number = 5
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine_of_a_test.py"
    path.write_text(CODE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("class", encoding="utf-8")
    yield path
    sys.modules.pop("mine_of_a_test", None)


@pytest.mark.parametrize("where", ["mine_of_a_test", "mine_of_a_test.py"])
def test_a_policy_is_imported_by_name_and_its_source_is_written_down(code, where):
    result = gy.simulate(JOBS, SITE, policy=f"{where}:Mine")
    assert result.scenario["policy"]["decide"] == f"{where}:Mine"
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    assert result.scenario["provenance"]["own_code_sha256"] == {f"{where}:Mine": digest}
    assert named_policy(f"{where}:oldest").order == f"{where}:oldest"
    mapping = named_policy(f"{where}:Mine", placement="worst-fit").to_mapping()
    assert Policy(**mapping).to_mapping() == mapping


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.py:Mine", "there is no file 'absent.py'"),
        ("absent_module:Mine", "there is no module 'absent_module'"),
        ("mine_of_a_test.py:Mne", "has no 'Mne'; did you mean 'Mine'?"),
        ("mine_of_a_test.py:Yours", "'mine_of_a_test.py' has no 'Yours'; check the name"),
        ("mine_of_a_test.py:number", "is a int; it must be a class with a method 'decide'"),
        ("mine_of_a_test.py:", "names no code"),
        ("broken.py:Mine", "importing 'broken.py' raised SyntaxError"),
    ],
)
def test_a_name_that_leads_nowhere_says_so(code, name, said):
    with pytest.raises(gy.ConfigError, match=said):
        named_policy(name)


# --- the kit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["easy", Policy(order=own_wfp, backfill="fit"), highest_free, Arrivals()])
def test_the_kit_finds_nothing_in_what_is_sound(policy):
    check_policy(policy, examples=8)


class Sleeps:
    def decide(self, state):
        return [] if state.size == 1 else state.rows


class Remembers:
    def __init__(self):
        self.asked = 0

    def decide(self, state):
        self.asked += 1
        return state.rows if self.asked % 2 else state.rows[::-1]


class Dates:
    def decide(self, state):
        return state.rows if state.now < 1000 else state.rows[::-1]


@pytest.mark.parametrize(
    ("policy", "promise"),
    [
        (Sleeps(), "every job that fits runs"),
        (FromBehind(), "every job that fits runs"),  # it knows nothing of jobs of several nodes
        (Dates(), "all later gives the same, later"),
        (Remembers(), "the same run again gives the same"),
    ],
)
def test_the_kit_says_which_promise_is_broken_on_few_jobs(policy, promise):
    with pytest.raises(gy.PolicyError) as caught:
        check_policy(policy, examples=60)
    said = str(caught.value)
    assert f"breaks '{promise}'" in said
    assert said.count("\njob: ") <= 3
