"""Fair share worked by hand, on tiny workloads: the engine and the reference simulator must both tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Unless a story says otherwise there is one GPU, the score is
1000 times the fair-share factor, factors change every 10 s, usage does not decay and there is no backfill.
"""

from __future__ import annotations

import pytest

from conftest import Row, cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.policy import Policy
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, simulate
from reference.sharing import Account, account, all_accounts, effective_usage, factor, portions, upwards

TEST = pytest.mark.parametrize("tell", ["engine", "reference"])
ONE, TWO = cluster(1), cluster(2)
ANN, BOB, ZED = {"user": "ann"}, {"user": "bob"}, {"user": "zed"}


def starts(
    tell: str,
    jobs: Workload,
    site: Cluster = ONE,
    *,
    begin: float | None = None,
    until: float | None = None,
    **options: object,
) -> list[float | None]:
    """Return when each job starts."""
    fields: dict[str, object] = {"weights": {"age": 0, "fairshare": 1000}, "share_period": 10, "half_life": "none"}
    policy = Policy(order="multifactor", **fields | options)
    if tell == "reference":
        found = simulate(jobs, site, policy, until=until, begin=begin)
    else:
        found = told(schedule(jobs, site, policy, until=until, begin=begin))
    return [None if fate.start is None else fate.start / SECOND for fate in found]


def first(tell: str, before: list[Row], *contest: Row, **options: object) -> str:
    """Return whose of two jobs starts first, whichever of them is listed first and so wins a tie."""
    winners = set()
    for rows in (contest, contest[::-1]):
        found = starts(tell, workload(*before, *rows), **options)[len(before) :]
        assert found[0] != found[1]
        winners.add(str(rows[found.index(min(found))][3]["user"]))
    return winners.pop() if len(winners) == 1 else "nobody"


# --- who goes first ---------------------------------------------------------------------------------------


@TEST
def test_who_used_less_goes_first_after_a_recalculation(tell):
    """At 10 ann has used all there was: her factor is 2 ** -(1 / 0.5), that of bob is 1."""
    assert starts(tell, workload((0, 12, 1, ANN), (1, 5, 1, ANN), (2, 5, 1, BOB))) == [0, 17, 12]


@TEST
@pytest.mark.parametrize(("priority", "expected"), [(0, [0, 12, 17]), (1, [0, 17, 12])])
def test_before_the_first_recalculation_only_the_rest_of_the_score_counts(tell, priority, expected):
    jobs = workload((0, 12, 1, ANN), (1, 5, 1, ANN), (2, 5, 1, {**BOB, "priority": priority}))
    assert starts(tell, jobs, share_period=20) == expected


@TEST
@pytest.mark.parametrize(("priority", "expected"), [(749, [0, 17, 12]), (751, [0, 12, 17])])
def test_the_factor_is_weighed_against_the_rest_of_the_score(tell, priority, expected):
    """At 10 the factor of ann is 0.25, that of bob 1: 750 apart."""
    jobs = workload((0, 12, 1, ANN), (1, 5, 1, {**ANN, "priority": priority}), (2, 5, 1, BOB))
    assert starts(tell, jobs) == expected


@TEST
@pytest.mark.parametrize(
    ("half_life", "bob", "expected"),
    [(10, 4, "bob"), (10, 6, "ann"), (20, 6, "bob"), (20, 8, "ann"), ("none", 8, "bob"), ("none", 12, "ann")],
)
def test_usage_is_halved_in_every_half_life(tell, half_life, bob, expected):
    """What ann used until 10 is 10 GPU seconds; at 20 it counts 5, or 7.07, or still 10. Bob has run since then."""
    length = bob / 2
    before = [(0, 10, 1, ANN), (10, length, 2, BOB), (10 + length, 14 - length, 2, ZED)]
    contest = [(18, 2, 2, ANN), (18, 2, 2, BOB)]
    assert first(tell, before, *contest, site=TWO, half_life=half_life) == expected


@TEST
def test_a_user_is_held_back_by_what_others_of_the_same_account_used(tell):
    """At 10 amy's effective usage is 0 + (1 - 0) / 2 and her share 1 / 4; bob's usage is 0."""
    ann, amy = {**ANN, "tenant": "steel"}, {"user": "amy", "tenant": "steel"}
    jobs = workload((0, 12, 1, ann), (1, 5, 1, ann), (2, 5, 1, amy), (3, 5, 1, {**BOB, "tenant": "wood"}))
    assert starts(tell, jobs) == [0, 22, 17, 12]


