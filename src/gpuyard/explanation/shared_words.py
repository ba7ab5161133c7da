"""What holds a job back where tenants share the cluster, and by which right GPUs are taken, in words."""

from __future__ import annotations

from collections.abc import Sequence

from gpuyard.explanation.story import Held, Right, Stretch, Took
from gpuyard.units import counted

__all__ = ["held_words", "right_words", "standing_words", "took_words"]


def held_words(held: Held, needed: str) -> str:
    """Return which quota or limit held a job back, by numbers; ``needed``: the GPUs it asked for."""
    if held.by == "limit":
        return _limit(held, needed)
    of_type = f" {held.what}" if held.what else ""
    used, nominal = _span(held.used), _number(held.nominal or 0.0)
    if not held.tenant:
        return (
            f"quota of all tenants together: they used {used} of their {nominal}{of_type} GPUs; the job needs {needed}"
        )
    borrow = _number((held.most or 0.0) - (held.nominal or 0.0))
    return (
        f"quota of tenant {held.tenant}: it used {used} of its {nominal}{of_type} GPUs and may borrow {borrow}; "
        f"the job needs {needed}"
    )


def _limit(held: Held, needed: str) -> str:
    group = ", ".join(f"{column} {value or '(none)'}" for column, value in held.group.items())
    about = f"jobs with {group}" if group else "all jobs"
    most = _number(held.most or 0.0)
    if held.what == "jobs":
        return f"limit: of {about}, at most {most} may run, and {_span(held.used)} did"
    return f"limit: {about} may hold at most {most} GPUs, and held {_span(held.used)}; the job needs {needed}"


def standing_words(stretch: Stretch) -> str:
    """Return whether GPUs might be taken back for the job, and the shares of tenants where these decide."""
    taking = "" if stretch.may_take is None else f" {_taking(stretch)}"
    if stretch.lent and stretch.reason not in ("quota", "limit"):
        taking = f" Its tenant would still be within its quota; {_above(stretch)}, and this policy takes nothing back."
    if stretch.share is None:
        return taking
    low, high = (f"{each:.3g}" for each in stretch.share)
    own = low if low == high else f"{low} to {high}"
    others = ", ".join(f"{path or 'nobody'} {share:.3g}" for path, share in stretch.shares.items())
    return f"{taking} The share of its tenant was {own}" + (f"; of others: {others}." if others else ".")


def _taking(stretch: Stretch) -> str:
    """Return whether GPUs might be taken back for the job, or why not."""
    rival = stretch.rival
    if stretch.may_take:
        return "What other tenants had borrowed was not enough for it."
    if rival is None:
        return "Nothing is taken back for it: its tenant would hold more than its own quota with it."
    its, own = (f"{each:.3g}" for each in (rival.share, rival.own_share))
    return (
        f"Nothing is taken back for it: with it {_name(rival.own_path)} would have the share {own}, and "
        f"{_name(rival.path)}, which borrows, has {its}."
    )


def _above(stretch: Stretch) -> str:
    used = ", ".join(f"{_name(path)} used {counted(number, 'GPU')}" for path, number in stretch.lent.items())
    return f"{used} above {'its' if len(stretch.lent) == 1 else 'their'} own"


def right_words(right: Right) -> str:
    """Return by which right a job of another tenant took GPUs."""
    if right.shares is not None:
        its, takers = (f"{each:.3g}" for each in right.shares)
        if right.compared != (right.tenant, right.taker):
            one, other = (_name(each) for each in right.compared)
            return f"{one}, which its tenant is of, had the share {its}, and {other} with that job {takers}"
        return f"its tenant {right.tenant} had the share {its}, and {_name(right.taker)} with that job {takers}"
    if right.rule == "borrow":
        return (
            f"{_name(right.taker)} took what was less urgent, and used {_number(right.used)} GPUs with that job, "
            f"where {_number(right.nominal)} are its quota; its own tenant {_name(right.tenant)} used "
            f"{_number(right.above)} above its quota"
        )
    return (
        f"{_name(right.taker)} took back its quota, of which it used {_number(right.used)} of {_number(right.nominal)} "
        f"GPUs with that job; its own tenant {_name(right.tenant)} used {_number(right.above)} above its quota"
    )


def took_words(took: Sequence[Took]) -> list[str]:
    """Return whose GPUs a job took back, tenant by tenant in the order in which they made room."""
    said = []
    for tenant in dict.fromkeys(each.right.tenant for each in took):
        of_it = [each for each in took if each.right.tenant == tenant]
        jobs = ", ".join(each.job_id for each in of_it[:5]) + (f" and {len(of_it) - 5} more" if len(of_it) > 5 else "")
        above = of_it[0].right.above
        what = f"which used {counted(above, 'GPU')} above its quota" if above else "by its larger share"
        said.append(f"  Of tenant {_name(tenant)}, {what}: {jobs}.")
    return said


def _name(path: str) -> str:
    return path or "(nobody)"


def _span(values: tuple[float, float]) -> str:
    low, high = (_number(each) for each in values)
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
