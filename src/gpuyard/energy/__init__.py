"""Power of nodes and switches, cooling, carbon and price: the energy account of a run."""

from __future__ import annotations

from gpuyard.energy.account import EnergyAccount, EnergyTotals, account
from gpuyard.energy.model import CLASS_LOADS, ClassLoad, EnergyModel

__all__ = ["CLASS_LOADS", "ClassLoad", "EnergyAccount", "EnergyModel", "EnergyTotals", "account"]
