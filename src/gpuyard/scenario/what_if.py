"""What-if on the workload of a scenario: the keys of ``[workload]``, and what they make of the jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gpuyard import reshaping
from gpuyard.errors import ConfigError
from gpuyard.reshaping.asking import KEEPS
from gpuyard.reshaping.moving import ALIGNMENTS
from gpuyard.units import parse_seconds
from gpuyard.workload import Workload

__all__ = ["MOVING", "TABLES", "MergedTrace", "WhatIfKeys", "merged", "reshaped", "with_paths"]

MOVING: Final = ("scale", "repeat", "shift", "merge")
"""Keys after which a synthetic workload no longer spans the time that it was made for."""


def _signed(value: Any) -> float:
    """Return seconds that may be negative: ``-2d``."""
    if isinstance(value, str) and value.strip().startswith("-"):
        return -_seconds(value.strip()[1:])
    return -_seconds(-value) if isinstance(value, int | float) and value < 0 else _seconds(value)


def _seconds(value: Any) -> float:
    if not isinstance(value, str | int | float):
        raise ValueError("a time is a number of seconds or a text such as 90s, 15m, 3h, 7d")  # noqa: TRY004
    try:
        return parse_seconds(value)
    except ConfigError as problem:
        raise ValueError(str(problem)) from None


def _sizes(value: Any) -> Any:
    """Return whole numbers of GPUs for the keys of a table, which are text in TOML."""
    if not isinstance(value, Mapping):
        return value
    try:
        return {int(key): size for key, size in value.items()}
    except ValueError:
        raise ValueError("a table of sizes goes from numbers of GPUs to numbers of GPUs, such as {8 = 16}") from None


def _traces(value: Any) -> Any:
    listed = value if isinstance(value, list) else [value]
    return [{"trace": item} if isinstance(item, str) else item for item in listed]


def _users(value: Any) -> Any:
    if value is True or (isinstance(value, int) and value >= 1):
        return value
    raise ValueError("users are drawn as often as there are users (true), or so many times, 1 or more")


def _types(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: item if isinstance(item, Mapping) else {"runtime": _number(item)} for key, item in value.items()}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MergedTrace(_Keys):
    """A trace whose jobs come along."""

    trace: str = Field(description="Path of the trace, relative to the scenario file.")
    format: str | None = Field(default=None, description="Its format; recognised when left out.")
    gpu_rule: str | None = Field(default=None, description="GPUs where it counts processors: processor:K or node:K:P.")
    zone: str | None = Field(default=None, description="IANA time zone of times that state none.")
    sha256: str | None = Field(default=None, description="SHA-256 the file must have.", pattern="^[0-9a-f]{64}$")


class TypeKeys(_Keys):
    """What becomes of the jobs that ask for a GPU type."""

    runtime: float = Field(default=1.0, gt=0, description="Run times and time limits are multiplied by it.")
    to: str | None = Field(default=None, description="The GPU type asked for instead; 'any' for none.")


_SIZES_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "null"}]
}
_TYPES_SCHEMA: Final[dict[str, Any]] = {"additionalProperties": {"type": ["number", "object"]}}


class WhatIfKeys(_Keys):
    """The keys; each is a function of :mod:`gpuyard.reshaping`."""

    merge: Annotated[list[MergedTrace], BeforeValidator(_traces)] | None = Field(
        default=None, description="Traces whose jobs come along: paths, or tables with trace, format, gpu_rule, zone."
    )
    merge_align: str | None = Field(
        default=None,
        description=f"How the times of merged traces meet: {', '.join(ALIGNMENTS)}; the first if left out.",
    )
    thin: float | None = Field(default=None, gt=0, le=1, description="Each job stays with this probability, alone.")
    resample_users: Annotated[bool | int, BeforeValidator(_users)] | None = Field(
        default=None,
        description="Users drawn with replacement, each with all their jobs: true, or how many draws.",
        json_schema_extra={"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1}, {"type": "null"}]},
    )
    gpu_types: Annotated[dict[str, TypeKeys], BeforeValidator(_types)] | None = Field(
        default=None,
        description="By GPU type asked for ('any' for none): the factor of the run time, or a table of runtime and to.",
        json_schema_extra=_TYPES_SCHEMA,
    )
    sizes: Annotated[float | dict[int, int], BeforeValidator(_sizes)] | None = Field(
        default=None,
        description="GPUs of the jobs: a factor, or a table of size to size.",
        json_schema_extra=_SIZES_SCHEMA,
    )
    sizes_keep: str | None = Field(
        default=None,
        description=f"With another size, its run time or GPU time stays: {', '.join(KEEPS)}; the first if left out.",
    )
    scale: float | None = Field(default=None, gt=0, description="Jobs arrive this many times as fast.")
    repeat: int | None = Field(default=None, ge=1, description="The jobs come so many times in all, one after another.")
    repeat_every: Annotated[float, BeforeValidator(_seconds)] | None = Field(
        default=None,
        gt=0,
        description="Time from one repeat to the next; the span in whole days, or weeks from a week on, if left out.",
        json_schema_extra={"type": ["number", "string", "null"]},
    )
    shift: Annotated[float, BeforeValidator(_signed)] | None = Field(
        default=None,
        description="All times of all jobs so much later, or earlier: 6h, -1d.",
        json_schema_extra={"type": ["number", "string", "null"]},
    )

    @model_validator(mode="after")
    def _whole(self) -> WhatIfKeys:
        for key, of in (("merge_align", "merge"), ("sizes_keep", "sizes"), ("repeat_every", "repeat")):
            if key in self.model_fields_set and getattr(self, of) is None:
                raise ValueError(f"'{key}' says how '{of}' is done, and there is no '{of}'")
        return self


TABLES: Final[dict[str, type[BaseModel]]] = {"merge": MergedTrace, "gpu_types": TypeKeys}
"""The keys here that hold tables, and what is in each of these."""


def with_paths(section: dict[str, Any], folder: Path) -> None:
    """Take the paths of traces to be merged relative to a folder, in a section as it stands in a file."""
    listed = section.get("merge")
    if listed is None:
        return
    section["merge"] = [
        {**item, "trace": str(folder / Path(item["trace"]).expanduser())}
        if isinstance(item, dict) and isinstance(item.get("trace"), str)
        else item
        for item in _traces(listed)
    ]


def merged(workload: Workload, keys: WhatIfKeys, read: Callable[[MergedTrace], Workload]) -> Workload:
    """Return the workload with the jobs of the traces that come along."""
    if not keys.merge:
        return workload
    return reshaping.merge(workload, *(read(each) for each in keys.merge), align=keys.merge_align or ALIGNMENTS[0])


def reshaped(workload: Workload, keys: WhatIfKeys, seed: int) -> Workload:
    """Return what the keys make of the jobs, in this order, whatever the order of the keys."""
    for change in _changes(keys, seed):
        workload = change(workload)
    return workload


def _changes(keys: WhatIfKeys, seed: int) -> Iterator[Callable[[Workload], Workload]]:
    if keys.thin is not None:
        share = keys.thin
        yield lambda jobs: reshaping.thin(jobs, share, seed=seed)
    if keys.resample_users:
        users = None if keys.resample_users is True else keys.resample_users
        yield lambda jobs: reshaping.resample_users(jobs, users=users, seed=seed)
    if keys.gpu_types is not None:
        types = {name: reshaping.TypeChange(runtime=one.runtime, to=one.to) for name, one in keys.gpu_types.items()}
        yield lambda jobs: reshaping.map_gpu_types(jobs, types)
    if keys.sizes is not None:
        sizes = keys.sizes
        yield lambda jobs: reshaping.resize(jobs, sizes, keep=keys.sizes_keep or KEEPS[0])
    if keys.scale is not None:
        factor = keys.scale
        yield lambda jobs: jobs.scaled(factor)
    if keys.repeat is not None:
        times = keys.repeat
        yield lambda jobs: reshaping.repeat(jobs, times, every=keys.repeat_every)
    if keys.shift is not None:
        seconds = keys.shift
        yield lambda jobs: reshaping.shift(jobs, seconds)
