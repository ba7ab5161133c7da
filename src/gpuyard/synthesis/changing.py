"""Kinds of jobs as a user changes them: the table ``[workload.kinds.CLASS.KIND]`` of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from gpuyard.errors import ConfigError, unknown_name
from gpuyard.synthesis.changes import Changes
from gpuyard.synthesis.expansion import Main
from gpuyard.synthesis.kinds import Kind, Rhythm, reshared
from gpuyard.synthesis.manufacturing import changed_inspection
from gpuyard.synthesis.published import Evidence, States
from gpuyard.synthesis.reading import (
    read_checkpoints,
    read_curve,
    read_fractions,
    read_number,
    read_part,
    read_sizes,
    read_table,
    read_whole,
)

__all__ = ["CHOSEN", "changed_kinds"]

CHOSEN = Evidence("assumption", "given by the user")


def changed_kinds(job_class: str, kinds: tuple[Kind, ...], table: Mapping[str, object]) -> tuple[Kind, ...]:
    """Return the kinds of a class with what a user changed of them; a kind whose share is 0 is left out.

    Shares are parts of the class's GPU time; kinds whose share is not given divide the rest as they did.

    Raises
    ------
    ConfigError
        For a kind or a key that nobody knows, naming the nearest; for a value of the wrong type or range; and for
        shares that do not sum to 1.
    """
    names = [kind.name for kind in kinds]
    for name in table:
        if name not in names:
            raise unknown_name(f"kind of class '{job_class}'", name, names)
    shares: dict[str, float] = {}
    found = []
    for kind in kinds:
        given = Changes(f"kind '{kind.name}' of class '{job_class}'", table.get(kind.name, {}))
        share = given.take("share", read_part, -1.0)
        if share >= 0:
            shares[kind.name] = share
        if kind.service is not None:
            found.append(replace(kind, service=changed_inspection(kind.service, given)))
        else:
            found.append(_changed(kind, given))
        given.finish()
    return _shared(job_class, found, shares)


def _changed(kind: Kind, given: Changes) -> Kind:
    """Return a kind with what a user changed of it but for its share."""
    before = Main(kind.priority, kind.activity, kind.preemptible, kind.runtimes, kind.checkpoint_interval)
    after = Main(
        priority=given.take("priority", read_whole, kind.priority),
        activity=given.take("activity", read_part, kind.activity),
        preemptible=given.take("preemptible", _read_choice, kind.preemptible),
        runtimes=given.take("runtime", read_curve, kind.runtimes),
        checkpoint_interval=given.take("checkpoint_interval", read_checkpoints, kind.checkpoint_interval),
    )
    sizes = given.take("gpus", read_sizes, kind.sizes)
    fractions = given.take("fractions", read_fractions, kind.fractions)
    if fractions.milli and kind.expansion is not None:
        raise ConfigError(f"{given.where} has no fractions: only of kinds of single jobs some ask for a part of a GPU")
    same = (sizes, after.runtimes, fractions) == (kind.sizes, kind.runtimes, kind.fractions)
    changed = replace(
        kind,
        sizes=sizes,
        runtimes=after.runtimes,
        priority=after.priority,
        activity=after.activity,
        preemptible=after.preemptible,
        checkpoint_interval=after.checkpoint_interval,
        fractions=fractions,
        states=given.take("states", _read_states, kind.states),
        burst=given.take("burst", _read_burst, kind.burst),
        rhythm=given.take("rhythm", _read_rhythm, kind.rhythm),
        reference_gpus=given.take("reference_gpus", read_whole, kind.reference_gpus or 0) or None,
        rank_correlation=given.take("rank_correlation", _read_correlation, kind.rank_correlation),
        coupling=kind.coupling if same else None,
        expansion=None if kind.expansion is None else kind.expansion.changed(given, before, after),
    )
    if changed.reference_gpus is not None and changed.reference_gpus < 0:
        raise ConfigError(f"reference_gpus of {given.where} must be 1 or more, or 0 for sizes that do not grow")
    return changed


def _shared(job_class: str, kinds: list[Kind], given: Mapping[str, float]) -> tuple[Kind, ...]:
    """Return the kinds with shares that sum to 1."""
    if not given:
        return tuple(kinds)
    named, rest = sum(given.values()), sum(kind.share for kind in kinds if kind.name not in given)
    if named > 1 + 1e-9 or (rest == 0 and abs(named - 1) > 1e-6):
        raise ConfigError(
            f"the shares of the kinds of class '{job_class}' sum to {named:g}; they are parts of its GPU time and "
            "sum to 1, where some are not given to less"
        )
    scale = max(1 - named, 0.0) / rest if rest else 0.0
    shared = [reshared(kind, given.get(kind.name, kind.share * scale)) for kind in kinds]
    return tuple(kind for kind in shared if kind.share > 0)


def _read_choice(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} must be true or false, got {value!r}")
    return value


def _read_burst(key: str, value: object) -> float:
    burst = read_number(key, value)
    if not 1 <= burst <= 1e6:
        raise ConfigError(f"{key} must be from 1 to 1,000,000 jobs on average, got {value!r}")
    return burst


def _read_correlation(key: str, value: object) -> float:
    rank = read_number(key, value)
    if not -1 < rank < 1:
        raise ConfigError(f"{key} must be between -1 and 1, got {value!r}")
    return rank


def _read_rhythm(key: str, value: object) -> Rhythm:
    for rhythm in get_args(Rhythm):
        if value == rhythm:
            return rhythm
    raise unknown_name(key, str(value), get_args(Rhythm))


def _read_states(key: str, value: object) -> States:
    """Return shares of how jobs end, of the jobs and of their GPU time alike, or of each."""
    table = dict(read_table(key, value))
    of_jobs = _three(key, {name: share for name, share in table.items() if name != "gpu_time"})
    of_time = _three(f"gpu_time of {key}", read_table(key, table["gpu_time"])) if "gpu_time" in table else of_jobs
    return States(jobs=of_jobs, gpu_time=of_time, evidence=CHOSEN)


def _three(key: str, table: Mapping[str, object]) -> tuple[float, float, float]:
    for name in table:
        if name not in _STATES:
            raise unknown_name(f"state in {key}", name, (*_STATES, "gpu_time"))
    shares = [read_part(f"{name} in {key}", table.get(name, 0.0)) for name in _STATES]
    if abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(f"the shares of {key} must sum to 1, they sum to {sum(shares):g}")
    return shares[0], shares[1], shares[2]


_STATES = ("completed", "cancelled", "failed")
