"""How long requests wait at a service, and how many are turned away: the queue M/M/c/K.

Requests arrive one by one at random (Poisson, ``rate`` a second) and each takes an exponential time of mean ``1 / mu``
at one of ``servers`` equal places.  Who finds all places taken waits, first come first served, unless ``room`` others
wait already: then it is lost.  With endless room this is M/M/c, and its probability of waiting is Erlang's C formula.
Sources: Kleinrock, "Queueing Systems", volume 1 (1975), chapter 3; Gross, Shortle, Thompson and Harris, "Fundamentals
of Queueing Theory" (4th edition, 2008), chapter 2.

Write a for the load ``rate / mu``, c for the servers, r for ``a / c`` and k for the room.  In the stationary state
``p[c + j] = p[c] * r ** j``, and p[c] is Erlang's B formula of the system without its queue, so that

    1 / p[c] = 1 / B(c, a) + r + r**2 + ... + r**k.

An arrival that finds j others waiting waits for j + 1 departures, each exponential at rate ``c * mu``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Shares", "erlang_b", "erlang_c", "shares", "waits_longer"]

_SERIES = 300
"""Terms of the series for Erlang's B where the load is far above the servers."""
_EVEN = 1e-7
"""How near 1 the utilization is taken as 1, where the sums of the geometric series lose their digits."""

Floats = NDArray[np.float64]


class Shares(NamedTuple):
    """What becomes of requests: shares that sum to 1, each of the shape of the arguments."""

    on_time: Floats
    late: Floats
    lost: Floats


def erlang_b(servers: ArrayLike, load: ArrayLike) -> Floats:
    """Return the probability that all servers are taken in a system without a queue (M/M/c/c): Erlang's B formula."""
    return np.asarray(np.exp(_log_erlang_b(*_both(servers, load))), dtype=np.float64)


def erlang_c(servers: ArrayLike, load: ArrayLike) -> Floats:
    """Return the probability of waiting in a system with endless room (M/M/c): Erlang's C formula; 1 from load c on."""
    count, offered = _both(servers, load)
    blocked = erlang_b(count, offered)
    use = np.divide(offered, count, out=np.full_like(offered, np.inf), where=count > 0)
    return np.where(use < 1, blocked / np.maximum(1 - use * (1 - blocked), 1e-300), 1.0)


def waits_longer(servers: ArrayLike, load: ArrayLike, mu: float, wait: float) -> Floats:
    """Return the probability of waiting longer than ``wait`` seconds in M/M/c: ``C exp(-(c mu - rate) wait)``."""
    count, offered = _both(servers, load)
    spare = np.maximum(count - offered, 0.0) * mu
    return np.asarray(erlang_c(count, offered) * np.exp(-spare * wait), dtype=np.float64)


def shares(servers: ArrayLike, load: ArrayLike, mu: float, *, wait: float, room: ArrayLike) -> Shares:
    """Return the shares of requests that wait at most ``wait`` seconds, that wait longer, and that are lost (M/M/c/K).

    Parameters
    ----------
    servers, room
        Whole numbers of 0 or more: places to be served at, and places to wait.  Without servers all requests are lost.
    load
        ``rate / mu``; it may exceed the servers, because the room is not endless.
    """
    count, offered, places = (np.asarray(each, dtype=np.float64) for each in np.broadcast_arrays(servers, load, room))
    served = (count > 0) & (offered > 0)
    c, a, k = np.where(served, count, 1.0), np.where(served, offered, 0.5), np.where(served, places, 0.0)
    lost, late = _lost_and_late(c, a, k, c * mu * wait)
    lost = np.where(served, lost, np.where(count > 0, 0.0, 1.0))
    late = np.where(served, late, 0.0)
    return Shares(on_time=np.clip(1 - lost - late, 0.0, 1.0), late=late, lost=lost)


def _lost_and_late(c: Floats, a: Floats, k: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return both shares for c servers, load a and room k; ``x`` is how many leave, on average, within the wait.

    Late are the arrivals that find j < k waiting and see at most j departures in that time, a Poisson number of mean
    x: ``p[c] * sum(r**j * F(j; x))``.  Summed over j, with F(n; y) the Poisson distribution function of mean y, that is
    ``p[c] * (exp(x r - x) * F(k - 1; x r) - r**k * F(k - 1; x)) / (1 - r)``, and for r = 1
    ``p[c] * (k F(k - 1; x) - x F(k - 2; x))``.  All is divided by ``r**k`` where r > 1, so that nothing overflows.
    """
    r = a / c
    log_r = np.log(r)
    even, over = np.abs(r - 1) < _EVEN, r > 1
    gap = np.where(even, 1.0, 1 - r)
    scale = np.where(over, -k * log_r, 0.0)  # of everything, as a logarithm
    full = np.exp(k * log_r + scale)  # r ** k
    below = np.exp(scale - _log_erlang_b(c, a))  # of p[0] to p[c], over p[c]
    queued = np.where(even, k, (np.exp(scale) - full) * r / gap)
    total = below + queued
    with np.errstate(under="ignore"):
        few = np.exp(_log_poisson(k - 1, x))
        late = (np.exp(scale + x * (r - 1) + _log_poisson(k - 1, x * r)) - full * few) / gap / total
        if even.any():
            late = np.where(even, (k * few - x * np.exp(_log_poisson(k - 2, x))) / total, late)
    return full / total, np.clip(np.where(k > 0, late, 0.0), 0.0, 1.0)


def _both(servers: ArrayLike, load: ArrayLike) -> tuple[Floats, Floats]:
    count, offered = np.broadcast_arrays(servers, load)
    return np.asarray(count, dtype=np.float64), np.asarray(offered, dtype=np.float64)


def _log_pmf(n: Floats, mean: Floats) -> Floats:
    """Return the logarithm of the Poisson probability of n >= 0."""
    from scipy.special import gammaln, xlogy

    return np.asarray(xlogy(n, mean) - mean - gammaln(n + 1), dtype=np.float64)


def _log_poisson(n: Floats, mean: Floats) -> Floats:
    """Return the logarithm of the Poisson distribution function, minus infinity below 0."""
    known = np.maximum(n, 0.0)
    return np.where(n < 0, -np.inf, np.minimum(_log_pmf(known, mean) - _log_erlang_b(known, mean), 0.0))


def _log_erlang_b(n: Floats, mean: Floats) -> Floats:
    """Return the logarithm of ``pmf(n) / F(n)`` of a Poisson number, which is Erlang's B formula.

    Far above n, where F vanishes, by the series ``1 / B = 1 + n/a + n(n - 1)/a**2 + ...``.
    """
    from scipy.special import pdtr

    far = mean > 1.5 * n + 10
    term, inverse = np.ones_like(mean), np.ones_like(mean)
    if far.any():
        for step in range(_SERIES):
            term = np.where(far, term * np.maximum(n - step, 0.0) / np.maximum(mean, 1e-300), 0.0)
            inverse = inverse + term
            if not (term > 1e-17).any():
                break
    with np.errstate(divide="ignore"):
        near = _log_pmf(n, mean) - np.log(np.where(far, 1.0, pdtr(n, mean)))
    return np.where(far, -np.log(inverse), near)
