"""The structures that keep an event cheap, each against the obvious way: sorted lists and sets."""

import heapq
import random

import numpy as np
import pytest

from gpuyard.kernel import build
from gpuyard.kernel.bits import draw, highest, ones, trailing_zeros
from gpuyard.kernel.codes import NEVER, NOBODY, Count
from gpuyard.kernel.heap import pop, push
from gpuyard.kernel.index import (
    count_at,
    first_item,
    insert,
    item_at,
    key_above,
    key_last,
    loosest_key,
    lowest_item,
    members,
    next_item,
    remove,
    tightest_key,
)
from gpuyard.kernel.queue import first_job, gather, join, leave
from gpuyard.kernel.tables import DEMAND, Heap

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_heap_gives_the_earliest_time_then_the_lowest_row(seed: int) -> None:
    dice = random.Random(seed)
    heap = Heap(time=np.empty(64, np.int64), row=np.empty(64, np.int32))
    plain: list[tuple[int, int]] = []
    for row in dice.sample(range(400), 400):  # a tie may go to the newcomer
        if plain and (len(plain) == 63 or dice.random() < 0.5):
            assert (int(heap.time[0]), int(heap.row[0])) == plain[0]
            pop(heap, len(plain))
            heapq.heappop(plain)
        else:
            time = dice.randrange(20)
            push(heap, len(plain), time, row)
            heapq.heappush(plain, (time, row))


@pytest.mark.parametrize("items", [1, 63, 64, 65, 4096, 5000])
def test_an_index_answers_as_sets_would(items: int) -> None:
    dice = random.Random(items)
    kinds, n_keys = 3, 70
    kind = np.array([dice.randrange(kinds) for _ in range(items)], np.int32)
    key = np.array([dice.randrange(n_keys) for _ in range(items)], np.int32)
    index = build.build_index(kinds, n_keys, kind, key, 0)
    for _ in range(200):
        item = dice.randrange(items)
        remove(index, int(kind[item]), int(key[item]), item)
        key[item] = dice.choice([0, 1, 5, 63, 64, 69, dice.randrange(n_keys)])
        insert(index, int(kind[item]), int(key[item]), item)
        check_index(index, kind, key, dice)


def check_index(index, kind, key, dice) -> None:
    each, least, start = dice.randrange(3), dice.randrange(70), dice.randrange(kind.size + 1)
    kinds = dice.randrange(1, 8)
    allowed = [n for n in range(kind.size) if kinds >> int(kind[n]) & 1]
    alone = sorted((int(key[n]), n) for n in range(kind.size) if kind[n] == each)
    assert key_above(index, each, least) == min((k for k, _ in alone if k >= least), default=NOBODY)
    assert key_last(index, each) == max((k for k, _ in alone), default=NOBODY)
    if alone:
        assert first_item(index, each, alone[0][0]) == alone[0][1]
        wanted = alone[dice.randrange(len(alone))][0]
        later = [n for k, n in alone if k == wanted and n >= start]
        assert next_item(index, each, wanted, start) == min(later, default=NOBODY)
    assert tightest_key(index, kinds, least) == min((int(key[n]) for n in allowed if key[n] >= least), default=NOBODY)
    assert loosest_key(index, kinds, least) == max((int(key[n]) for n in allowed if key[n] <= least), default=NOBODY)
    same = [n for n in allowed if key[n] == least]
    assert count_at(index, kinds, least) == len(same)
    assert lowest_item(index, kinds, least, start) == min((n for n in same if n >= start), default=NOBODY)
    assert members(index, kinds, least, NEVER) == sum(int(key[n]) >= least for n in allowed)
    if same:
        place = dice.randrange(len(same))
        assert item_at(index, kinds, least, place) == same[place]


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_queue_gives_the_lowest_rank_of_the_lanes_that_are_not_blocked(seed: int, lanes: int) -> None:
    dice = random.Random(seed)
    total = dice.choice([1, 64, 65, 5000])
    rank = list(range(total))
    dice.shuffle(rank)
    demand = np.array([dice.randrange(4) for _ in range(total)], np.int32)
    table = np.zeros(4, DEMAND)
    table["lane"] = np.arange(4) if lanes == 4 else 0
    nothing = np.zeros(total, np.int64)
    jobs = build.build_jobs(nothing, nothing, demand, np.array(rank, np.int32))
    queue, events = build.build_queue(jobs, lanes), build.build_events(1, 1)
    waiting: set[int] = set()
    blocked: set[int] = set()
    for row in dice.sample(range(total), min(total, 300)):
        join(queue, jobs, table, events, row)
        waiting.add(row)
        if lanes == 1:
            blocked = {lane for lane in blocked if rank[row] > min(rank[n] for n in waiting)}
        open_rows = [n for n in waiting if int(table[demand[n]]["lane"]) not in blocked]
        first = min(open_rows, key=lambda n: rank[n], default=NOBODY)
        gather(queue, jobs, events)
        assert first_job(queue, events) == first
        if first != NOBODY and dice.random() < 0.4:
            leave(queue, events, int(table[demand[first]]["lane"]))
            waiting.remove(first)
        elif first != NOBODY and dice.random() < 0.2:
            lane = int(table[demand[first]]["lane"])
            queue.lane[lane]["blocked"] = 1
            blocked.add(lane)
        assert events.counter[Count.WAITING] == len(waiting)


@pytest.mark.parametrize("word", [1, 2, 3, 8, 1 << 62, -(1 << 63), -1, 0x0F0F])
def test_words_count_their_ones_as_their_binary_digits_say(word: int) -> None:
    digits = f"{word & (2**64 - 1):064b}"
    assert trailing_zeros(np.int64(word)) == 63 - digits.rindex("1")
    assert highest(np.int64(word)) == 63 - digits.index("1")
    assert ones(np.int64(word)) == digits.count("1")


def test_the_draw_is_the_published_splitmix64() -> None:
    """The first outputs of SplitMix64 from seed 1234567, as its authors' C code prints them."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for chunk, number in enumerate(published):
        assert draw(1234567, 0, chunk, 2**32) == number >> 32
