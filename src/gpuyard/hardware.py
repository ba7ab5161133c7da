"""GPU types and node types: what a node holds and what it draws, from ``presets/hardware.toml``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NodeType"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeType:
    """One kind of node: what it holds and what it draws.

    The draw of a node is ``idle_w`` plus, for each GPU in use, ``gpu_dynamic_w`` times the load of
    the job's class, plus ``cpu_dynamic_w`` times the share of its cores in use.  With everything
    at full load it is ``rated_w``.
    """

    name: str
    gpu_type: str
    gpus: int
    cpus: float | None
    memory_gib: float | None
    idle_w: float
    """whole node, nothing running, its GPUs' idle draw included"""
    gpu_dynamic_w: float
    """one GPU from idle to full load, with its share of fans, NICs and conversion losses"""
    cpu_dynamic_w: float
    """all CPUs of the node from idle to full load"""
    source: str
    """where the figures come from, and their standing: R read, C computed, M assumption"""

    @property
    def rated_w(self) -> float:
        """The node's draw with all GPUs and CPUs at full load, W."""
        return self.idle_w + self.gpus * self.gpu_dynamic_w + self.cpu_dynamic_w
