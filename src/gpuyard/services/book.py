"""The services of a workload as they travel with it: all that their demand follows from, in the table's metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.services.autoscaling import Scales, lives, wanted
from gpuyard.services.demand import Recording
from gpuyard.services.kinds import ServiceKind

__all__ = ["Book", "Service", "jobs_of"]


MOST_INTERVALS = 150_000
"""Control intervals of a workload; where there were more (a year and a half of 5 minutes), they are made longer."""

Floats = NDArray[np.float64]


def jobs_of(wanted: NDArray[np.int64], edges: Floats) -> tuple[Floats, Floats]:
    """Return submit and run times of the replicas that a service wants in each interval, s, whole milliseconds."""
    _, first, last = lives(wanted)
    submit = np.round(edges[first], 3)
    return submit, np.round(edges[last] - submit, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One service.  Its replicas are the jobs of its class whose ``job_name`` is its name.

    Parameters
    ----------
    kind
        The name of its kind.
    mean
        Its mean demand, in replicas at full use.
    most
        Most replicas, spare ones left out.
    least, spare
        Fewest replicas, and those on top.
    crowds
        When its flash crowds begin, s since the origin.
    start, stop
        Control intervals that begin before ``start`` (s since the origin), or at ``stop`` or later, have no demand and
        no replica.
    continued
        Whether it was there before ``start``, under another name: its replicas of that instant are ready at once, and
        its autoscaler has seen the demand.
    job_class
        The class of its replicas.
    """

    name: str
    kind: str
    mean: float
    least: int
    most: int
    spare: int
    crowds: tuple[float, ...] = ()
    start: float = 0.0
    stop: float | None = None
    continued: bool = False
    job_class: str = "realtime"


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """All services of a workload, and the calendar of their demand.

    Parameters
    ----------
    span
        Seconds from the origin on for which there is demand.
    midnight, weekday
        Second, 0 or before, at which the day of second 0 begins, and which day it is (0 Monday).
    recordings
        The recorded requests of the kinds that replay some.
    replayed
        Seconds of the recordings that were replayed before second 0.
    whole
        Seconds of the longer workload that this is a part of: its control intervals are as long as that one's.
    holidays
        Public holidays, as numbers of days, 0 for that of second 0.
    """

    span: float
    midnight: float
    weekday: int
    kinds: Mapping[str, ServiceKind]
    services: tuple[Service, ...]
    recordings: Mapping[str, Recording]
    holidays: tuple[int, ...] = ()
    replayed: float = 0.0
    whole: float = 0.0

    def __post_init__(self) -> None:
        """Raise ConfigError for a window without an end, and for a service of a kind that is not there."""
        if not 0 < self.span < math.inf:
            raise ConfigError(f"the services of a workload need a window of a positive length, got {self.span}")
        for each in self.services:
            if each.kind not in self.kinds:
                raise unknown_name(f"kind of service '{each.name}'", each.kind, self.kinds)

    def intervals(self) -> list[float]:
        """Return the control intervals that occur, s, ascending."""
        return sorted({self.kinds[each.kind].interval for each in self.services})

    def of_interval(self, interval: float) -> Book:
        """Return the services of one control interval."""
        return replace(
            self, services=tuple(each for each in self.services if self.kinds[each.kind].interval == interval)
        )

    def joined(self, other: Book) -> Book:
        """Return the services of both books, which are of one window; no kind is in both."""
        return replace(
            self,
            kinds={**self.kinds, **other.kinds},
            services=(*self.services, *other.services),
            recordings={**self.recordings, **other.recordings},
        )

    def width(self, interval: float) -> float:
        """Return the seconds that a control interval really has: a multiple where there would be too many."""
        return interval * max(1, math.ceil(max(self.span, self.whole) / interval / MOST_INTERVALS))

    def edges(self, interval: float) -> Floats:
        """Return the beginnings of the control intervals and the end of the last, s."""
        width = self.width(interval)
        inner = np.arange(max(1, math.ceil(self.span / width - 1e-9))) * width
        return np.append(inner, self.span)

    def shapes(self, edges: Floats) -> list[Floats]:
        """Return each service's demand over its mean in each control interval: that of the interval's middle."""
        middle = (edges[:-1] + edges[1:]) / 2
        base = {name: self._base(self.kinds[name], middle) for name in {each.kind for each in self.services}}
        return [
            base[each.kind] * self.kinds[each.kind].crowds().times(middle, list(each.crowds)) for each in self.services
        ]

    def _base(self, kind: ServiceKind, middle: Floats) -> Floats:
        """Return the demand of a kind over its mean, without flash crowds."""
        recording = self.recordings.get(kind.name)
        if recording is not None:
            return recording.at(middle + self.replayed)
        return kind.day().at(middle, self.midnight, self.weekday, self.holidays)

    def demand(self, edges: Floats, shapes: list[Floats] | None = None) -> Floats:
        """Return each service's demand in replicas at full use, shape (services, intervals); shapes if known before."""
        if not self.services:
            return np.empty((0, edges.size - 1))
        rows = [each.mean * shape for each, shape in zip(self.services, shapes or self.shapes(edges), strict=True)]
        return np.stack(rows) * self._is_there(edges)

    def _is_there(self, edges: Floats) -> NDArray[np.bool_]:
        """Return whether each service is there in each control interval, shape (services, intervals)."""
        start = np.array([each.start for each in self.services])[:, np.newaxis]
        stop = np.array([math.inf if each.stop is None else each.stop for each in self.services])[:, np.newaxis]
        return np.asarray((edges[:-1] >= start) & (edges[:-1] < stop), dtype=np.bool_)

    def scales(self) -> Scales:
        """Return the rule of each service."""
        kinds = [self.kinds[each.kind] for each in self.services]
        return Scales(
            target=np.array([kind.target for kind in kinds]),
            tolerance=np.array([kind.tolerance for kind in kinds]),
            intervals=np.array([max(1, round(kind.cooldown / self.width(kind.interval))) for kind in kinds], np.int64),
            least=np.array([each.least for each in self.services], dtype=np.int64),
            most=np.array([each.most for each in self.services], dtype=np.int64),
            spare=np.array([each.spare for each in self.services], dtype=np.int64),
        )

    def wanted(self, edges: Floats, shapes: list[Floats] | None = None) -> NDArray[np.int64]:
        """Return the replicas that each service's autoscaler asks for, shape (services, intervals)."""
        seen, there = self.demand(edges, shapes), self._is_there(edges)
        for row, each in enumerate(self.services):
            if each.continued:
                first = int(np.argmax(there[row]))
                seen[row, :first] = seen[row, first]
        return wanted(seen, self.scales()) * there

    def begin(self, service: Service, edges: Floats) -> float:
        """Return the beginning of the first control interval in which a service is there, s, or the end of the last."""
        return float(edges[np.searchsorted(edges[:-1], service.start)])

    def dumps(self) -> bytes:
        """Return the JSON that :meth:`loads` reads back."""
        return json.dumps(
            {
                "span": self.span,
                "midnight": self.midnight,
                "weekday": self.weekday,
                "holidays": self.holidays,
                **({"replayed": self.replayed} if self.replayed else {}),
                "kinds": {name: kind.to_mapping() for name, kind in self.kinds.items()},
                "services": [asdict(each) for each in self.services],
                "recordings": {
                    name: {"step": each.step, "shape": list(each.shape)} for name, each in self.recordings.items()
                },
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def loads(cls, text: bytes) -> Book:
        """Return what :meth:`dumps` wrote.

        Raises
        ------
        InputError
            For a text that it did not write.
        """
        try:
            return cls._read(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, ConfigError) as problem:
            raise InputError(
                f"the services in the metadata of the job table cannot be read: {problem}",
                remedy="make the workload anew, or drop its metadata key gpuyard.services",
            ) from None

    @classmethod
    def _read(cls, values: dict[str, Any]) -> Book:
        return cls(
            span=values["span"],
            midnight=values["midnight"],
            weekday=values["weekday"],
            holidays=tuple(values["holidays"]),
            replayed=values.get("replayed", 0.0),
            kinds={name: ServiceKind(name=name).changed(table) for name, table in values["kinds"].items()},
            services=tuple(Service(**{**each, "crowds": tuple(each["crowds"])}) for each in values["services"]),
            recordings={
                name: Recording(step=each["step"], shape=tuple(each["shape"]))
                for name, each in values["recordings"].items()
            },
        )
