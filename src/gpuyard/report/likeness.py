"""Two workloads side by side: what they are like in numbers, and how far they are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from gpuyard.portrait import Distance, Portrait, distances
from gpuyard.portrait.distances import QUANTITIES
from gpuyard.report.sections import Column, Grid
from gpuyard.report.wording import UNKNOWN, clean, format_change, format_value

__all__ = ["Likeness", "Line", "compare_workloads"]

_WINDOWS: Final = {60.0: "a minute", 600.0: "10 minutes", 3600.0: "an hour", 86_400.0: "a day"}
_OWNERS: Final = {
    "users": ("Users", "count"),
    "top_user_share_of_jobs": ("Jobs of the largest user", "share"),
    "top_tenth_of_users_share_of_jobs": ("Jobs of the largest tenth of users", "share"),
    "top_tenth_of_users_share_of_gpu_time": ("GPU time of the largest tenth of users", "share"),
    "tenants": ("Tenants", "count"),
    "top_tenant_share_of_jobs": ("Jobs of the largest tenant", "share"),
    "top_tenth_of_tenants_share_of_gpu_time": ("GPU time of the largest tenth of tenants", "share"),
}
_QUANTILES: Final = {"mean": "mean", "p25": "25 %", "p50": "median", "p75": "75 %", "p90": "90 %", "p99": "99 %"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One number of both workloads."""

    label: str
    form: str
    first: float | None
    second: float | None

    def cells(self) -> tuple[str, str, str, str]:
        """Return the number's name, both values and the difference, as people read them."""
        known = self.first is not None and self.second is not None
        change = self.second - self.first if self.first is not None and self.second is not None else None
        return (
            self.label,
            format_value(self.first, self.form),
            format_value(self.second, self.form),
            format_change(change, self.form) if known else UNKNOWN,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """Two workloads side by side; differences are second minus first."""

    first: Portrait
    second: Portrait
    distances: tuple[Distance, ...]

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called, fit for one line."""
        return clean(self.first.name, 40), clean(self.second.name, 40)

    def lines(self) -> list[Line]:
        """Return the numbers that at least one of the two has."""
        found = [
            self._line("Jobs", "count", lambda each: float(each.jobs)),
            self._line("First to last submission", "seconds", lambda each: each.span),
            self._line("Jobs a day", "number", Portrait.jobs_per_day),
            self._line("GPU time", "gpu_hours", lambda each: each.gpu_hours),
        ]
        for quantity, (label, form) in QUANTITIES.items():
            both = [each.quantiles(quantity) for each in (self.first, self.second)]
            found += [
                Line(label=f"{label}, {word}", form=form, first=both[0][key], second=both[1][key])
                for key, word in _QUANTILES.items()
            ]
        found.append(self._line("Time between submissions, CV", "number", Portrait.gap_cv))
        found += [
            Line(
                label=f"Dispersion of submissions in {word}",
                form="number",
                first=self.first.dispersion[window],
                second=self.second.dispersion[window],
            )
            for window, word in _WINDOWS.items()
        ]
        found += [
            Line(label=label, form=form, first=self.first.owners.get(key), second=self.second.owners.get(key))
            for key, (label, form) in _OWNERS.items()
        ]
        return [line for line in found if line.first is not None or line.second is not None]

    def _line(self, label: str, form: str, value: object) -> Line:
        assert callable(value)
        return Line(label=label, form=form, first=value(self.first), second=value(self.second))

    def sizes(self) -> list[tuple[str, float, float, float, float]]:
        """Return (GPUs, share of jobs in both, share of GPU time in both) by class of sizes, smallest first."""
        labels = {**self.first.size_jobs, **self.second.size_jobs}
        parts = [getattr(each, key) for key in ("size_jobs", "size_gpu_time") for each in (self.first, self.second)]
        rows = [(label, *(part.get(label, 0.0) for part in parts)) for label in labels]
        return sorted(rows, key=lambda row: _lowest(row[0]))

    def grids(self) -> tuple[Grid, Grid, Grid, Grid]:
        """Return the tables: numbers, distances, sizes and end states."""
        left, right = self.names
        numbers = Grid(
            caption="Numbers side by side",
            columns=_columns("Number", left, right, "Difference"),
            rows=tuple(line.cells() for line in self.lines()),
            note="Dispersion is the variance of the number of submissions over its mean: 1 where there are no bursts.",
        )
        apart = Grid(
            caption="Distances",
            columns=_columns("What", "KS", "Wasserstein", "Elsewhere"),
            rows=tuple(_distance_row(each) for each in self.distances),
            note=(
                "KS (Kolmogorov-Smirnov): the largest difference of the shares at or below a value. Wasserstein: how "
                "far values move on average from one distribution to the other. Elsewhere: the share that lies in "
                "other parts. All are 0 for a workload and itself."
            ),
        )
        sizes = Grid(
            caption="Sizes",
            columns=_columns("GPUs", f"Jobs, {left}", f"Jobs, {right}", f"GPU time, {left}", f"GPU time, {right}"),
            rows=tuple((row[0], *(format_value(share, "share") for share in row[1:])) for row in self.sizes()),
        )
        states = Grid(
            caption="End states",
            columns=_columns("State", f"Jobs, {left}", f"Jobs, {right}", f"GPU time, {left}", f"GPU time, {right}"),
            rows=tuple(_state_rows(self.first, self.second)),
        )
        return numbers, apart, sizes, states

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain values for JSON."""
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "distances": {each.quantity: _without_nones(asdict(each)) for each in self.distances},
        }


def compare_workloads(first: Portrait, second: Portrait) -> Likeness:
    """Return two workloads side by side."""
    return Likeness(first=first, second=second, distances=tuple(distances(first, second)))


def _columns(first: str, *others: str) -> tuple[Column, ...]:
    return (Column(label=first, numeric=False), *(Column(label=label) for label in others))


def _distance_row(each: Distance) -> tuple[str, str, str, str]:
    form = QUANTITIES[each.quantity][1] if each.quantity in QUANTITIES else "number"
    moved = UNKNOWN if each.wasserstein is None else format_value(each.wasserstein, form)
    ks = UNKNOWN if each.ks is None else f"{each.ks:.4f}"
    return each.label, ks, moved, format_value(each.overlap_lost, "share")


def _state_rows(first: Portrait, second: Portrait) -> list[tuple[str, ...]]:
    names = sorted({**first.state_jobs, **second.state_jobs}, key=lambda name: (name == "not recorded", name))
    parts = [first.state_jobs, second.state_jobs, first.state_gpu_time, second.state_gpu_time]
    return [(clean(name), *(format_value(part.get(name, 0.0), "share") for part in parts)) for name in names]


def _lowest(label: str) -> float:
    return 0.5 if label == "below 1" else float(label.partition("-")[0])


def _without_nones(table: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in table.items() if value is not None and key != "quantity"}
