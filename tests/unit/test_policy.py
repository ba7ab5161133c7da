"""Policies: names, defaults, options that are refused or forgotten, and what a scenario makes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gpuyard.choices import PREEMPTIONS
from gpuyard.cli import main
from gpuyard.errors import ConfigError
from gpuyard.policy import (
    BACKFILLS,
    DEPENDENT,
    ESTIMATES,
    NAMED,
    ORDERS,
    PLACEMENTS,
    PREEMPTIVE,
    UNLIMITED,
    WEIGHTS,
    Choice,
    Planning,
    Policy,
    named_policy,
)
from gpuyard.scenario import Scenario, load, schema
from gpuyard.tenancy import BETWEEN, BORROW_WITHIN, RECLAIMS
from gpuyard.workload import MICROSECOND

CHOICES = (ORDERS, BACKFILLS, PLACEMENTS, ESTIMATES, PREEMPTIONS)
SLURM = {"order": "multifactor", "backfill": "slurm", "depth": 7, "weights": {"age": 5.0}, "qos": {"high": 2.0}}


def section(policy: dict[str, object]) -> Scenario:
    return Scenario.from_mapping({"cluster": {"nodes": 1, "gpus_per_node": 8}, "policy": policy})


# --- names and defaults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_a_named_policy_says_its_own_name(name: str) -> None:
    policy = named_policy(name)
    assert (policy.name, policy.order, policy.backfill) == (name, *NAMED[name])


def test_qssf_is_the_smallest_area_first() -> None:
    assert Policy(order="qssf") == Policy(order="smallest-area") == named_policy("qssf")


def test_an_order_is_no_named_policy_and_says_how_it_is_chosen() -> None:
    with pytest.raises(ConfigError, match="'random' names no policy but an order; write order = random"):
        named_policy("random")
    with pytest.raises(ConfigError, match="'fit' names no policy but a backfill; write backfill = fit"):
        named_policy("fit")
    with pytest.raises(ConfigError, match=r"unknown policy 'eazy'; did you mean 'easy'\?"):
        named_policy("eazy")


def test_slurm_plans_500_jobs_every_30_seconds_a_day_ahead_by_the_minute() -> None:
    planning = named_policy("slurm").planning
    assert planning == Planning(
        depth=500, interval=30 * MICROSECOND, window=86_400 * MICROSECOND, resolution=60 * MICROSECOND
    )


def test_conservative_plans_everybody_every_time() -> None:
    planning = named_policy("conservative").planning
    assert (planning.depth, planning.interval, planning.resolution) == (UNLIMITED, 0, 1)
    planning = named_policy("conservative", depth=10, interval=2.5).planning
    assert (planning.depth, planning.interval) == (10, 2_500_000)


def test_weights_left_out_are_the_defaults() -> None:
    weights = Policy(order="multifactor", weights={"size": 3}).final_weights
    assert weights == {
        "age": 1000,
        "max_age": 604_800,
        "size": 3,
        "fairshare": 0,
        "priority": 1,
        "qos": 0,
        "partition": 0,
        "nice": 1,
    }


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 3}, "'depth' has no meaning under backfill = none; leave it out, or choose backfill = conservative"),
        ({"backfill": "easy", "window": 60.0}, "'window' .* backfill = easy; leave it out, or choose backfill = slurm"),
        ({"backfill": "conservative", "resolution": 1.0}, "'resolution' has no meaning under backfill = conservative"),
        ({"backfill": "slurm", "reservation": "counts"}, "'reservation' .* slurm; leave it out, or .* backfill = easy"),
        ({"history": 5}, "'history' has no meaning under estimate = limit; .* estimate = history"),
        ({"estimate": "history", "noise": 0.1}, "'noise' has no meaning under estimate = history"),
        ({"order": "wfp", "weights": {"age": 1}}, "'weights' has no meaning under order = wfp; .* order = multifactor"),
        ({"qos": {"high": 1}}, "'qos' has no meaning under order = fifo"),
        ({"partitions": {"gpu": 1}}, "'partitions' has no meaning under order = fifo"),
        ({"order": "multifactor", "weights": {"agee": 1}}, "unknown weight 'agee'; did you mean 'age'"),
        ({"order": "multifactor", "weights": {"max_age": 0}}, r"'weights\.max_age' must be more than 0 seconds"),
        ({"order": "multifactor", "qos": {"high": float("nan")}}, r"'qos\.high' must be a finite number, got nan"),
        ({"order": "multifactor", "qos": 3}, "'qos' must be a table of names and numbers, got 3"),
        ({"backfill": "slurm", "depth": 0}, "'depth' must be a whole number of jobs, 1 or more, got 0"),
        ({"backfill": "slurm", "depth": 2.5}, r"'depth' must be a whole number of jobs, 1 or more, got 2\.5"),
        ({"estimate": "history", "history": 0}, "'history' must be a whole number of jobs"),
        ({"estimate": "noise", "noise": -0.1}, r"'noise' must be a number from 0 to 10, got -0\.1"),
        ({"backfill": "slurm", "interval": -1.0}, "'interval' must be 0 to"),
        ({"backfill": "slurm", "resolution": 0.0}, "'resolution' must be 1e-06 to"),
        ({"order": "lifo"}, "unknown order 'lifo'; did you mean 'fifo'"),
        ({"backfill": "eassy"}, "unknown backfill 'eassy'; did you mean 'easy'"),
        ({"estimate": "limits"}, "unknown estimate 'limits'; did you mean 'limit'"),
        ({"backfill": "easy", "reservation": "count"}, "unknown reservation 'count'; did you mean 'counts'"),
    ],
)
def test_what_has_no_meaning_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Policy(**given)


def test_a_default_that_is_written_out_is_no_mistake() -> None:
    assert Policy(history=2, noise=0.5, reservation="nodes", depth=None, weights={}) == Policy()


def test_every_dependent_option_is_used_by_somebody_and_every_option_is_a_field() -> None:
    tables = {"order": ORDERS, "backfill": BACKFILLS, "placement": PLACEMENTS, "estimate": ESTIMATES}
    for kind, options in DEPENDENT.items():
        used = {option for choice in tables[kind].values() for option in choice.options}
        assert set(options) == used - {"estimate"}
        assert all(hasattr(Policy(), option) for option in used)


# --- written down and read back ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        *(named_policy(name) for name in NAMED),
        Policy(**SLURM),
        Policy(backfill="conservative", depth=3, interval=60.0),
        Policy(backfill="easy", reservation="counts", estimate="history", history=5),
        Policy(order="random", estimate="noise", noise=1.5, spread=True),
    ],
    ids=lambda policy: policy.name,
)
def test_a_policy_is_written_down_with_its_defaults_and_read_back(policy: Policy) -> None:
    written = policy.to_mapping()
    back = section(written).build_policy()
    assert back.to_mapping() == written
    assert back.planning == policy.planning
    assert back.final_weights == policy.final_weights


def test_only_what_matters_is_written_down() -> None:
    assert Policy().to_mapping() == {
        "order": "fifo",
        "backfill": "none",
        "placement": "best-fit",
        "on_limit": "kill",
        "replay": "schedule",
        "spread": False,
        "exclusive": False,
        "estimate": "limit",
    }
    slurm = named_policy("slurm", depth=9).to_mapping()
    assert {key: slurm[key] for key in slurm.keys() - Policy().to_mapping().keys()} == {
        "depth": 9,
        "interval": 30.0,
        "window": 86_400.0,
        "resolution": 60.0,
    }


def test_a_scenario_writes_times_as_people_do() -> None:
    policy = section(
        SLURM | {"interval": "2m", "window": "1d12h", "resolution": 90, "weights": {"max_age": "14d"}}
    ).build_policy()
    assert (policy.interval, policy.window, policy.resolution) == (120, 129_600, 90)
    assert policy.final_weights["max_age"] == 1_209_600


@pytest.mark.parametrize(
    ("above", "kept"),
    [
        ({"backfill": "easy"}, {"weights": {"age": 5.0}, "qos": {"high": 2.0}}),
        ({"order": "edf"}, {"depth": 7}),
        ({"name": "easy"}, {}),
        ({"backfill": "slurm"}, {"depth": 7, "weights": {"age": 5.0}, "qos": {"high": 2.0}}),
        ({"placement": "packed"}, {"depth": 7, "weights": {"age": 5.0}, "qos": {"high": 2.0}}),
        ({"backfill": "conservative", "depth": 3}, {"depth": 3, "weights": {"age": 5.0}, "qos": {"high": 2.0}}),
        ({"weights": {"nice": 0.0}}, {"depth": 7, "weights": {"age": 5.0, "nice": 0.0}, "qos": {"high": 2.0}}),
    ],
)
def test_another_scheduler_brings_its_own_options(above: dict[str, object], kept: dict[str, object]) -> None:
    policy = section(SLURM).over({"policy": above}, "top").build_policy()
    options = {"depth": policy.depth, "weights": policy.weights, "qos": policy.qos}
    assert {key: value for key, value in options.items() if value} == kept


def test_a_named_scheduler_gives_way_to_another_backfill_with_its_options() -> None:
    base = section({"name": "slurm", "window": "2d", "estimate": "history", "history": 4})
    easy = base.apply_sets(["policy.backfill=easy", "policy.reservation=counts"]).build_policy()
    assert (easy.backfill, easy.reservation, easy.window, easy.history) == ("easy", "counts", None, 4)
    noisy = base.apply_sets(["policy.estimate=noise"]).build_policy()
    assert (noisy.estimate, noisy.history, noisy.window) == ("noise", 2, 172_800)


def test_an_option_of_another_backfill_is_blamed_on_the_file() -> None:
    scenario = Scenario.from_mapping({"policy": {"name": "easy", "depth": 5}}, "lab.toml")
    with pytest.raises(ConfigError, match=r"lab\.toml: \[policy\] 'depth' has no meaning under backfill = easy"):
        scenario.build_policy()


def test_the_schema_knows_every_option() -> None:
    known = schema()["$defs"]["PolicySection"]["properties"]
    assert set(known) == {"name", *Policy.__dataclass_fields__}
    assert all(item["description"] for item in known.values())


# --- shown on the command line -----------------------------------------------------------------------------


def test_all_that_can_be_chosen_is_shown_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "policies", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    shown = {kind: [row["name"] for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert shown == {
        "policy": [*NAMED, *PREEMPTIVE],
        "order": list(ORDERS),
        "backfill": list(BACKFILLS),
        "placement": list(PLACEMENTS),
        "estimate": list(ESTIMATES),
        "preemption": list(PREEMPTIONS),
        "between": list(BETWEEN),
        "reclaim": list(RECLAIMS),
        "borrow_within": list(BORROW_WITHIN),
    }
    slurm = next(row for row in rows if (row["kind"], row["name"]) == ("backfill", "slurm"))
    assert slurm["options"] == "estimate, depth, interval, window, resolution"
    assert "from memory" in slurm["assumption"]


def test_the_command_line_chooses_order_backfill_and_estimate(tmp_path: Path) -> None:
    place = tmp_path / "out"
    words = ["run", "--cluster", "2x8", "--jobs", "60", "--policy", "fifo-fit", "--order", "sjf", "--estimate", "noise"]
    assert main([*words, "--set", "policy.noise=0.2", "-o", str(place), "--no-report"]) == 0
    policy = load(place).build_policy()
    assert (policy.order, policy.backfill, policy.estimate, policy.noise) == ("sjf", "fit", "noise", 0.2)


def test_the_command_line_refuses_an_option_that_nothing_uses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--cluster", "2x8", "--policy", "easy", "--set", "policy.depth=3"]) == 2
    assert "'depth' has no meaning under backfill = easy" in capsys.readouterr().err


def test_the_page_on_policies_names_every_choice_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    words = set(re.findall(r"(?<!`)`([^`\n]+)`", page))
    options = {name for names in DEPENDENT.values() for name in names} | set(WEIGHTS)
    tables = {"weights", "qos", "partitions", "shares"}
    assert {
        *NAMED,
        *PREEMPTIVE,
        *PREEMPTIONS,
        *ORDERS,
        *BACKFILLS,
        *PLACEMENTS,
        *ESTIMATES,
        *(options - tables),
    } - words == set()
    assert {f"[policy.{name}]" for name in tables} - words == set()
    papers = {word for table in CHOICES for choice in table.values() for word in authors(choice)}
    assert {name for name in papers if name not in page} == set()


def authors(choice: Choice) -> list[str]:
    """Return the first authors of a choice's papers."""
    return [re.split(r"[ ,]", paper)[0] for paper in choice.paper.split("; ") if paper]
