"""Names in tenants and limits that are likely slips of the pen."""

from __future__ import annotations

from conftest import cluster, workload
from gpuyard.bounds import Bounds
from gpuyard.experiment import simulate
from gpuyard.metrics.misnomers import misnamed, misnomers
from gpuyard.policy import Policy
from gpuyard.report.sections import notices
from gpuyard.tenancy import Limit, Tenant, Tenants

JOBS = workload(
    (0, 10, 1, {"tenant": "steel/vision", "user": "anna", "qos": "normal"}),
    (0, 10, 1, {"tenant": "steel/vision", "user": "bob", "qos": None}),
    (0, 10, 1, {"tenant": "biology", "user": None, "qos": None}),
)


def said(*names: str, **where: str) -> list[str]:
    limits = (Limit(where=where, jobs=1),) if where else ()
    return misnomers(Tenants(tenants=tuple(Tenant(name=name) for name in names), limits=limits), JOBS)


def test_a_tenant_without_jobs_is_suspected_where_a_near_name_belongs_to_nobody():
    assert said("stel/vision", "biology") == [
        "No job belongs to the tenant 'stel/vision', and 2 jobs of 'steel/vision' to nobody."
    ]
    assert said("stel", "biology") == ["No job belongs to the tenant 'stel', and 2 jobs of 'steel' to nobody."]
    assert said("steel/vision", "biolgy") == [
        "No job belongs to the tenant 'biolgy', and 1 job of 'biology' to nobody."
    ]


def test_capital_letters_are_no_difference_however_short_the_name():
    jobs = workload((0, 10, 1, {"tenant": "a", "qos": "hi"}))
    tenants = Tenants(tenants=(Tenant(name="A", nominal=1),), limits=(Limit(where={"qos": "HI"}, jobs=1),))
    assert misnomers(tenants, jobs) == [
        "No job belongs to the tenant 'A', and 1 job of 'a' to nobody.",
        "A limit is about jobs of the qos 'HI', and no job has it; did you mean 'hi'?",
    ]


def test_tenants_that_merely_have_no_jobs_are_not():
    assert said("steel", "biology", "battery") == []
    assert said("steel/vision", "steel/visions", "biology") == [], "the near name has an owner"
    assert said("steel/vision") == [], "of nobody, and near to nobody"


def test_a_value_of_a_limit_that_no_job_has_is_told_with_the_nearest():
    assert said(user="ana") == ["A limit is about jobs of the user 'ana', and no job has it; did you mean 'anna'?"]
    assert said(qos="high") == ["A limit is about jobs of the qos 'high', and no job has it."]
    assert said("steel", tenant="stel") == [
        "A limit is about jobs of the tenant 'stel', and there is no such tenant; did you mean 'steel'?"
    ]
    assert said("steel", tenant="steel", user="bob", qos="normal") == []


def test_without_tenants_there_is_nothing_to_say():
    assert misnomers(Tenants(), JOBS) == []


def test_a_run_begins_with_it():
    tenants = {"tenant": [{"name": "stel", "nominal": 1}], "limit": [{"where": {"user": "ana"}, "jobs": 1}]}
    result = simulate(JOBS, cluster(4), policy="fifo-fit", tenants={**tenants, "nominal": 3})
    assert len(result.numbers["warnings"]) == 2
    assert set(result.numbers["warnings"]) <= set(notices(result))
    right = simulate(JOBS, cluster(4), policy="fifo-fit", tenants={"tenant": [{"name": "steel", "nominal": 4}]})
    assert "warnings" not in right.numbers


def test_a_tier_or_factor_of_a_name_that_is_near_is_told():
    tiers = {"rule": "qos", "tiers": {"normla": 1, "high": 2}, "modes": {"noramal": "off"}}
    policy = Policy(order="multifactor", preemption=tiers, weights={"qos": 1}, qos={"noraml": 0.5})
    assert misnamed(policy, JOBS) == [
        "No job is of the qos 'normla', which has a tier; did you mean 'normal'?",
        "No job is of the qos 'noramal', which has a mode; did you mean 'normal'?",
        "No job is of the qos 'noraml', which has a factor; did you mean 'normal'?",
    ]
    named = {"rule": "qos", "tiers": {"normal": 1, "high": 2}, "min_runs": {"hihg": 5}}
    jobs = workload((0, 1, 1, {"qos": "high"}), (0, 1, 1, {"qos": "normal"}))
    listed = Policy(preemption=named | {"tiers": {"normal": 1, "hihg": 2}, "preempts": {"hihg": ["normal"]}})
    assert [each.split(", ")[1].split(";")[0] for each in misnamed(listed, jobs)] == [
        "which has a tier", "which has a min_run", "which has a list",
    ]  # fmt: skip
    assert misnamed(policy, JOBS)[0] in simulate(JOBS, cluster(4), policy=policy).summary()["warnings"]


def test_a_name_in_a_list_that_is_near_is_told():
    jobs = workload((0, 1, 1, {"qos": "high", "tenant": "steel/vision"}), (0, 1, 1, {"qos": "normal"}))
    lists = {"rule": "qos", "tiers": {"high": 2}, "preempts": {"high": ["normla", "normal2", "low"]}}
    bounds = [
        Bounds(partition="a", allow_tenants=("stel", "steel/vison", "steel/vision", "bio"), deny_qos=("hihg", "lwo")),
        Bounds(qos="low", is_default=True, max_time=5, deny_tenants=("steel",)),
    ]
    assert misnamed(Policy(preemption=lists), jobs, bounds) == [
        "No job is of the qos 'normal2', which is in preempts of 'high'; did you mean 'normal'?",
        "No job is of the qos 'normla', which is in preempts of 'high'; did you mean 'normal'?",
        "No job is of the tenant 'stel', which is in allow_tenants of partition 'a'; did you mean 'steel'?",
        "No job is of the qos 'hihg', which is in deny_qos of partition 'a'; did you mean 'high'?",
    ]


def test_a_tier_of_nobody_is_not_where_the_near_name_has_its_own():
    tiers = {"rule": "qos", "tiers": {"normal": 1, "normal2": 2, "urgent": 3}}
    assert misnamed(Policy(preemption=tiers), JOBS) == []
    assert misnamed(Policy(), JOBS) == []


def test_what_goes_by_quotas_is_noted_where_nobody_has_any():
    def about(*tenants: Tenant, **more: object) -> list[str]:
        return misnomers(Tenants(tenants=tenants, **more), JOBS)

    steel, biology = Tenant(name="steel"), Tenant(name="biology", borrow=2)
    assert about(steel, biology) == [
        "The tenant 'biology' has a limit of what it borrows or lends, and nobody has a nominal quota, so that nothing "
        "is lent; state nominal."
    ]
    assert about(Tenant(name="steel", lend=0))[0].startswith("The tenant 'steel' has a limit")
    assert about(steel, between="fair") == [
        "Tenants take turns by what they borrow (between = fair), and nobody has a nominal quota, so that all are "
        "equal; state nominal, or choose drf."
    ]
    assert about(steel, between="drf") == []
    assert about(steel, biology, between="fair", nominal=4) == []
