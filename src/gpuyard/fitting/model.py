"""The fitted model: arrivals and classes of jobs as tables that people can read, edit and save."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gpuyard.errors import ConfigError, InputError
from gpuyard.traces.schema import STATES

__all__ = [
    "UNKNOWN_STATE",
    "Arrivals",
    "ClassModel",
    "Curve",
    "Ending",
    "FittedModel",
    "Owner",
    "RuntimeOfSize",
    "amount_of",
]

UNKNOWN_STATE: Final = "not recorded"
"""What stands for the end state of jobs that have none."""
_SUM: Final = 1e-3
"""How far shares may miss 1 in a file that people edit; they are made to sum to 1."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Curve(_Table):
    """A quantity by its quantiles: ``value[i]`` is not exceeded with probability ``share[i]``.

    Between two knots the curve is straight in the logarithm, or in the value where the lower is 0.
    """

    share: list[float] = Field(description="Probabilities from 0 to 1 that never fall.", min_length=2)
    value: list[float] = Field(description="Values of 0 or more that never fall.", min_length=2)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.share) != len(self.value) or self.share[0] != 0 or self.share[-1] != 1 or self.value[0] < 0:
            raise ValueError("a curve has as many values (0 or more) as shares, and these go from 0 to 1")
        for name, each in (("share", self.share), ("value", self.value)):
            if any(after < before for before, after in pairwise(each)):
                raise ValueError(f"the {name} of a curve never falls, got {each}")
        return self

    def quantile(self, chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the value that is not exceeded with the given probability, same shape."""
        share, value = np.asarray(self.share), np.asarray(self.value)
        knot = np.clip(np.searchsorted(share, chance, side="right") - 1, 0, share.size - 2)
        width = share[knot + 1] - share[knot]
        part = np.clip(np.divide(chance - share[knot], width, out=np.zeros(knot.shape), where=width > 0), 0, 1)
        low, high = value[knot], value[knot + 1]
        ratio = np.divide(high, low, out=np.ones(knot.shape), where=low > 0)
        return np.asarray(np.where(low > 0, low * ratio**part, part * high), dtype=np.float64)


class Arrivals(_Table):
    """When jobs come."""

    jobs_per_day: float = Field(gt=0, description="Mean rate over a whole week of the profile.")
    hourly: list[float] = Field(min_length=24, max_length=24, description="Relative rate by hour of the day, from 0.")
    weekly: list[float] = Field(min_length=7, max_length=7, description="Relative rate by day, from Monday.")
    gaps: Curve = Field(description="Time between submissions over its mean, the profile taken out.")
    persistence: list[tuple[float, float]] = Field(
        description="How long short and long gaps keep together: (jobs, weight); weights sum to 1 at most."
    )
    resolution_s: float = Field(default=0.001, gt=0, description="Submissions are whole multiples of it.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for name, each in (("hourly", self.hourly), ("weekly", self.weekly)):
            if min(each) < 0 or not sum(each) > 0:
                raise ValueError(f"the numbers of {name} are 0 or more, and one is above 0")
        if any(jobs <= 0 or weight < 0 for jobs, weight in self.persistence):
            raise ValueError("each persistence is a number of jobs above 0 and a weight of 0 or more")
        if sum(weight for _, weight in self.persistence) > 1 + _SUM:
            raise ValueError("the weights of persistence sum to 1 at most")
        if not self.gaps.value[-1] > 0:
            raise ValueError("at least one gap must be above 0")
        return self


class RuntimeOfSize(_Table):
    """How long jobs of some sizes run."""

    up_to_gpus: float = Field(description="Of jobs of at most so many GPUs, and of more than the row before.")
    seconds: Curve


class Ending(_Table):
    """How jobs of some run times end, and the limits they were given."""

    up_to_s: float | None = Field(default=None, description="Of jobs that run at most so long; the last row has none.")
    states: dict[str, float] = Field(description="Share of each end state.")
    limited: float = Field(default=0.0, ge=0, le=1, description="Share of jobs that have a time limit.")
    limits_s: list[float] = Field(
        default=[], description="Limits with equal chance, each a quantile of those recorded."
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        strange = sorted(set(self.states) - {*STATES, UNKNOWN_STATE})
        if strange:
            raise ValueError(f"nobody knows the state '{strange[0]}'; choose of {', '.join((*STATES, UNKNOWN_STATE))}")
        _check_shares("states", self.states)
        if self.limited and not self.limits_s:
            raise ValueError("jobs that have limits need limits_s")
        return self


class Owner(_Table):
    """A tenant and its users."""

    name: str | None = Field(default=None, description="The tenant; none where the workload names none.")
    share: float = Field(ge=0, description="Share of the jobs of the class.")
    users: int = Field(default=0, ge=0, description="How many users; 0 where none are named.")
    top: list[tuple[int, float]] = Field(
        default=[], description="Share of the jobs that the first so many users have together: (users, share)."
    )

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        if self.users and (not self.top or self.top[-1][0] != self.users or abs(self.top[-1][1] - 1) > _SUM):
            raise ValueError(f"top must end with all {self.users} users, who have the share 1")
        if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(self.top)):
            raise ValueError("top has more users and no smaller share in each row than in the one before")
        return self


class ClassModel(_Table):
    """One class of jobs, or the jobs of a class of one large tenant."""

    name: str | None = Field(default=None, description="The job class; none where the workload names none.")
    share: float = Field(ge=0, description="Share of all jobs.")
    sizes: dict[str, float] = Field(description="Share of each number of GPUs; 0.25 is a quarter of one.")
    runtimes: list[RuntimeOfSize] = Field(min_length=1)
    endings: list[Ending] = Field(min_length=1)
    owners: list[Owner] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _check_shares("sizes", self.sizes)
        _check_shares("owners", {str(place): each.share for place, each in enumerate(self.owners)})
        for size in self.sizes:
            amount_of(size)
        if max(amount_of(size) for size in self.sizes) > 1000 * self.runtimes[-1].up_to_gpus:
            raise ValueError(
                f"no run times for more than {self.runtimes[-1].up_to_gpus:g} GPUs, and sizes has larger ones"
            )
        bounds = [each.up_to_gpus for each in self.runtimes]
        if any(before >= after for before, after in pairwise(bounds)):
            raise ValueError(f"up_to_gpus rises from row to row, got {bounds}")
        ends = [math.inf if each.up_to_s is None else each.up_to_s for each in self.endings]
        if ends[-1] != math.inf or any(before >= after for before, after in pairwise(ends)):
            raise ValueError("up_to_s rises from row to row, and the last row has none")
        return self


def amount_of(size: str) -> int:
    """Return a size, ``8`` or ``0.25``, in thousandths of a GPU; raise ValueError for what is none."""
    try:
        amount = round(float(size) * 1000)
    except (ValueError, OverflowError):
        amount = -1
    if not 0 <= amount < 1000 * 2**31 or (amount > 1000 and amount % 1000):
        raise ValueError(f"'{size}' is no number of GPUs; write 8, or 0.25 for a share of one")
    return amount


def _check_shares(what: str, shares: Mapping[str, float]) -> None:
    total = sum(shares.values())
    if not shares or min(shares.values()) < 0 or abs(total - 1) > _SUM:
        raise ValueError(f"the shares of {what} are 0 or more and sum to 1, they sum to {total:g}")


class FittedModel(_Table):
    """What a look-alike is made from."""

    fitted_to: str = Field(default="", description="The workload it was fitted to.")
    jobs: int = Field(default=0, ge=0, description="How many jobs that had.")
    start: str = Field(default="", description="Its second 0, ISO 8601; empty where it states none.")
    days: float = Field(gt=0, description="How long it was; a look-alike is as long unless told otherwise.")
    arrivals: Arrivals
    classes: list[ClassModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _check_shares("classes", {str(place): each.share for place, each in enumerate(self.classes)})
        return self

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any], *, origin: str = "model") -> FittedModel:
        """Return the model of plain tables, as its file holds them.

        Raises
        ------
        ConfigError
            For a key nobody knows or a value that cannot be used, with its place in the file.
        """
        try:
            return cls.model_validate(table)
        except ValidationError as problem:
            first = problem.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            reason = str(first["msg"]).removeprefix("Value error, ")
            if first["type"] == "missing":
                reason += "; write it as the page on fitting shows it, or fit again with --save-model"
            elif first["type"] != "value_error":
                reason += (
                    f" (got {str(first['input'])[:60]!r})"
                    if isinstance(first["input"], str)
                    else f" (got {str(first['input'])[:60]})"
                )
            raise ConfigError(f"{origin}: {place or 'the model'}: {reason[:1].lower()}{reason[1:]}") from None

    @classmethod
    def load(cls, path: str | Path) -> FittedModel:
        """Return the model of a TOML file.

        Raises
        ------
        InputError
            For a file that is missing or not TOML.
        ConfigError
            For a file that is no model.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
            return cls.from_mapping(tomllib.loads(text), origin=str(path))
        except OSError as problem:
            raise InputError(
                f"the file cannot be read: {problem.strerror}", path=path, remedy="check the path"
            ) from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise InputError(f"this is not TOML: {problem}", path=path, remedy="name a fitted model") from None

    def to_mapping(self) -> dict[str, Any]:
        """Return the plain tables that :meth:`from_mapping` reads; None is left out."""
        return self.model_dump(exclude_none=True)

    def save(self, path: str | Path) -> Path:
        """Write the model as TOML, whole or not at all; return the path."""
        import tomli_w

        target = Path(path)
        partial = target.with_name(f".{target.name}.partial")
        try:
            text = tomli_w.dumps(_listed(self.to_mapping()))
            partial.write_text(_ROW.sub(_in_a_row, _ROW.sub(_in_a_row, text)), encoding="utf-8")
            return partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


_ROW: Final = re.compile(r"\[\n([^\[\]\"]*|(?:\s*\[[^\[\]\"\n]*\],)*)\s*\]")
"""A list of numbers, or of lists of numbers that stand in a row, over several lines."""


def _in_a_row(found: re.Match[str]) -> str:
    return "[" + " ".join(found[1].split()).removesuffix(",") + "]"


def _listed(value: Any) -> Any:
    """Return the value with lists for tuples."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
