"""Pairing heaps: the first of each heap is the smallest of its items, whatever is put in, taken out or moved."""

from __future__ import annotations

import numpy as np
import pytest

from gpuyard.kernel.codes import NOBODY
from gpuyard.kernel.pairing import Pairing, bring_forward, build_pairing, put, put_off, set_key, take_out

ITEMS, HEAPS, STEPS = 12, 2, 600


def keyed(heap: Pairing, one: int, share: float, first: int) -> None:
    heap.item["share"][one] = share
    set_key(heap, one, first, 0, one)


def key(heap: Pairing, one: int) -> tuple[float, int, int]:
    return float(heap.item["share"][one]), int(heap.item["first"][one]), one


@pytest.mark.parametrize("seed", range(4))
def test_the_root_is_the_smallest_of_a_heap(seed: int) -> None:
    draw = np.random.default_rng(seed)
    heap, roots = build_pairing(ITEMS), [NOBODY] * HEAPS
    inside: list[set[int]] = [set() for _ in range(HEAPS)]
    for _ in range(STEPS):
        at, one = int(draw.integers(HEAPS)), int(draw.integers(ITEMS))
        share, first = float(draw.integers(4)), int(draw.integers(3))
        if one in inside[at] and draw.random() < 0.3:
            roots[at] = take_out(heap, roots[at], one)
            inside[at].remove(one)
        elif one in inside[at]:
            before = key(heap, one)
            keyed(heap, one, share, first)
            moved = bring_forward if key(heap, one) < before else put_off
            roots[at] = moved(heap, roots[at], one)
        elif not any(one in each for each in inside):
            keyed(heap, one, share, first)
            roots[at] = put(heap, roots[at], one)
            inside[at].add(one)
        for root, items in zip(roots, inside, strict=True):
            assert root == min(items, key=lambda each: key(heap, each), default=NOBODY)


def test_those_below_one_that_is_moved_come_out_in_order() -> None:
    heap, root = build_pairing(9), NOBODY
    for one in range(9):
        keyed(heap, one, float(one), 0)
        root = put(heap, root, one)
    keyed(heap, 0, 8.5, 0)
    root = put_off(heap, root, 0)
    keyed(heap, 7, -1.0, 0)
    root = bring_forward(heap, root, 7)
    order = []
    while root != NOBODY:
        order.append(root)
        root = take_out(heap, root, root)
    assert order == [7, 1, 2, 3, 4, 5, 6, 8, 0]
