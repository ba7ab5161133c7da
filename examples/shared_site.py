"""The scenario of shared_site.toml, a tree of tenants with quotas: one queue, quotas that are lent, and taken back."""

import tomllib
from pathlib import Path

import gpuyard as gy
from gpuyard.scenario import Scenario, run

given = tomllib.loads(Path(__file__).with_name("shared_site.toml").read_text(encoding="utf-8"))
lent = given | {"tenants": given["tenants"] | {"reclaim": "never"}}
one_queue = {name: section for name, section in given.items() if name != "tenants"}
one_queue["policy"] = {key: value for key, value in given["policy"].items() if key != "preemption"}


def below(numbers: dict[str, dict], path: str) -> list[dict]:
    """Return the numbers of a tenant's own jobs and of those of tenants below it."""
    return [each for name, each in numbers.items() if f"{name}/".startswith(f"{path}/")]


print(f"{'':14}{'':14}{'mean wait':>10}{'held':>9}{'borrowed':>10}{'lent':>8}{'made room':>11}{'lost':>7}")
for way, values in {"one queue": one_queue, "lent": lent, "taken back": given}.items():
    numbers = run(Scenario.from_mapping(values)).summary()
    shared = (numbers["tenants"] or {"by_tenant": {}})["by_tenant"]
    for path in gy.Tenants.of(given["tenants"] | {"limit": []}).paths[1:]:
        parts = below(numbers["by_tenant"], path)
        started = [each["jobs"]["submitted"] - each["jobs"]["rejected"] for each in parts]
        wait = sum(n * each["wait_s"]["mean"] for n, each in zip(started, parts, strict=True)) / sum(started)
        held = sum(each["gpu"]["gpu_hours"] for each in parts)
        name = "  " * path.count("/") + path.rpartition("/")[2]
        line = f"{way:14}{name:14}{wait / 3600:8.1f} h{held:9,.0f}"
        if path in shared:
            block = shared[path]
            line += f"{block['borrowed_gpu_hours']:10,.0f}{block['lent_gpu_hours']:8,.0f}"
            line += f"{block['reclaimed']['preemptions']:11,}{block['reclaimed']['lost_gpu_hours']:7,.0f}"
        print(line)
