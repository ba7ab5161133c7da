"""The scenario: everything one run depends on, in one checked object that can be written down and run again.

:func:`load` reads a preset or a file; :meth:`Scenario.over` and :meth:`Scenario.apply_sets` change it;
:func:`run` simulates it.  The scenario in a run's folder is the resolved one: running it again gives the
same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuyard.presets import preset_names
from gpuyard.scenario.model import Scenario, load, schema
from gpuyard.scenario.named_traces import read_trace
from gpuyard.scenario.resolve import Resolved

if TYPE_CHECKING:
    from gpuyard.experiment import Progress
    from gpuyard.result import Result

__all__ = ["Resolved", "Scenario", "load", "preset_names", "read_trace", "run", "schema"]


def run(scenario: Scenario, progress: Progress | None = None) -> Result:
    """Simulate a scenario.

    Parameters
    ----------
    progress
        Told in words which stage is on, and which share of it is done, ``None`` where that is not known.

    Raises
    ------
    ConfigError
        For settings that do not go together.
    InputError
        For a trace or topology file that cannot be used.
    """
    from gpuyard.scenario.resolve import simulate_resolved

    tell = progress or (lambda stage, share: None)
    return simulate_resolved(scenario.resolve(tell), tell)
