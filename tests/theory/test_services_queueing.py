"""The queue of a service against its formulas, against its balance equations, and against an event simulation."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque

import numpy as np
import pytest
from numpy.linalg import lstsq
from scipy.stats import poisson, t

from gpuyard.services.book import Book, Service
from gpuyard.services.kinds import ServiceKind
from gpuyard.services.queueing import erlang_b, erlang_c, shares, waits_longer


def by_balance(servers: int, load: float, room: int, moves: float) -> tuple[float, float]:
    """Return the shares lost and late by solving the balance equations of the chain"""
    states = servers + room + 1
    rates = np.zeros((states, states))
    for n in range(states - 1):
        rates[n, n + 1], rates[n + 1, n] = load, min(n + 1, servers)
    rates -= np.diag(rates.sum(axis=1))
    p = lstsq(np.vstack([rates.T, np.ones(states)]), np.append(np.zeros(states), 1.0), rcond=None)[0]
    late = sum(p[servers + ahead] * poisson.cdf(ahead, moves) for ahead in range(room))
    return float(p[-1]), float(late)


@pytest.mark.parametrize(
    ("servers", "load", "room", "wait"),
    [(1, 0.5, 5, 0.7), (3, 2.9, 20, 5.0), (4, 4.0, 10, 2.0), (10, 12.0, 30, 2.0), (4, 40.0, 10, 2.0), (5, 4.9, 0, 1.0)],
)
def test_shares_solve_the_balance_equations_below_at_and_above_full_use(servers, load, room, wait):
    lost, late = by_balance(servers, load, room, servers * wait)
    found = shares(servers, load, 1.0, wait=wait, room=room)
    assert float(found.lost) == pytest.approx(lost, abs=1e-9)
    assert float(found.late) == pytest.approx(late, abs=1e-9)
    assert float(found.on_time + found.late + found.lost) == pytest.approx(1.0, abs=1e-12)


def test_one_server_waits_as_the_formula_of_m_m_1_says():
    # Kleinrock 1975: P(wait > t) = rho exp(-mu (1 - rho) t)
    assert float(waits_longer(1, 0.8, 2.0, 1.5)) == pytest.approx(0.8 * math.exp(-2.0 * 0.2 * 1.5), rel=1e-12)


def test_erlangs_formulas_of_two_servers():
    # a = 1, c = 2: B = (1/2) / (1 + 1 + 1/2) = 1/5; C = 2 B / (2 - 1 (1 - B)) = 1/3
    assert float(erlang_b(2, 1.0)) == pytest.approx(1 / 5, rel=1e-12)
    assert float(erlang_c(2, 1.0)) == pytest.approx(1 / 3, rel=1e-12)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (8, 7.0), (100, 93.0)])
def test_with_much_room_the_queue_is_m_m_c(servers, load):
    found = shares(servers, load, 0.5, wait=3.0, room=100_000)
    assert float(found.lost) == pytest.approx(0.0, abs=1e-12)
    assert float(found.late) == pytest.approx(float(waits_longer(servers, load, 0.5, 3.0)), rel=1e-9)


def test_an_overloaded_service_loses_what_exceeds_its_capacity():
    assert float(shares(2_000, 4_000.0, 0.1, wait=1.0, room=10_000).lost) == pytest.approx(0.5, abs=1e-9)


def test_nobody_ready_loses_all_and_nobody_asking_loses_nothing():
    found = shares([0, 3], [2.0, 0.0], 1.0, wait=1.0, room=[0, 5])
    assert found.lost.tolist() == [1.0, 0.0]
    assert found.on_time.tolist() == [0.0, 1.0]


def simulate(servers: int, load: float, room: int, wait: float, requests: int, seed: int) -> tuple[float, float]:
    """Return the shares lost and late of exponential requests, followed one by one; the first tenth is left out."""
    draw, now, lost, late, counted = random.Random(seed), 0.0, 0, 0, 0  # not for secrets
    free = [0.0] * servers  # when each server is free next
    begins: list[float] = []  # of those that wait
    for number in range(requests):
        now += draw.expovariate(load)
        while begins and begins[0] <= now:
            heapq.heappop(begins)
        start = max(now, free[0])
        is_lost = start > now and len(begins) >= room
        if not is_lost:
            heapq.heapreplace(free, start + draw.expovariate(1.0))
            if start > now:
                heapq.heappush(begins, start)
        if number >= requests // 10:
            counted += 1
            lost += is_lost
            late += not is_lost and start - now > wait
    return lost / counted, late / counted


@pytest.mark.parametrize(
    ("servers", "load", "room", "wait"), [(1, 0.7, 10**9, 1.0), (6, 5.0, 10**9, 0.5), (4, 4.4, 12, 1.0)]
)
def test_an_event_simulation_agrees_within_its_confidence_band(servers, load, room, wait):
    runs = np.array([simulate(servers, load, room, wait, 20_000, seed) for seed in range(16)])
    half = t.ppf(0.9995, len(runs) - 1) * runs.std(axis=0, ddof=1) / math.sqrt(len(runs))
    model = shares(servers, load, 1.0, wait=wait, room=min(room, 10**6))
    assert abs(runs[:, 0].mean() - float(model.lost)) <= half[0] + 1e-12
    assert abs(runs[:, 1].mean() - float(model.late)) <= half[1]
    assert half[1] < 0.05
    if room == 10**9:
        assert abs(runs[:, 1].mean() - float(waits_longer(servers, load, 1.0, wait))) <= half[1]


def follow(
    demand: list[float], replicas: list[int], *, interval: float, mu: float, wait: float, queue_time: float, seed: int
) -> tuple[int, int, int]:
    """Return (on time, late, lost) of requests that are followed one by one while demand and replicas change.

    What a replica works on when it goes away, another takes up as soon as it has a place.
    """
    draw, now, waiting, busy, moved = random.Random(seed), 0.0, deque[float](), 0, 0  # not for secrets
    on_time = late = lost = 0
    for step, (asked, servers) in enumerate(zip(demand, replicas, strict=True)):
        end, room = (step + 1) * interval, math.floor(queue_time * servers * mu)
        moved, busy = moved + max(busy - servers, 0), min(busy, servers)
        while True:
            while busy < servers and moved:
                busy, moved = busy + 1, moved - 1
            while busy < servers and waiting:
                is_late = now - waiting.popleft() > wait
                on_time, late, busy = on_time + (not is_late), late + is_late, busy + 1
            rate = (asked + busy) * mu
            now += draw.expovariate(rate)
            if now >= end:
                now = end
                break
            if draw.random() * rate >= asked * mu:
                busy -= 1
            elif busy >= servers and len(waiting) + moved >= room:
                lost += 1
            else:
                waiting.append(now)
    return on_time, late, lost


@pytest.mark.parametrize(
    ("target", "spare", "slo_wait", "missed", "within"), [(0.9, 0, 10.0, 0.34, 0.03), (0.6, 1, 30.0, 0.0011, 0.0005)]
)
def test_over_a_day_of_changing_demand_the_stationary_model_is_near_the_requests_followed_one_by_one(
    target, spare, slo_wait, missed, within
):
    # images of 28.7 s, control intervals of 300 s: the queue has ten service times to settle in
    kind = ServiceKind(name="image", service_time=28.7, slo_wait=slo_wait, queue_time=60.0, peak=2.5, target=target)
    service = Service(name="image-01", kind="image", mean=12.0, least=1, most=60, spare=spare, crowds=(30_000.0,))
    book = Book(span=86_400.0, midnight=0.0, weekday=0, kinds={"image": kind}, services=(service,), recordings={})
    edges = book.edges(300.0)
    demand, replicas = book.demand(edges)[0], book.wanted(edges)[0]
    room = np.floor(kind.queue_time * replicas / kind.service_time)
    model = shares(replicas, demand, 1 / kind.service_time, wait=kind.slo_wait, room=room)
    expected = [float(demand @ part / demand.sum()) for part in model]
    times = {"interval": 300.0, "mu": 1 / kind.service_time, "wait": kind.slo_wait, "queue_time": kind.queue_time}
    runs = np.array([follow(demand.tolist(), replicas.tolist(), **times, seed=seed) for seed in range(6)])
    found = (runs / runs.sum(axis=1, keepdims=True)).mean(axis=0)
    assert expected[1] + expected[2] == pytest.approx(missed, rel=0.1)
    assert found == pytest.approx(expected, abs=within)
