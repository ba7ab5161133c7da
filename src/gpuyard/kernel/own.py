"""A user's own score of a node, compiled apart and called by its address: nothing else is compiled for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it has no types
from numba import types
from numba.core.errors import NumbaError
from numba.core.extending import intrinsic, overload

from gpuyard.kernel.jit import compiler

__all__ = ["ARGUMENTS", "OwnScore", "address_of", "own_score"]

OwnScore = Callable[[int, int, int, int, int, int, int, int, int, int], int]
"""``(free_gpus, gpus, free_milli, free_cpu, free_memory, gpu_type, wanted_gpus, wanted_milli, wanted_cpu,
wanted_memory) -> score``, all whole numbers; the highest score wins."""

ARGUMENTS = 10

_KNOWN: dict[int, Any] = {}
"""By address: the compiled function, which must outlive its use, or the plain one where nothing is compiled."""


def address_of(function: OwnScore) -> int:
    """Return the address under which the engine calls a score; the function is compiled now.

    Raises
    ------
    TypeError
        For a function that cannot be compiled.
    """
    for address, (kept, _) in _KNOWN.items():
        if kept is function:
            return address
    if compiler.config.DISABLE_JIT:
        address, compiled = len(_KNOWN) + 1, None
    else:
        try:
            compiled = compiler.cfunc(types.int64(*(types.int64,) * ARGUMENTS))(function)
        except NumbaError as problem:
            raise TypeError(str(problem).strip().splitlines()[-1]) from problem
        address = int(compiled.address)
    _KNOWN[address] = (function, compiled)
    return address


def own_score(address: int, *numbers: int) -> int:
    """Return the score that the function at an address gives."""
    function: OwnScore = _KNOWN[int(address)][0]
    return int(function(*(int(number) for number in numbers)))


@intrinsic
def _call(context: Any, address: Any, numbers: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        whole = ir.IntType(64)
        # a numba cfunc is a plain C function of the same types
        pointer = builder.inttoptr(values[0], ir.FunctionType(whole, [whole] * ARGUMENTS).as_pointer())
        return builder.call(pointer, [builder.extract_value(values[1], place) for place in range(ARGUMENTS)])

    return types.int64(types.int64, numbers), generate


@overload(own_score)
def _own_score(address: Any, *numbers: Any) -> Any:
    whole = np.int64

    def compiled(address: Any, *numbers: Any) -> Any:
        a, b, c, d, e, f, g, h, i, j = numbers
        first = (whole(a), whole(b), whole(c), whole(d), whole(e))
        return _call(address, (*first, whole(f), whole(g), whole(h), whole(i), whole(j)))  # type: ignore[call-arg]  # the first is numba's own

    return compiled