@TEST
@pytest.mark.parametrize(("shares", "expected"), [({}, "bob"), ({"ann": 2}, "ann"), ({"ann": 0}, "bob")])
def test_who_has_twice_the_shares_may_use_more(tell, shares, expected):
    """At 10 ann has used 6, bob 4: for 2 shares to 1, that is 3 for each of ann's and 4 for each of bob's."""
    before = [(0, 6, 1, ANN), (6, 4, 1, BOB), (10, 4, 1, ZED)]
    assert first(tell, before, (11, 3, 1, ANN), (11, 3, 1, BOB), shares=shares) == expected


@TEST
@pytest.mark.parametrize(("shares", "expected"), [({}, "bob"), ({"steel/vision": 2}, "ann")])
def test_accounts_below_accounts_have_shares_of_their_own(tell, shares, expected):
    """Like the story before, one account further down."""
    ann, bob = {**ANN, "tenant": "steel/vision"}, {**BOB, "tenant": "steel/speech"}
    before = [(0, 6, 1, ann), (6, 4, 1, bob), (10, 4, 1, {**ZED, "tenant": "steel/third"})]
    assert first(tell, before, (11, 3, 1, ann), (11, 3, 1, bob), shares=shares) == expected


# --- what is counted --------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize(("exclusive", "expected"), [(None, "bob"), (True, "ann")])
def test_usage_is_counted_in_gpus_asked_for(tell, exclusive, expected):
    """Until 10 ann has 4 GPU seconds; bob half a GPU for 6 s, which is 3, or a GPU to himself, which is 6."""
    before = [
        (0, 2, 2, ANN),
        (2, 6, 1, {**BOB, "gpu_milli": 500, "exclusive": exclusive}),
        (8, 4, 2, ZED),
    ]
    assert first(tell, before, (9, 3, 2, ANN), (9, 3, 2, BOB), site=TWO) == expected


@TEST
def test_what_ran_before_the_beginning_is_not_counted(tell):
    """From 9 to 19 ann's job ran for 5 s more and bob's for 10; from the start of each it were 14 and 11."""
    before = [
        (0, 14, 1, {**ANN, "start_time": 0.0, "end_time": 14.0}),
        (8, 20, 1, {**BOB, "start_time": 8.0, "end_time": 28.0}),
    ]
    assert first(tell, before, (15, 3, 2, ANN), (15, 3, 2, BOB), site=TWO, begin=9) == "ann"


# --- when -------------------------------------------------------------------------------------------------


@TEST
@pytest.mark.parametrize("origin", [0, 3])
def test_a_recalculation_is_an_instant_if_somebody_waits(tell, origin):
    """Ann's second job finds no room and is first; 10 s after the first submission bob's is, and starts."""
    jobs = workload((origin, 100, 1, ANN), (origin + 1, 5, 2, ANN), (origin + 2, 5, 1, BOB))
    assert starts(tell, jobs, TWO) == [origin, origin + 100, origin + 10]


@TEST
def test_no_recalculation_comes_after_the_end(tell):
    jobs = workload((0, 100, 1, ANN), (1, 5, 2, ANN), (2, 5, 1, BOB))
    assert starts(tell, jobs, TWO, until=9) == [0, None, None]


@TEST
def test_a_recalculation_is_no_instant_if_nobody_waits(tell):
    """Job 0 should have ended at 4. In the pass at 21, the first since, it is expected to run on to 42.

    So job 1 is planned for 42, and job 2 is done before. With passes at 10 and 20, it would be 40, which is too early.
    """
    jobs = workload((0, 30, 1, {**ANN, "time_limit": 4.0}), (21, 5, 2, ANN), (22, 19, 1, ANN))
    assert starts(tell, jobs, TWO, backfill="conservative", on_limit="ignore") == [0, 41, 22]


