"""Call a plain Python function from the event loop: by the address of a callback that takes the interpreter's lock."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it has no types
from numba import types
from numba.core.extending import intrinsic, overload

__all__ = ["Callback", "decide"]

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
_KNOWN: dict[int, Callable[[int], int]] = {}
"""By address: what is called where nothing is compiled."""


class Callback:
    """A function of (now in microseconds), under an address for as long as this object lives; it must not raise."""

    def __init__(self, function: Callable[[int], int]) -> None:
        self._kept = _CALLBACK(function)
        self.address = int(ctypes.cast(self._kept, ctypes.c_void_p).value or 0)
        _KNOWN[self.address] = function

    def close(self) -> None:
        """Forget the function."""
        _KNOWN.pop(self.address, None)


def decide(address: int, now: int) -> int:
    """Return what the function at an address says of an instant."""
    return _KNOWN[int(address)](int(now))


@intrinsic
def _call(context: Any, address: Any, now: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        whole = ir.IntType(64)
        pointer = builder.inttoptr(values[0], ir.FunctionType(whole, [whole]).as_pointer())
        return builder.call(pointer, [values[1]])

    return types.int64(types.int64, types.int64), generate


@overload(decide)
def _decide(address: Any, now: Any) -> Any:
    def compiled(address: Any, now: Any) -> Any:
        return _call(address, now)  # type: ignore[call-arg]  # the first is numba's own

    return compiled
