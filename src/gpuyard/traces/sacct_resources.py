"""What a Slurm job held or asked for, out of the fields of sacct."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpuyard.traces.builder import JobTableBuilder

__all__ = ["Amounts", "amounts_of_gres", "amounts_of_tres", "gib", "put_priority", "put_resources"]

TRES = re.compile(r"([^=,]+)=([^,]*)")
GRES = re.compile(r"(?:gres[/:])?gpu(?::(?P<type>[A-Za-z][^:=(,]*))?(?:[:=](?P<count>\d+))?(?:\([^)]*\))?")
SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTPE]?)")
GIB = {"K": 2.0**-20, "M": 2.0**-10, "": 2.0**-10, "G": 1.0, "T": 2.0**10, "P": 2.0**20, "E": 2.0**30}
"""GiB in one of each unit; a bare number is MiB."""

HIGHEST = 2**31 - 1
"""The highest priority of the job table."""


class Amounts(dict[str, float]):
    """Resources by name: ``cpu``, ``mem`` (GiB), ``node``, ``gpu``; ``types`` names the GPU types listed."""

    types: tuple[str, ...] = ()


def gib(text: str) -> float | None:
    """Return memory such as ``64G``, ``500M`` or ``4000`` (MiB) in GiB, None for anything else.

    >>> gib("64G"), gib("512M"), gib("?")
    (64.0, 0.5, None)
    """
    match = SIZE.fullmatch(text)
    return float(match[1]) * GIB[match[2]] if match else None


def amounts_of_tres(text: str) -> Amounts:
    """Return what a TRES list of a whole job says.

    >>> found = amounts_of_tres("billing=8,cpu=8,gres/gpu:v100=4,gres/gpu=4,mem=64G,node=2")
    >>> found["gpu"], found["cpu"], found["mem"], found["node"], found.types
    (4.0, 8.0, 64.0, 2.0, ('v100',))
    """
    found = Amounts()
    typed: dict[str, float] = {}
    for name, value in TRES.findall(text):
        if name == "mem":
            memory = gib(value)
            if memory is not None:
                found["mem"] = memory
        elif name.startswith("gres/gpu:") and value.isdigit():
            typed[name.removeprefix("gres/gpu:")] = float(value)
        elif name in ("cpu", "node", "gres/gpu") and value.isdigit():
            found[name.removeprefix("gres/")] = float(value)
    found.types = tuple(sorted(typed))
    if typed and "gpu" not in found:
        found["gpu"] = sum(typed.values())
    return found


def amounts_of_gres(text: str) -> Amounts:
    """Return the GPUs that a GRES list says; other resources are left alone.

    >>> amounts_of_gres("gpu:tesla:2,nvme:1")["gpu"], amounts_of_gres("gpu")["gpu"], amounts_of_gres("craynetwork:1")
    (2.0, 1.0, {})
    """
    found = Amounts()
    for part in text.split(","):
        match = GRES.fullmatch(part)
        if match:
            found["gpu"] = found.get("gpu", 0.0) + float(match["count"] or 1)
            if match["type"]:
                found.types = tuple(sorted({*found.types, match["type"]}))
    return found


def put_resources(builder: JobTableBuilder) -> list[str]:
    """Set GPUs, GPU type, CPU cores, memory and nodes: what was allocated, else what was requested."""
    held, asked = _of(builder, "AllocTRES", amounts_of_tres), _of(builder, "ReqTRES", amounts_of_tres)
    held_gres, asked_gres = _of(builder, "AllocGRES", amounts_of_gres), _of(builder, "ReqGRES", amounts_of_gres)
    nodes = _first(_get(held, "node"), _count(builder, "AllocNodes"), _count(builder, "NNodes"), _get(asked, "node"),
                   _count(builder, "ReqNodes"))  # fmt: skip
    cpus = _first(_get(held, "cpu"), _count(builder, "AllocCPUS"), _count(builder, "NCPUS"), _get(asked, "cpu"),
                  _count(builder, "ReqCPUS"))  # fmt: skip
    # An allocation that lists no GPUs has none; only a blank one leaves the word to the request.
    none_held = np.where(np.isfinite(_get(held, "cpu")) | np.isfinite(_get(held, "node")), 0.0, np.nan)
    gpus = _first(_get(held, "gpu"), _get(held_gres, "gpu"), none_held, _get(asked, "gpu"),
                  _get(asked_gres, "gpu") * np.where(np.isfinite(nodes), nodes, 1), np.zeros(len(builder)))  # fmt: skip
    builder.put("gpus", gpus, source=_there(builder, "AllocTRES", "AllocGRES", "ReqTRES", "ReqGRES"))
    builder.put("cpus", cpus, source=_there(builder, "AllocTRES", "AllocCPUS", "NCPUS", "ReqTRES", "ReqCPUS"))
    builder.put("nodes", np.where((gpus == 0) | (nodes <= gpus), nodes, np.nan))
    memory = _first(_get(held, "mem"), _get(asked, "mem"), _memory_asked(builder, nodes, cpus))
    builder.put("memory_gib", memory, source=_there(builder, "AllocTRES", "ReqTRES", "ReqMem"))
    types = ["|".join(one.types or other.types) or None for one, other in zip(asked, asked_gres, strict=True)]
    if any(types):
        builder.put("gpu_type", pa.array(types, pa.string()))
    told = [name for name in ("AllocTRES", "AllocGRES", "ReqTRES", "ReqGRES") if name in builder.source]
    return [] if told else ["no field tells of GPUs: all jobs have none; print AllocTRES"]


def put_priority(builder: JobTableBuilder, source: str) -> list[str]:
    """Set the priority, where the file has one; Slurm's largest do not fit the job table and become null."""
    if source not in builder.source:
        return []
    ranks = builder.numbers(source, missing=("", "\\N", "NULL"))
    beyond = ranks > HIGHEST
    builder.put("priority", np.where(beyond, np.nan, ranks), source=source)
    return [f"{int(beyond.sum())} priorities are above {HIGHEST} and left out"] if beyond.any() else []


