"""Tenants by scenario: the keys of [tenants], how layers change them, and what is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuyard import Limit, Tenant, Tenants
from gpuyard.errors import ConfigError, InputError
from gpuyard.scenario import Scenario, load, schema
from gpuyard.scenario.resolve import Resolved
from gpuyard.synthesis.tenant_tables import tenants_of

SITE = {"nodes": 4, "gpus_per_node": 8}
WORK: dict[str, Any] = {
    "days": 1.0,
    "load": 0.3,
    "classes": {"training": {"share": 1.0}},
    "tenants": {"steel": {"training": 1.0}, "bio": {"training": 1.0}},
}
QUOTAS = {"tenant": [{"name": "steel", "nominal": 16, "borrow": 8}, {"name": "bio", "nominal": 16, "lend": 4}]}


def scenario(**tenants: object) -> Scenario:
    return Scenario.from_mapping({"cluster": SITE, "workload": WORK, "tenants": tenants})


def resolved(**tenants: object) -> Resolved:
    return scenario(**tenants).resolve()


def test_a_scenario_says_who_shares_the_cluster() -> None:
    made = resolved(
        **QUOTAS,
        between="drf",
        reclaim="lower",
        nominal=2,
        limit=[{"each": "user", "jobs": 3}, {"each": ["tenant"], "where": {"partition": "debug"}, "gpus": 4}],
    )
    assert made.tenants == Tenants(
        tenants=(Tenant(name="steel", nominal=16, borrow=8), Tenant(name="bio", nominal=16, lend=4)),
        limits=(Limit(each=("user",), jobs=3), Limit(each=("tenant",), where={"partition": "debug"}, gpus=4)),
        between="drf",
        reclaim="lower",
        nominal=2,
    )


def test_what_is_written_down_makes_the_same_tenants_again(tmp_path: Path) -> None:
    (tmp_path / "quotas.csv").write_text("name,nominal.gpu,weight\nsteel,16,2\nbio,8,\n")
    (tmp_path / "run.toml").write_text(
        '[cluster]\nnodes = 4\ngpus_per_node = 8\ngpu_type = "gpu"\n'
        "[workload]\ndays = 1.0\nload = 0.3\nclasses = {training = {share = 1.0}}\n"
        '[tenants]\nfile = "quotas.csv"\nbetween = "fair"\n'
        '[[tenants.tenant]]\nname = "bio"\nnominal = {gpu = 4}\n[[tenants.limit]]\neach = ["user"]\njobs = 3\n'
    )
    first = load(tmp_path / "run.toml").resolve()
    assert "file" not in first.echo["tenants"]
    again = Scenario.from_mapping(first.echo).resolve()
    assert again.tenants == first.tenants
    assert first.tenants.tenants == (
        Tenant(name="steel", nominal={"gpu": 16}, weight=2),
        Tenant(name="bio", nominal={"gpu": 4}),
    )
    assert again.echo["tenants"] == first.echo["tenants"]


def test_a_quota_of_no_type_is_written_down_too() -> None:
    tenants = Tenants(tenants=(Tenant(name="steel", nominal={"gpu": 8}, borrow={}),), limits=(Limit(jobs=1),))
    assert Tenants.of(tenants.to_mapping()) == tenants


def test_a_scenario_without_tenants_writes_down_none() -> None:
    assert "tenants" not in resolved().echo


def test_a_table_by_name_changes_one_tenant_of_the_list_and_adds_others() -> None:
    changed = scenario(**QUOTAS).apply_sets(["tenants.tenant.steel.nominal=4", "tenants.tenant.bio/cells.weight=2.0"])
    assert changed.resolve().tenants.tenants == (
        Tenant(name="steel", nominal=4, borrow=8),
        Tenant(name="bio", nominal=16, lend=4),
        Tenant(name="bio/cells", weight=2),
    )


def test_sets_change_keys_of_the_section() -> None:
    assert scenario(**QUOTAS).apply_sets(["tenants.between=drf"]).resolve().tenants.between == "drf"


def test_a_file_of_tenants_replaces_all_that_layers_below_say_of_them(tmp_path: Path) -> None:
    path = tmp_path / "quotas.csv"
    path.write_text("name,nominal\nbattery,8\n")
    below = scenario(**QUOTAS, between="drf")
    assert below.over({"tenants": {"file": str(path)}}, "top").resolve().tenants == Tenants(
        tenants=(Tenant(name="battery", nominal=8),)
    )


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        ({"betwen": "drf"}, r"\[tenants\] has no key 'betwen'; did you mean 'between'"),
        (
            {"tenant": [{"name": "a", "nominel": 1}]},
            r"\[tenants.tenant.a\] has no key 'nominel'; did you mean 'nominal'",
        ),
        ({"tenant": [{"nominal": 1}]}, r"entry 1 of \[\[tenants.tenant\]\] name: field required"),
        (
            {"tenant": [{"name": "a", "nominal": "x"}]},
            r"\[tenants.tenant.a\] nominal: must be a number or a table \(got 'x'\)",
        ),
        ({"tenant": [{"name": "a/b", "weight": 0}]}, r"\[tenants.tenant.\"a/b\"\] weight: must be greater than 0"),
        ({"tenant": ["a"]}, r"\[tenants\] tenant, entry 1: must be a table \(got 'a'\)"),
        ({"limit": [{"jobs": -1}]}, r"entry 1 of \[\[tenants.limit\]\] jobs: .*greater than or equal to 0 \(got -1\)"),
        ({**QUOTAS, "between": "dfr"}, r"\[tenants\] unknown between 'dfr'; did you mean 'drf'"),
        ({**QUOTAS, "reclaim": "nevr"}, r"\[tenants\] unknown reclaim 'nevr'; did you mean 'never'"),
        (
            {"limit": [{"each": ["usr"], "jobs": 1}]},
            r"\[tenants\] unknown column of a limit 'usr'; did you mean 'user'",
        ),
        (
            {"tenant": [{"name": "a", "nominal": {"H100": 1}}]},
            r"\[tenants\] unknown GPU type of a quota of tenant 'a': 'H100'; ",
        ),
        ({"between": "drf"}, r"\[tenants\] 'between' says how tenants share the cluster, and there are none; add \[\["),
        (
            {"of_workload": True},
            r"\[tenants\] 'of_workload' takes the quotas of the workload's tenants, and none has one",
        ),
        ({"tenant": [{"name": "a"}, {"name": "a"}]}, r"\[tenants\] tenant 'a' stands twice"),
    ],
)
def test_what_cannot_be_is_said_with_the_section_and_the_nearest_name(tenants: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"scenario: {message}"):
        resolved(**tenants)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: the file cannot be read"):
        resolved(file="nowhere.csv")


def test_a_type_that_the_cluster_does_not_have_is_blamed_on_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "quotas.csv").write_text("name,nominal.H900\nsteel,8\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"quotas\.csv: unknown GPU type of a quota of tenant 'steel': 'H900'; "):
        resolved(file=str(tmp_path / "quotas.csv"))


def test_the_schema_has_the_section() -> None:
    described = schema()
    assert "tenants" in described["properties"]
    assert {"name", "nominal", "borrow", "lend", "weight"} == set(described["$defs"]["TenantSection"]["properties"])


# --- quotas of a synthetic workload's tenants ---------------------------------------------------------------------


def test_quotas_of_the_rd_centres_become_whole_gpus_where_a_scenario_asks_for_them() -> None:
    given = {"cluster": {"nodes": 25, "gpus_per_node": 8}, "workload": {**WORK, "tenants": {"preset": "rd-centres"}}}
    asked = Scenario.from_mapping(given | {"tenants": {"of_workload": True}}).resolve().tenants
    quotas = {each.name: each.nominal for each in asked.tenants}
    assert quotas["foundation-models"] == 60
    assert quotas["bio-testbed"] == 6
    assert sum(quotas.values()) == 200  # type: ignore[arg-type]
    assert not Scenario.from_mapping(given).resolve().tenants


def test_what_the_section_says_of_a_tenant_of_the_workload_goes_on_top() -> None:
    given = {"cluster": SITE, "workload": {**WORK, "tenants": {"steel": {"training": 1.0, "quota": 0.3}}}}
    layer = {"of_workload": True, "tenant": [{"name": "steel", "nominal": 5}, {"name": "bio", "nominal": 1}]}
    made = Scenario.from_mapping(given | {"tenants": layer}).resolve()
    assert made.tenants.tenants == (Tenant(name="steel", nominal=5), Tenant(name="bio", nominal=1))
    assert made.echo["workload"]["tenants"]["steel"]["quota"] == 0.3
    assert "of_workload" not in made.echo["tenants"]


def test_a_trace_has_no_shares_that_could_become_quotas(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("job_id,submit_time,runtime,gpus\na,0,1,1\n")
    given = {"cluster": SITE, "workload": {"trace": str(path)}, "tenants": {"of_workload": True}}
    with pytest.raises(ConfigError, match="is about the tenants of a synthetic workload, and there is none"):
        Scenario.from_mapping(given).resolve()


def test_tenants_of_a_workload_come_out_of_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "tenants.csv"
    path.write_text(
        "name,users,priority,start,quota,training,battery\nsteel,30,5,2027-07-01,0.2,0.5,\nbio,,,,,1,0.25\n"
    )
    steel, bio = tenants_of("tenants", {"file": str(path), "bio": {"training": 2}})
    assert steel.to_mapping() == {
        "users": 30, "training": 0.5, "priority": 5, "start": "2027-07-01", "quota": 0.2,
    }  # fmt: skip
    assert bio.to_mapping() == {"users": 40, "training": 2, "battery": 0.25}


def test_a_scenario_finds_its_file_of_tenants_beside_it_and_writes_them_down_in_full(tmp_path: Path) -> None:
    (tmp_path / "tenants.csv").write_text("name,training\nsteel,1\n")
    (tmp_path / "run.toml").write_text(
        "[cluster]\nnodes = 4\ngpus_per_node = 8\n[workload]\ndays = 1.0\nload = 0.3\n"
        'classes = {training = {share = 1.0}}\ntenants = {file = "tenants.csv"}\n'
    )
    made = load(tmp_path / "run.toml").resolve()
    assert made.echo["workload"]["tenants"] == {"steel": {"users": 40, "training": 1.0}}
    assert set(made.workload.table["tenant"].to_pylist()) == {"steel"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,trainning\nsteel,1\n", "row 1, column 'trainning': .* did you mean 'training'"),
        ("name,users\nsteel,x\n", r"row 2, column 'users': this is no whole number \(got 'x'\); write a whole number"),
        ("name,quota\nsteel,20\n", "row 2: quota of tenant 'steel' is a share of the cluster's GPUs, 0 to 1, got 20"),
        ("name,users\nsteel,1\nsteel,2\n", "row 3, column 'name': a tenant stands twice"),
        ("users\n1\n", "row 1: the file has no column of names"),
    ],
)
def test_what_is_wrong_in_a_file_of_a_workloads_tenants_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "tenants.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"tenants\.csv.*{message}"):
        tenants_of("tenants", {"file": str(path)})