@TEST
@pytest.mark.parametrize(("bob", "expected"), [(0.1, "bob"), (0.2, "ann")])
def test_recalculations_at_which_nobody_waits_are_made_up_for(tell, bob, expected):
    """What ann used until 10 has been halved six times by 70, 10 / 64, though nothing happened at most of them."""
    before = [(0, 10, 1, ANN), (60, bob, 1, BOB)]
    assert first(tell, before, (75, 3, 1, ANN), (75, 3, 1, BOB), half_life=10) == expected


# --- published --------------------------------------------------------------------------------------------

SHARES = {"A": 40, "A/B": 30, "A/C": 10, "D": 60, "D/E": 25, "D/F": 35}
"""The example of Slurm's guide "Classic Fairshare Algorithm"."""
USERS = {"user1": "A/B", "user2": "A/C", "user3": "A/C", "user4": "D/E", "user5": "D/F"}
USED = {"user1": 0.2, "user2": 0.25, "user4": 0.25}
"""Of the machine."""
EFFECTIVE = {"user1": 0.3875, "user2": 0.275, "user3": 0.15, "user4": 0.25, "user5": 0.1458}
FACTOR = {"user1": 0.408479, "user2": 0.022097, "user3": 0.125000, "user4": 0.500000, "user5": 0.749154}


def test_the_example_of_slurms_guide_has_its_effective_usage_and_its_factors():
    users = {name: Account(tuple(path.split("/")), name, is_user=True) for name, path in USERS.items()}
    actual = dict.fromkeys(all_accounts(users.values(), SHARES), 0.0)
    for name, used in USED.items():
        for each in upwards(users[name]):
            actual[each] += used
    portion = portions(set(actual), SHARES)
    effective = {name: effective_usage(user, actual, portion) for name, user in users.items()}
    assert effective == pytest.approx(EFFECTIVE, abs=5e-5)
    factors = {name: factor(user, actual, portion) for name, user in users.items()}
    assert factors == pytest.approx(FACTOR, abs=5e-7)


@TEST
@pytest.mark.parametrize("name", USERS)
def test_the_example_of_slurms_guide_decides_who_goes_first(tell, name):
    """The users run for so many of the first 100 s, and somebody without shares for the rest.

    His factor is 0, so that his priority says what the factor of another is: here to a millionth.
    """
    rest = {"user": "rest", "tenant": "rest"}
    jobs: list[Row] = []
    for user, used in USED.items():
        jobs.append((sum(row[1] for row in jobs), 100 * used, 1, {"user": user, "tenant": USERS[user]}))
    jobs.append((70, 31, 1, rest))
    jobs += [(80, 1, 1, {"user": user, "tenant": path}) for user, path in USERS.items()]
    for more, goes_first in ((-1, True), (1, False)):
        priority = round(1e6 * FACTOR[name]) + more
        found = starts(
            tell,
            workload(*jobs, (80, 1, 1, {**rest, "priority": priority})),
            shares={**SHARES, "rest": 0},
            weights={"age": 0, "fairshare": 1e6},
            share_period=100,
        )
        assert (found[4 + list(USERS).index(name)] < found[-1]) == goes_first


# --- accounts ---------------------------------------------------------------------------------------------


def test_a_user_and_an_account_of_the_same_name_are_two_and_shares_are_those_of_the_account():
    steel, ann = Account((), "steel", is_user=True), Account(("steel",), "ann", is_user=True)
    portion = portions(all_accounts([steel, ann], {"steel": 3}), {"steel": 3})
    assert portion == {account("steel"): 0.75, steel: 0.25, ann: 1.0}


def test_shares_are_named_for_users_too_and_bring_in_accounts_without_jobs():
    ann, bob = Account(("steel",), "ann", is_user=True), Account(("steel",), "bob", is_user=True)
    shares = {"steel/ann": 2, "wood/oak": 5}
    assert portions(all_accounts([ann, bob], shares), shares) == {
        account("steel"): 0.5,
        ann: 2 / 3,
        bob: 1 / 3,
        account("wood"): 0.5,
        account("wood/oak"): 1.0,
    }


def test_where_nobody_has_shares_nobody_has_a_portion():
    ann, bob = Account((), "ann", is_user=True), Account((), "bob", is_user=True)
    shares = {"ann": 0, "bob": 0}
    assert portions(all_accounts([ann, bob], shares), shares) == {ann: 0.0, bob: 0.0}