def _there(builder: JobTableBuilder, *names: str) -> str:
    """Return the first of the fields that the file has, else the first."""
    return next((name for name in names if name in builder.source), names[0])


def _of(builder: JobTableBuilder, name: str, read: Callable[[str], Amounts]) -> Sequence[Amounts]:
    """Return the amounts of each record; each different text is read once."""
    if name not in builder.source:
        return [Amounts()] * len(builder)
    known: dict[str, Amounts] = {}
    for text in pc.unique(builder.source[name]).to_pylist():
        known[text] = read(text)
    return [known[text] for text in builder.source[name].to_pylist()]


def _get(amounts: Sequence[Amounts], name: str) -> NDArray[np.float64]:
    return np.array([item.get(name, np.nan) for item in amounts], dtype=np.float64)


def _count(builder: JobTableBuilder, name: str) -> NDArray[np.float64]:
    """Return a field of counts, not-a-number where it is absent, blank or 0 (nothing allocated)."""
    if name not in builder.source:
        return np.full(len(builder), np.nan)
    numbers = builder.numbers(name, missing=("", "Unknown", "None"))
    return np.where(numbers == 0, np.nan, numbers)


def _first(*choices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each record, the first choice that is known."""
    result = choices[0]
    for choice in choices[1:]:
        result = np.where(np.isnan(result), choice, result)
    return result


def _memory_asked(
    builder: JobTableBuilder, nodes: NDArray[np.float64], cpus: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ReqMem of the whole job in GiB; 0, which asks for all of a node, is unknown."""
    if "ReqMem" not in builder.source:
        return np.full(len(builder), np.nan)
    texts = builder.source["ReqMem"].to_pylist()
    sizes = {text: gib(text.rstrip("nc")) for text in set(texts)}
    amounts = np.array([sizes[text] or np.nan for text in texts], dtype=np.float64)
    each = {"n": nodes, "c": cpus}
    for mark, count in each.items():
        marked = np.array([text.endswith(mark) for text in texts], dtype=bool)
        amounts = np.where(marked, amounts * np.where(np.isfinite(count), count, 1), amounts)
    return amounts
