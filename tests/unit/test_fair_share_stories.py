"""Fair share worked by hand, on tiny workloads: the engine and the reference simulator must both tell the same story.

Rows are (submit_time, runtime, gpus), times in seconds.  Unless a story says otherwise there is one GPU, the score is
1000 times the fair-share factor, factors change every 10 s, usage does not decay and there is no backfill.
"""

from __future__ import annotations

import numpy as np
import pytest

from conftest import Row, cluster, workload
from gpuyard.cluster import Cluster
from gpuyard.errors import ConfigError
from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.fairtree import build_tree, rank_users
from gpuyard.policy import Policy
from gpuyard.sharing import account_tree
from gpuyard.simulation import schedule
from gpuyard.workload import Workload
from oracle.comparing import told
from reference import SECOND, simulate
from reference.sharing import Account, account, all_accounts, effective_usage, factor, fair_tree, portions, upwards

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


# --- Fair Tree --------------------------------------------------------------------------------------------

TREE: dict[str, object] = {"fair_share": "fair-tree"}


@TEST
@pytest.mark.parametrize(("fair_share", "expected"), [("classic", "bob"), ("fair-tree", "ann")])
def test_under_fair_tree_all_of_the_account_that_is_better_off_go_first(tell, fair_share, expected):
    """Of 10 GPU seconds steel used 4, all by ann, who is due a tenth of it, and wood 6, of which bob used nothing.

    The classic factor of ann is 2 ** -(0.4 / 0.05), that of bob 2 ** -(0.6 / 2 / 0.25); but all of steel come before
    all of wood.
    """
    ann, bob = {**ANN, "tenant": "steel"}, {**BOB, "tenant": "wood"}
    before = [(0, 4, 1, ann), (4, 6, 1, {**ZED, "tenant": "wood"}), (10, 4, 1, {"user": "rest", "tenant": "rest"})]
    shares = {"steel/amy": 9, "rest": 0}
    assert first(tell, before, (11, 3, 1, ann), (11, 3, 1, bob), shares=shares, fair_share=fair_share) == expected


@TEST
@pytest.mark.parametrize(("priority", "expected"), [(332, [0, 24, 19, 12]), (334, [0, 19, 24, 12])])
def test_the_factor_is_the_place_among_all_users(tell, priority, expected):
    """Three users: who used nothing is first of three, 1; who used more is last, 1 / 3; the other 2 / 3."""
    jobs = workload(
        (0, 8, 1, ANN), (11, 5, 1, {**ANN, "priority": priority}), (11, 5, 1, BOB), (8, 4, 1, BOB), (11, 7, 1, ZED)
    )
    found = starts(tell, jobs, **TREE)
    assert [found[0], *found[2:4], found[4]] == expected


@TEST
def test_whoever_has_no_shares_is_last(tell):
    before = [(0, 6, 1, ANN), (6, 5, 1, ZED)]
    assert first(tell, before, (10, 3, 1, ANN), (10, 3, 1, BOB), shares={"bob": 0}, **TREE) == "ann"


FLUX = {
    "no tie": (
        {"account1": 1000, "account2": 100, "account3": 10},
        {
            "account1/leaf.1.1": (10_000, 100, 2 / 7),
            "account1/leaf.1.2": (1000, 11, 1 / 7),
            "account1/leaf.1.3": (100_000, 10, 3 / 7),
            "account2/leaf.2.1": (100_000, 8, 5 / 7),
            "account2/leaf.2.2": (10_000, 3, 4 / 7),
            "account3/leaf.3.1": (100, 0, 1),
            "account3/leaf.3.2": (10, 1, 6 / 7),
        },
    ),
    "tie": (
        {"account1": 1000, "account2": 100, "account3": 10},
        {
            "account1/leaf.1.1": (10_000, 100, 0.5),
            "account1/leaf.1.2": (1000, 10, 0.5),
            "account1/leaf.1.3": (100_000, 10, 0.75),
            "account2/leaf.2.1": (10_000, 10, 0.5),
            "account2/leaf.2.2": (1000, 1, 0.5),
            "account2/leaf.2.3": (100_000, 1, 0.75),
            "account3/leaf.3.1": (100, 0, 1),
            "account3/leaf.3.2": (10, 1, 0.875),
        },
    ),
    "all tie": (
        {"account1": 1000, "account2": 100, "account3": 10_000},
        {
            "account1/leaf.1.1": (10_000, 100, 6 / 9),
            "account1/leaf.1.2": (1000, 10, 6 / 9),
            "account1/leaf.1.3": (100_000, 10, 1),
            "account2/leaf.2.1": (10_000, 10, 6 / 9),
            "account2/leaf.2.2": (1000, 1, 6 / 9),
            "account2/leaf.2.3": (100_000, 1, 1),
            "account3/leaf.3.1": (10_000, 1000, 6 / 9),
            "account3/leaf.3.2": (1000, 100, 6 / 9),
            "account3/leaf.3.3": (100_000, 100, 1),
        },
    ),
}
"""Shares of accounts; shares, usage and factor of users: tests t1038 and others of flux-accounting, expected output.

``small_no_tie.txt``, ``small_tie.txt`` and ``small_tie_all.txt`` in ``t/expected/print_hierarchy`` of
flux-framework/flux-accounting, whose weighted walk is Fair Tree. Slurm's own guide has no numbers.
"""


