"""Work beside other work: what it returns, what it raises, and that nothing is left at work."""

from __future__ import annotations

import threading

import pytest

from gpuyard.beside import beside, together


def test_work_beside_other_work_returns_what_it_returned():
    begun = threading.Event()
    answer = beside(lambda: begun.wait(10) and 42)
    begun.set()  # would wait for ever if it were not beside
    assert answer() == 42
    assert answer() == 42


def test_a_problem_of_work_beside_is_raised_where_it_is_asked_for():
    answer = beside(lambda: int("none"))
    with pytest.raises(ValueError, match="none"):
        answer()


def test_results_come_in_the_order_of_the_work_whoever_ends_first():
    second = threading.Event()

    def first_to_begin() -> str:
        assert second.wait(10)
        return "first"

    def first_to_end() -> str:
        second.set()
        return "second"

    assert together(first_to_begin, first_to_end) == ["first", "second"]


def test_all_work_is_done_before_a_problem_is_raised():
    done: list[int] = []
    failed = threading.Event()

    def fails() -> None:
        failed.set()
        raise OSError("no room")

    def ends_later() -> None:
        assert failed.wait(10)
        done.append(1)

    with pytest.raises(OSError, match="no room"):
        together(fails, ends_later)
    assert done == [1]
