"""Machine-word operations: trailing zeros, ones, indices, and the counter-based random draw.

Each has a plain Python form, which runs with the JIT off, and a compiled form, which Numba
takes in its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it has no types
from numba import types
from numba.core.extending import intrinsic, overload

__all__ = ["ONE", "draw", "highest", "nth", "ones", "trailing_zeros"]

ONE = np.int64(1)
_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_A = 0xBF58476D1CE4E5B9
_MIX_B = 0x94D049BB133111EB


def trailing_zeros(word: int | np.int64) -> int:
    """Return the place of the lowest one of a word that is not zero."""
    plain = int(word)
    return (plain & -plain).bit_length() - 1


def highest(word: int | np.int64) -> int:
    """Return the place of the highest one of a word that is not zero."""
    return (int(word) & _MASK).bit_length() - 1


def ones(word: int | np.int64) -> int:
    """Return how many ones a word has."""
    return (int(word) & _MASK).bit_count()


def nth(number: int | np.int64 | np.int32) -> int:
    """Return a number that is not negative, as an index: compiled, it spares the look whether it counts from the end.

    Measured on the heap: a fifth of the time.
    """
    return number  # type: ignore[return-value]  # NumPy takes its own whole numbers as indices


def draw(stream: int, row: int, chunk: int, choices: int) -> int:
    """Return the random number in [0, choices) of (stream, row, chunk): SplitMix64's finaliser of a counter.

    Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    x = (int(stream) + (int(row) * 65536 + int(chunk) + 1) * _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _MIX_A) & _MASK
    x = ((x ^ (x >> 27)) * _MIX_B) & _MASK
    x ^= x >> 31
    return (x >> 32) * int(choices) >> 32


@intrinsic
def _zeros_below(context: Any, word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def _zeros_above(context: Any, word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.ctlz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def _ones_in(context: Any, word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return types.int64(types.int64), generate


@overload(trailing_zeros)
def _trailing_zeros(word: Any) -> Any:
    def compiled(word: Any) -> Any:
        return _zeros_below(np.int64(word))  # type: ignore[call-arg]  # the first argument is numba's own

    return compiled


@overload(highest)
def _highest(word: Any) -> Any:
    def compiled(word: Any) -> Any:
        return 63 - _zeros_above(np.int64(word))  # type: ignore[call-arg]  # the first argument is numba's own

    return compiled


@overload(ones)
def _ones(word: Any) -> Any:
    def compiled(word: Any) -> Any:
        return _ones_in(np.int64(word))  # type: ignore[call-arg]  # the first argument is numba's own

    return compiled


@overload(nth)
def _nth(number: Any) -> Any:
    def compiled(number: Any) -> Any:
        return np.uint64(number)

    return compiled


@overload(draw)
def _draw(stream: Any, row: Any, chunk: Any, choices: Any) -> Any:
    golden, mix_a, mix_b = np.uint64(_GOLDEN), np.uint64(_MIX_A), np.uint64(_MIX_B)

    def compiled(stream: Any, row: Any, chunk: Any, choices: Any) -> Any:
        counter = np.uint64(np.int64(row) * np.int64(65536) + np.int64(chunk) + np.int64(1))
        x = np.uint64(stream) + counter * golden
        x = (x ^ (x >> np.uint64(30))) * mix_a
        x = (x ^ (x >> np.uint64(27))) * mix_b
        x = x ^ (x >> np.uint64(31))
        return np.int64((x >> np.uint64(32)) * np.uint64(choices) >> np.uint64(32))

    return compiled