def tree_of(paths: dict[str, tuple[float, float]]) -> tuple[dict[Account, float], set[Account], dict[str, float]]:
    """Return usage, accounts and shares of users with (shares, usage) by path; other paths are accounts'."""
    users = {path: Account(tuple(path.split("/"))[:-1], path.split("/")[-1], is_user=True) for path in paths}
    accounts = all_accounts(users.values(), {})
    usage = dict.fromkeys(accounts, 0.0)
    for path, (_, used) in paths.items():
        for each in upwards(users[path]):
            usage[each] += used
    return usage, accounts, {path: shares for path, (shares, _) in paths.items()}


@pytest.mark.parametrize("name", FLUX)
def test_the_trees_of_flux_accounting_have_its_factors(name):
    accounts_shares, leaves = FLUX[name]
    usage, accounts, shares = tree_of({path: leaf[:2] for path, leaf in leaves.items()})
    found = fair_tree(usage, accounts, shares | accounts_shares)
    assert {each.path: factor for each, factor in found.items()} == pytest.approx(
        {path: leaf[2] for path, leaf in leaves.items()}
    )


@TEST
@pytest.mark.parametrize("name", FLUX)
def test_the_trees_of_flux_accounting_decide_who_goes_first(tell, name):
    """All users run for so many seconds of the first period; then each wants to run, in the order of the factors."""
    accounts_shares, leaves = FLUX[name]
    jobs: list[Row] = []
    for path, (_, used, _) in leaves.items():
        tenant, user = path.split("/")
        jobs += [(sum(row[1] for row in jobs), used, 1, {"tenant": tenant, "user": user})] if used else []
    period = sum(row[1] for row in jobs)
    jobs.append((period - 0.5, 2, 1, {"user": "none", "tenant": "none"}))
    contest = [(period, 1, 1, {"tenant": path.split("/")[0], "user": path.split("/")[1]}) for path in leaves]
    shares = {path: float(leaf[0]) for path, leaf in leaves.items()} | accounts_shares | {"none": 0}
    found = starts(tell, workload(*jobs, *contest), shares=shares, share_period=period, **TREE)[len(jobs) :]
    factors = [leaf[2] for leaf in leaves.values()]
    order = sorted(range(len(factors)), key=lambda each: (-factors[each], each))
    assert sorted(range(len(factors)), key=found.__getitem__) == order


def test_a_user_that_ties_with_an_account_has_the_rank_of_its_first_user():
    """Slurm's guide, "Ties": steel (half the shares, half the usage) and ann tie; of steel's users bob is the first.

    So ann and bob have rank 4 of 4, eve, who used more than bob, the next that is left, 2, and zed, without shares, 1.
    """
    usage, accounts, shares = tree_of({"ann": (1, 10), "steel/bob": (1, 4), "steel/eve": (1, 6), "zed": (0, 0)})
    found = fair_tree(usage, accounts, shares)
    assert {each.path: factor for each, factor in found.items()} == {
        "ann": 1.0,
        "steel/bob": 1.0,
        "steel/eve": 0.5,
        "zed": 0.25,
    }


@pytest.mark.parametrize("seed", range(60))
def test_the_engine_ranks_any_tree_as_the_reference_does(seed):
    """Trees of up to four levels with many ties, and accounts without users; ranked again after some usage changed."""
    rng = np.random.default_rng(seed)
    names = [str(each) for each in range(int(rng.integers(2, 4)))]
    pairs = [
        (tuple(str(rng.choice(names)) for _ in range(int(rng.integers(0, 4)))), f"u{rng.integers(4)}")
        for _ in range(int(rng.integers(1, 40)))
    ]
    users = [Account(path, user, is_user=True) for path, user in pairs]
    shares = {each.path: float(rng.integers(0, 4)) for each in users if rng.random() < 0.4}
    shares |= {"0/empty/1": 2.0, "0": float(rng.integers(0, 3))}
    accounts = all_accounts(users, shares)
    rows = account_tree(pairs, shares)
    assert len(rows) == len(accounts)
    parents = {row.path: number for number, row in enumerate(rows) if not row.is_user}
    tree = build_tree(
        np.array([parents.get(row.above, NOBODY) for row in rows], np.int32),
        np.array([row.is_user for row in rows]),
        np.array([each.own for each in rows.values()]),
        np.array([each.siblings for each in rows.values()]),
    )
    for _ in range(3):
        used = {user: float(rng.integers(0, 3)) for user in set(users)}
        usage = {each: sum(amount for user, amount in used.items() if each in upwards(user)) for each in accounts}
        by_row = np.array([usage[Account(row.above, row.name, row.is_user)] for row in rows])
        found = np.ones(len(rows))
        rank_users(tree, by_row, float(sum(used.values())), found)
        wanted = fair_tree(usage, accounts, shares)
        assert {row.text: found[place] for place, row in enumerate(rows) if row.is_user} == {
            each.path: factor for each, factor in wanted.items()
        }


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


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fair_share": "tree", "weights": {"fairshare": 1}}, "unknown fair_share 'tree'"),
        ({"fair_share": "fair-tree"}, "'fair_share' does nothing while the weight 'fairshare' is 0"),
        ({"order": "wfp", "fair_share": "fair-tree"}, "'fair_share' has no meaning under order = wfp"),
        ({"shares": {"steel": 1e16}, "weights": {"fairshare": 1}}, r"'shares.steel' must be 0 to 1e\+15, got 1e\+16"),
    ],
)
def test_what_does_nothing_or_is_out_of_range_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Policy(**{"order": "multifactor"} | fields)
