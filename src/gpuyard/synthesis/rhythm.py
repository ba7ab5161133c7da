"""When each kind of a plan is submitted: its profile, its bursts and its busier days."""

from __future__ import annotations

from datetime import timedelta

from gpuyard.streams import Stream
from gpuyard.synthesis.arrivals import Calendar
from gpuyard.synthesis.class_shares import ClassShare
from gpuyard.synthesis.clumping import Clumping, clumping, weather
from gpuyard.synthesis.free_days import public_holidays
from gpuyard.synthesis.kinds import Kind
from gpuyard.synthesis.planning import Plan
from gpuyard.synthesis.series import Order
from gpuyard.synthesis.spec import SynthesisSpec

__all__ = ["orders"]

HOUR = 3600.0


def orders(plan: Plan, spec: SynthesisSpec, seed: int) -> list[Order]:
    """Return what is asked of each kind of a plan.

    Raises
    ------
    ConfigError
        For figures of a class that no bursts have.
    """
    calendar = _calendar(plan, spec)
    classes = {one.name: one for one in spec.classes}
    found = []
    for supply, chosen in zip(plan.supplies, plan.chosen, strict=True):
        kind, one = supply.kind, classes[supply.kind.job_class]
        clumps = _clumping(plan, spec, one, kind)
        multipliers = None
        if clumps.swing > 1.0:  # the days of a class are busy together
            stream = Stream(seed, f"synthesis:{one.name}:{one.redraw}:days")
            multipliers = weather(stream, calendar.day, clumps.swing)
        clock = calendar.clock(
            kind.rhythm, spec.profile(kind.profile), free=spec.holiday_factor, multipliers=multipliers
        )
        found.append(Order(supply, chosen, clumps.burst, clock))
    return found


def _calendar(plan: Plan, spec: SynthesisSpec) -> Calendar:
    start = spec.origin()
    if spec.holidays is None:
        return Calendar(start, plan.span)
    last = start + timedelta(seconds=plan.span)
    return Calendar(start, plan.span, public_holidays(spec.holidays, start.date(), last.date()))


def _clumping(plan: Plan, spec: SynthesisSpec, one: ClassShare, kind: Kind) -> Clumping:
    """Return the bursts and busier days of a kind: its own, or those that give its class the asked figures."""
    if one.dispersion is None and one.interarrival_cv is None:
        return Clumping(kind.burst, kind.swing)
    pairs = zip(plan.supplies, plan.chosen, strict=True)
    submissions = sum(
        supply.submissions(chosen.jobs, plan.span) for supply, chosen in pairs if supply.kind.job_class == one.name
    )
    hourly = submissions / (plan.span / HOUR)
    return clumping(spec.profile(kind.profile).rates(), hourly, one.dispersion, one.interarrival_cv)
