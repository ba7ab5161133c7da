"""Look-alikes: a model fitted to any workload, written to a file that people can read and edit, and jobs made from it.

>>> from gpuyard.fitting import FittedModel, LookAlike, fit, look_alike
>>> model = fit(workload)
>>> model.save("model.toml")
>>> jobs = look_alike(FittedModel.load("model.toml"), days=30, seed=7)
>>> tables = LookAlike(FittedModel.load("model.toml"), jobs=100_000_000, seed=7).tables()

``docs/fit.md`` says what is fitted, what is not, and how near the look-alike of a recorded trace comes.
"""

from __future__ import annotations

from gpuyard.fitting.fit import fit
from gpuyard.fitting.lookalike import LookAlike, look_alike
from gpuyard.fitting.model import FittedModel

__all__ = ["FittedModel", "LookAlike", "fit", "look_alike"]
