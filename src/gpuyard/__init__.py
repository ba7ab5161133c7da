"""gpuyard: a GPU cluster scheduler simulator.

Replays a recorded workload, or makes one, on a simulated cluster under a scheduling policy, and reports
utilization, queueing delay and energy.  ``import gpuyard`` loads nothing heavy: each name is imported when it is
first used.

>>> import gpuyard as gy
>>> jobs = gy.Workload.from_table(table)                       # or gy.read_trace("philly.csv")
>>> result = gy.simulate(jobs, gy.Cluster.uniform(nodes=4, gpus_per_node=8), policy="fifo-fit")
>>> result.summary()["wait_s"]["mean"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuyard.bounds import Bounds as Bounds
    from gpuyard.cluster import Cluster as Cluster
    from gpuyard.custom import order as order
    from gpuyard.custom import placement as placement
    from gpuyard.energy import EnergyModel as EnergyModel
    from gpuyard.errors import ConfigError as ConfigError
    from gpuyard.errors import EngineError as EngineError
    from gpuyard.errors import GpuyardError as GpuyardError
    from gpuyard.errors import InputError as InputError
    from gpuyard.errors import PolicyError as PolicyError
    from gpuyard.experiment import simulate as simulate
    from gpuyard.explanation import explain as explain
    from gpuyard.policy import Policy as Policy
    from gpuyard.policy import add_placement as add_placement
    from gpuyard.quality import examine as examine
    from gpuyard.result import Result as Result
    from gpuyard.scenario import Scenario as Scenario
    from gpuyard.scenario import load as load_scenario
    from gpuyard.scenario import read_trace as read_trace
    from gpuyard.scenario import run as run_scenario
    from gpuyard.synthesis import SynthesisSpec as SynthesisSpec
    from gpuyard.synthesis import synthesise as synthesise
    from gpuyard.tenancy import Limit as Limit
    from gpuyard.tenancy import Tenant as Tenant
    from gpuyard.tenancy import Tenants as Tenants
    from gpuyard.tenant_files import read_tenants as read_tenants
    from gpuyard.virtual_clusters import VirtualCluster as VirtualCluster
    from gpuyard.windows import NodeWindow as NodeWindow
    from gpuyard.workload import Workload as Workload

__version__ = "0.1.0"

_HOME = {
    "Bounds": ("gpuyard.bounds", "Bounds"),
    "Cluster": ("gpuyard.cluster", "Cluster"),
    "ConfigError": ("gpuyard.errors", "ConfigError"),
    "EnergyModel": ("gpuyard.energy", "EnergyModel"),
    "EngineError": ("gpuyard.errors", "EngineError"),
    "GpuyardError": ("gpuyard.errors", "GpuyardError"),
    "InputError": ("gpuyard.errors", "InputError"),
    "Limit": ("gpuyard.tenancy", "Limit"),
    "NodeWindow": ("gpuyard.windows", "NodeWindow"),
    "Policy": ("gpuyard.policy", "Policy"),
    "PolicyError": ("gpuyard.errors", "PolicyError"),
    "Result": ("gpuyard.result", "Result"),
    "Scenario": ("gpuyard.scenario", "Scenario"),
    "SynthesisSpec": ("gpuyard.synthesis", "SynthesisSpec"),
    "Tenant": ("gpuyard.tenancy", "Tenant"),
    "Tenants": ("gpuyard.tenancy", "Tenants"),
    "VirtualCluster": ("gpuyard.virtual_clusters", "VirtualCluster"),
    "Workload": ("gpuyard.workload", "Workload"),
    "add_placement": ("gpuyard.policy", "add_placement"),
    "explain": ("gpuyard.explanation", "explain"),
    "examine": ("gpuyard.quality", "examine"),
    "load_scenario": ("gpuyard.scenario", "load"),
    "order": ("gpuyard.custom", "order"),
    "placement": ("gpuyard.custom", "placement"),
    "read_tenants": ("gpuyard.tenant_files", "read_tenants"),
    "read_trace": ("gpuyard.scenario", "read_trace"),
    "run_scenario": ("gpuyard.scenario", "run"),
    "simulate": ("gpuyard.experiment", "simulate"),
    "synthesise": ("gpuyard.synthesis", "synthesise"),
}
"""Where each public name lives."""

__all__ = [
    "Bounds",
    "Cluster",
    "ConfigError",
    "EnergyModel",
    "EngineError",
    "GpuyardError",
    "InputError",
    "Limit",
    "NodeWindow",
    "Policy",
    "PolicyError",
    "Result",
    "Scenario",
    "SynthesisSpec",
    "Tenant",
    "Tenants",
    "VirtualCluster",
    "Workload",
    "add_placement",
    "examine",
    "explain",
    "load_scenario",
    "order",
    "placement",
    "read_tenants",
    "read_trace",
    "run_scenario",
    "simulate",
    "synthesise",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'gpuyard' has no attribute '{name}'; it offers {', '.join(__all__)}")
    module, attribute = _HOME[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
