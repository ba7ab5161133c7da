"""Scenario files: built on each other, checked with the nearest key, resolved, and run again to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuyard.errors import ConfigError, InputError
from gpuyard.scenario import Scenario, load, preset_names, run, schema
from gpuyard.scenario.source import Layered, parse_sets, read_layers

SMALL = {"cluster": {"nodes": 8, "gpus_per_node": 8}, "workload": {"days": 2.0, "load": 0.5}}
"""A synthetic workload of a few hundred jobs."""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# --- building on others -------------------------------------------------------------------------------------------


def test_a_file_changes_what_it_extends_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, "base.toml", '[policy]\nplacement = "packed"\non_limit = "ignore"\n[run]\nseed = 3\n')
    top = write(tmp_path, "top.toml", 'extends = "base.toml"\n[policy]\nplacement = "first-fit"\n')
    assert read_layers(top).values == {"policy": {"placement": "first-fit", "on_limit": "ignore"}, "run": {"seed": 3}}


def test_a_list_is_replaced_not_joined(tmp_path: Path) -> None:
    write(tmp_path, "base.toml", '[workload]\ntrace = "a.csv"\ntenant = ["x", "y"]\n')
    top = write(tmp_path, "top.toml", 'extends = "base.toml"\n[workload]\ntenant = ["z"]\n')
    assert read_layers(top).values["workload"]["tenant"] == ["z"]


def test_a_chain_of_three_applies_from_the_bottom_up(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", "[run]\nseed = 1\nuntil = 10\n")
    write(tmp_path, "b.toml", 'extends = "a.toml"\n[run]\nseed = 2\n')
    top = write(tmp_path, "c.toml", 'extends = "b.toml"\nname = "c"\n')
    assert read_layers(top).values == {"name": "c", "run": {"seed": 2, "until": 10}}


def test_extending_oneself_is_refused_with_the_circle(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", 'extends = "b.toml"\n')
    write(tmp_path, "b.toml", 'extends = "a.toml"\n')
    with pytest.raises(ConfigError, match=r"circle: \S+a\.toml extends \S+b\.toml extends \S+a\.toml"):
        load(tmp_path / "a.toml")


def test_naming_a_trace_replaces_the_synthetic_workload_below() -> None:
    layered = Layered()
    layered.add({"workload": {"jobs": 100, "load": 0.8}, "cluster": {"preset": "phase-1", "x": 1}}, "base")
    layered.add({"workload": {"trace": "t.csv"}, "cluster": {"nodes": 4, "gpus_per_node": 8}}, "top")
    assert layered.values == {"workload": {"trace": "t.csv"}, "cluster": {"nodes": 4, "gpus_per_node": 8}}


def test_changing_the_size_of_the_same_source_keeps_its_other_settings() -> None:
    layered = Layered()
    layered.add({"cluster": {"nodes": 4, "gpus_per_node": 8}}, "base")
    layered.add({"cluster": {"nodes": 6}}, "top")
    assert layered.values == {"cluster": {"nodes": 6, "gpus_per_node": 8}}


def test_a_named_scheduler_brings_its_own_order_and_backfill() -> None:
    base = Scenario.from_mapping({"policy": {"order": "sjf", "backfill": "fit", "placement": "packed"}})
    policy = base.over({"policy": {"name": "fifo"}}, "top").build_policy()
    assert (policy.order, policy.backfill, policy.placement) == ("fifo", "none", "packed")


def test_an_order_changes_one_thing_of_a_named_scheduler() -> None:
    policy = Scenario.from_mapping({"policy": {"name": "fifo-fit"}}).apply_sets(["policy.order=sjf"]).build_policy()
    assert (policy.order, policy.backfill) == ("sjf", "fit")


def test_options_of_a_preemption_that_was_named_shortly_are_laid_over_its_name() -> None:
    base = Scenario.from_mapping({"policy": {"name": "fifo-fit", "preemption": "las"}})
    policy = base.apply_sets(["policy.preemption.restart_cost=10"]).build_policy()
    assert (policy.preemption.rule, policy.preemption.restart_cost) == ("las", 10)
    assert base.apply_sets(["policy.preemption=priority"]).build_policy().preemption.rule == "priority"


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, "sub/base.toml", '[workload]\ntrace = "jobs.csv"\n')
    top = write(tmp_path, "top.toml", 'extends = "sub/base.toml"\n')
    assert load(top).checked.workload.trace == str(tmp_path / "sub" / "jobs.csv")


def test_another_cluster_takes_its_site_and_the_old_name_with_it() -> None:
    layered = Layered()
    layered.add(
        {"name": "phase-1", "site": {"announced_mw": 40}, "cluster": {"blocks": []}, "run": {"seed": 1}}, "base"
    )
    layered.add({"cluster": {"nodes": 4, "gpus_per_node": 8}}, "top")
    assert layered.values == {"cluster": {"nodes": 4, "gpus_per_node": 8}, "run": {"seed": 1}}


def test_a_scenario_keeps_its_own_name_where_an_option_gives_it_another_cluster() -> None:
    other = {"cluster": {"nodes": 4, "gpus_per_node": 8}}
    own = Scenario.from_mapping({"extends": "phase-1", "name": "lab"})
    told = Scenario.from_mapping({"extends": "phase-1", "name": "lab", "description": "ours"})
    named = [each.over(other, "command line").to_mapping() for each in (own, told, load("phase-1"))]
    assert [(each.get("name"), each.get("description")) for each in named] == [
        ("lab", None),  # what the preset said of its site is gone
        ("lab", "ours"),
        (None, None),
    ]
    assert all("site" not in each for each in named)


def test_presets_are_not_read_where_there_is_no_name_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = Scenario.from_mapping(SMALL)
    monkeypatch.setattr("gpuyard.scenario.source.preset_names", lambda: pytest.fail("presets are looked at"))
    assert nameless.over({"run": {"seed": 4}}, "top").to_mapping()["run"]["seed"] == 4


def test_another_cluster_takes_the_energy_figures_of_the_preset_with_it(tmp_path: Path) -> None:
    lab = "{}[cluster]\nnodes = 1\ngpus_per_node = 8\n{}"
    above = load(write(tmp_path, "above.toml", lab.format('extends = "phase-1"\n', "")))
    alone = load(write(tmp_path, "alone.toml", lab.format("", "")))
    options = load("phase-1").over({"cluster": {"nodes": 1, "gpus_per_node": 8}}, "command line")
    assert above.build_energy() == alone.build_energy() == options.build_energy()
    assert options.build_energy().pue == 1.13
    own = load(write(tmp_path, "own.toml", 'extends = "phase-1"\n[energy]\npue = 1.5\n'))
    moved = own.over({"cluster": {"nodes": 1, "gpus_per_node": 8}}, "command line").build_energy()
    assert moved.pue == 1.5  # the file said so, not the preset
    assert load("phase-1").over({"cluster": {"preset": "phase-1"}}, "command line").build_energy().pue == 1.23


def test_a_scenario_resolves_to_what_a_simulation_takes(tmp_path: Path) -> None:
    write(tmp_path, "jobs.csv", "job_id,submit_time,runtime,gpus,tenant\na,0,100,6,x\nb,1,100,8,y\n")
    lab = '[workload]\ntrace = "jobs.csv"\ntenant = "x"\n[cluster]\nnodes = 2\ngpus_per_node = 8\n'
    lab += '[energy]\npue = 1.5\n[run]\nseed = 5\nuntil = "3h"\n'
    resolved = load(write(tmp_path, "lab.toml", lab)).resolve()
    workload, cluster, policy, energy, options = resolved
    assert workload.table["job_id"].to_pylist() == ["a"]
    assert (cluster.gpus, policy.name, energy.pue) == (16, "fifo", 1.5)
    assert (options.seed, options.until) == (5, 10_800.0)
    assert resolved.echo["workload"]["trace"] == str(tmp_path / "jobs.csv")
    assert resolved.echo["workload"]["format"] == "native"
    assert resolved.echo["run"] == {"seed": 5, "until": 10_800.0, "warmup": 0.0}


@pytest.mark.parametrize("name", ["phase-1", "phase-2", "phase-3", "phase-4"])
def test_every_preset_is_a_scenario_and_its_echo_another(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert scenario.build_cluster().gpus >= 20_000
    again = Scenario.from_mapping(scenario.to_mapping())
    assert again.checked == scenario.checked
    assert again.build_energy() == scenario.build_energy()


def test_a_figure_that_is_changed_loses_the_source_of_its_old_value() -> None:
    base = load("phase-1").to_mapping()["site"]["sources"]
    changed = load("phase-1").apply_sets(["energy.pue=1.4", "policy.placement=random", "workload.load=0.85"])
    sources = changed.to_mapping()["site"]["sources"]
    assert set(base) - set(sources) == {"energy.pue", "policy"}  # the load stayed what it was


def test_what_a_synthetic_workload_assumes_goes_with_the_scenario() -> None:
    scenario = Scenario.from_mapping(SMALL)
    figures = {row["figure"]: row for row in scenario.resolve().echo["provenance"]["workload_figures"]}
    assert figures["offered load"]["value"].startswith("0.5 ")
    assert figures["offered load"]["standing"] == "assumption"
    assert figures["submissions by day, Monday to Sunday"]["standing"] == "computed"
    assert [figure.figure for figure in scenario.workload_figures()] == list(figures)


def test_no_job_is_made_larger_than_the_largest_pool_of_one_gpu_type(tmp_path: Path) -> None:
    nodes = [f"n{number},8,{'A100' if number < 4 else 'H100'}" for number in range(16)]
    write(tmp_path, "nodes.csv", "\n".join(["node,gpus,gpu_type", *nodes, ""]))
    mixed = SMALL | {"cluster": {"file": str(tmp_path / "nodes.csv")}, "workload": {"days": 20.0, "load": 0.5}}
    alike = mixed | {"cluster": {"nodes": 16, "gpus_per_node": 8}}
    largest = [int(Scenario.from_mapping(each).resolve().workload.gpus.max()) for each in (alike, mixed)]
    assert largest == [128, 64]  # the largest power of two within 128 GPUs of one type, and within 96 and 32 of two


def test_what_is_asked_of_a_run_reaches_the_simulation() -> None:
    stages: list[tuple[str, float | None]] = []
    asked = SMALL | {"run": {"window": ["1h", "5h"], "warmup": "30m", "bin_width": 600.0}}
    result = run(Scenario.from_mapping(asked), lambda stage, share: stages.append((stage, share)))
    window = result.summary()["window"]
    assert (window["start_s"], window["end_s"], window["warmup_s"]) == (3600.0, 18000.0, 1800.0)
    assert result.timeline["duration_s"][1].as_py() == 600.0
    assert len(result.scenario["provenance"]["workload_sha256"]) == 64
    assert result.scenario["provenance"]["runs_again"] is True
    names = [stage for stage, _ in stages]
    assert names.index("building the cluster") < names.index("making the workload") < names.index("measuring")
    assert ("making the workload", 1.0) in stages


@pytest.mark.parametrize(
    ("window", "meant"),
    [
        ("12h..1d", (43_200.0, 86_400.0)),
        (["12h", "1d"], (43_200.0, 86_400.0)),
        ("12h..", (43_200.0, float("inf"))),
        ("..1d", (0.0, 86_400.0)),
    ],
)
def test_what_is_measured_is_a_text_or_two_times_and_is_written_down(
    window: object, meant: tuple[float, float], tmp_path: Path
) -> None:
    result = run(Scenario.from_mapping(SMALL | {"run": {"window": window}}))
    start, end = result.numbers["window"]["start_s"], result.numbers["window"]["end_s"]
    assert (start, end) == meant if meant[1] < float("inf") else start == meant[0] < end
    result.save(tmp_path / "run")
    assert load(tmp_path / "run").checked.run.window == meant


@pytest.mark.parametrize("load", [2.5, 10])
def test_a_load_beyond_what_there_is_is_a_question_one_may_ask(load: float) -> None:
    values = SMALL | {"workload": {"days": 2.0, "load": load}}
    workload, _ = Scenario.from_mapping(values).read_workload()
    span = 2 * 86_400
    assert workload.gpus @ workload.floats("runtime") / (64 * span) == pytest.approx(load, rel=0.01)


def test_a_result_made_from_objects_cannot_be_run_again_and_says_why(tmp_path: Path) -> None:
    from conftest import cluster, workload
    from gpuyard.experiment import simulate

    folder = simulate(workload((0, 10, 1)), cluster(4)).save(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"scenario\.toml: this result was made in Python .* cannot be run again"):
        load(folder)


# --- --set ----------------------------------------------------------------------------------------------------------


def test_a_set_value_is_toml_or_else_text() -> None:
    assert parse_sets(["run.seed=3", "policy.placement=packed", "workload.tenant=['a', 'b']", "run.until = 3h"]) == {
        "run": {"seed": 3, "until": "3h"},
        "policy": {"placement": "packed"},
        "workload": {"tenant": ["a", "b"]},
    }


def test_a_set_value_that_begins_as_a_list_and_is_none_says_why() -> None:
    with pytest.raises(ConfigError, match=r"begins as a list or a table of TOML and is none: .*; write it as"):
        parse_sets(['commission=[{nodes="5", start=2027-13-01}]'])
    assert parse_sets(["run.title='[draft]'"]) == {"run": {"title": "[draft]"}}
    assert parse_sets(["tenants={between='drf'}", "tenants.nominal=3"]) == {"tenants": {"between": "drf", "nominal": 3}}


@pytest.mark.parametrize("text", ["run.seed", "seed=3", ".seed=3", "run.=3", "=3"])
def test_what_sets_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write section\.key=value"):
        parse_sets([text])


def test_a_key_cannot_be_a_value_and_a_table() -> None:
    with pytest.raises(ConfigError, match="an earlier setting made a value"):
        parse_sets(["energy.pue=1.1", "energy.pue.summer=1.2"])


# --- what is wrong is said ------------------------------------------------------------------------------------------


def test_an_unknown_key_names_the_file_and_the_nearest_key(tmp_path: Path) -> None:
    path = write(tmp_path, "lab.toml", '[policy]\nplasement = "packed"\n')
    with pytest.raises(ConfigError, match=r"lab\.toml: \[policy\] has no key 'plasement'; did you mean 'placement'\?"):
        load(path)


def test_an_unknown_key_is_blamed_on_the_file_that_has_it(tmp_path: Path) -> None:
    write(tmp_path, "base.toml", "[run]\nsede = 1\n")
    top = write(tmp_path, "top.toml", 'extends = "base.toml"\n[run]\nseed = 1\n')
    with pytest.raises(ConfigError, match=r"base\.toml: \[run\] has no key 'sede'; did you mean 'seed'\?"):
        load(top)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "policy.preemption.tresholds=5",
            "--set: [policy.preemption] has no key 'tresholds'; did you mean 'thresholds'?",
        ),
        ("policy.preemption.time_slice=5x", "--set: [policy.preemption] time_slice: a time cannot be read from '5x'; "),
        ("workload.sizes.8=many", "--set: [workload.sizes] 8: must be a whole number (got 'many')"),
    ],
)
def test_inside_a_table_that_might_be_a_single_value_the_key_is_blamed(setting: str, said: str) -> None:
    with pytest.raises(ConfigError) as problem:
        load("phase-1").apply_sets([setting])
    assert str(problem.value).startswith(said)
    assert "more)" not in str(problem.value)


def test_a_section_is_blamed_once_however_deep_the_fault_lies() -> None:
    chosen = load("phase-1").apply_sets(["workload.services.chat.peek=2"])
    with pytest.raises(ConfigError, match=r"^--set: \[workload\] unknown key of service 'chat' 'peek'"):
        chosen.read_workload()


def test_an_unknown_section_names_the_nearest_one(tmp_path: Path) -> None:
    path = write(tmp_path, "lab.toml", '[polcy]\nname = "fifo"\n')
    with pytest.raises(ConfigError, match=r"lab\.toml: the scenario has no section 'polcy'; did you mean 'policy'\?"):
        load(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"run": {"seed": "x"}}, r"\[run\] seed: must be a whole number \(got 'x'\)"),
        ({"run": {"seed": -1}}, r"\[run\] seed: must be greater than or equal to 0"),
        ({"run": {"until": "3 parsecs"}}, r"\[run\] until: a time cannot be read from '3 parsecs'; write 90"),
        ({"workload": {"window": "9d..2d"}}, r"\[workload\] window: a window must end later"),
        ({"run": {"window": "9d..2d"}}, r"\[run\] window: a window must end later"),
        ({"run": {"window": "9d"}}, r"\[run\] window: a window cannot be read from '9d'; write START..END"),
        ({"energy": {"pue": 12}}, r"\[energy\] pue: a PUE is .* 1 to 3, and 12 is above that; did you mean 1\.2\?"),
        ({"energy": {"pue": [1.1] * 11 + [113]}}, r"\[energy\] pue: .* 113 is above that; did you mean 1\.13\?"),
        ({"workload": {"scale": 0}}, r"\[workload\] scale: must be greater than 0"),
        ({"cluster": {"nodes": 0}}, r"\[cluster\] nodes: must be greater than or equal to 1"),
        ({"policy": "fifo"}, r"the scenario policy: must be"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_key(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Scenario.from_mapping(values, "lab.toml")


@pytest.mark.parametrize(("section", "key", "home"), [
    ("policy", "min_run", "[policy.preemption]"),
    ("policy", "reclaim", "[tenants]"),
    ("tenants", "weight", "[[tenants.tenant]]"),
    ("tenants", "nodes", ""),  # many tables have nodes
])  # fmt: skip
def test_a_key_that_stands_in_the_wrong_table_is_shown_the_right_one(section: str, key: str, home: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.from_mapping({section: {key: 1}}, "lab.toml")
    hint = f"'{key}' is a key of {home}; " if home else ""
    assert f"lab.toml: [{section}] has no key '{key}'; {hint}it has b" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workload": {"trace": "t.csv", "load": 0.9}}, "'load' of a synthetic workload has no meaning"),
        ({"workload": {"zone": "Asia/Seoul"}}, "'zone' is about a trace, and none is named"),
    ],
)
def test_keys_of_a_trace_and_of_a_synthesis_do_not_mix(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Scenario.from_mapping(values, "lab.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"policy": {"name": "fifo-fti"}},
            r"lab\.toml: \[policy\] unknown policy 'fifo-fti'; did you mean 'fifo-fit'\?",
        ),
        ({"energy": {"pue": 0.5}}, r"lab\.toml: \[energy\] pue must be at least 1"),
        ({"cluster": {"preset": "phase-9"}}, r"lab\.toml: \[cluster\] unknown preset 'phase-9'"),
        ({"cluster": {"nodes": 1, "preset": "phase-1"}}, r"lab\.toml: \[cluster\] "),
        ({"workload": {"classes": {"trianing": 1.0}}}, r"lab\.toml: \[workload\] .*did you mean 'training'\?"),
        ({"workload": {"load": 85}}, r"lab\.toml: \[workload\] load is 85, and 10 at most: .*did you mean 0\.85\?"),
        ({"workload": {"days": 1e9}}, r"lab\.toml: \[workload\] days is 1e\+09, and 36500 at most"),
        ({"workload": {"jobs": 10**10}}, r"\[workload\] jobs is 10,000,000,000, and 50,000,000 at most .*in parts of"),
        (
            {"workload": {"days": 30_000}, "cluster": {"nodes": 2_500, "gpus_per_node": 8}},
            r"\[workload\] days is 30000 at a load of 0.85 on 20,000 GPUs: some [\d,]+ jobs, .*of about [\d,]+ days",
        ),
        (
            {"cluster": {"nodes": 262_145, "gpus_per_node": 1}, "workload": {"trace": "no-such-file.csv"}},
            r"lab\.toml: \[cluster\] '262145x1' has 262,145 nodes, and at most 262,144 can be simulated; simulate",
        ),
    ],
)
def test_what_a_section_cannot_mean_is_blamed_on_its_file(values: dict[str, object], message: str) -> None:
    scenario = Scenario.from_mapping({"cluster": {"nodes": 1, "gpus_per_node": 8}} | values, "lab.toml")
    with pytest.raises(ConfigError, match=message):
        scenario.resolve()


def test_an_unknown_preset_lists_the_presets() -> None:
    with pytest.raises(ConfigError, match="unknown preset, scenario file or folder 'phase1'; did you mean 'phase-1'"):
        load("phase1")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lab\.toml: there is no such scenario file"):
        load(tmp_path / "lab.toml")


def test_what_is_not_toml_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "lab.toml", "[run]\nseed = = 3\n")
    with pytest.raises(InputError, match=r"lab\.toml, row 2: this is not TOML"):
        load(path)


def test_a_date_that_does_not_exist_is_named_with_its_line_and_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, "lab.toml", "[workload]\nstart = 2027-02-30\n")
    with pytest.raises(
        InputError, match=r"lab\.toml, row 2: .*no 2027-02-30, day is out of .*, start = 2027-02-30, or"
    ):
        load(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_bytes(b'name = "\xff"\n')
    with pytest.raises(InputError, match="the text is not UTF-8"):
        load(path)


def test_extends_must_be_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="extends must be the name of a preset or a file, got 3"):
        load(write(tmp_path, "lab.toml", "extends = 3\n"))


# --- schema ---------------------------------------------------------------------------------------------------------


def test_the_schema_knows_every_section_and_refuses_others() -> None:
    described = schema()
    assert set(described["properties"]) >= {"extends", "site", "workload", "cluster", "policy", "energy", "run"}
    assert described["additionalProperties"] is False
    assert described["$defs"]["PolicySection"]["additionalProperties"] is False
    json.dumps(described)


def test_every_key_of_the_schema_is_described() -> None:
    for name, section in schema()["$defs"].items():
        for key, item in section.get("properties", {}).items():
            assert item.get("description") or item.get("$ref"), f"{name}.{key}"


def test_there_are_four_phases_and_the_build_out_from_one_to_the_next() -> None:
    assert preset_names() == ("phase-1", "phase-2", "phase-3", "phase-4", "build-out")


def test_a_setting_is_blamed_on_its_own_section_whatever_asked_for_it() -> None:
    scenario = load("phase-1").apply_sets(["cluster.nodes=144"])
    for make in (scenario.generation, scenario.read_workload, scenario.build_cluster):
        with pytest.raises(ConfigError, match=r"^--set: \[cluster\] the section \[cluster\] has nodes but no"):
            make()
