"""Named random streams: one seed, one independent stream for each purpose.

A stream is identified by its name alone, so adding a purpose changes no other stream.  Uniform numbers are
made from the raw output of PCG64 (O'Neill 2014), which NumPy keeps fixed between releases.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stream", "signed_key", "stream_key", "uniform_at"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


def stream_key(seed: int, name: str) -> int:
    """Return the 64-bit key of a stream: the first 8 bytes, big-endian, of SHA-256 of ``gpuyard:{name}:{seed}``."""
    return int.from_bytes(_digest(seed, name)[:8], "big")


def signed_key(seed: int, name: str) -> int:
    """Return :func:`stream_key` as the signed number with the same bits."""
    key = stream_key(seed, name)
    return key - 2**64 if key >= 2**63 else key


def uniform_at(key: int, counter: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the number in [0, 1) that a stream has at each counter (0 or more), same shape, whatever else is drawn.

    The random number is that of the placements: the finaliser of SplitMix64 (Steele, Lea and Flood 2014) at the
    counter, beginning at the key of the stream.
    """
    bits = counter.astype(np.uint64)
    bits += np.uint64(1)
    bits *= _GOLDEN
    bits += np.uint64(key)
    bits ^= bits >> np.uint64(30)
    bits *= _MIX_A
    bits ^= bits >> np.uint64(27)
    bits *= _MIX_B
    bits ^= bits >> np.uint64(31)
    bits >>= np.uint64(11)
    found = bits.astype(np.float64)
    found *= 2.0**-53
    return found


class Stream:
    """Uniform random numbers for one purpose.

    Numbers come in a fixed order: asking for 2 and then for 3 gives the same five as asking for 5 at once.
    """

    def __init__(self, seed: int, name: str) -> None:
        entropy = int.from_bytes(_digest(seed, name), "big")
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy))
        self._next = 0

    def uniform(self, size: int) -> NDArray[np.float64]:
        """Return the next ``size`` numbers, float64 in [0, 1), shape (size,)."""
        raw: NDArray[np.uint64] = self._bits.random_raw(size)
        self._next += size
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def at(self, first: int, size: int) -> NDArray[np.float64]:
        """Return the numbers ``first``, ``first + 1``, ... of the stream, counted from 0, as many as ``size``."""
        if first != self._next:
            self._bits.advance((first - self._next) % 2**128)
            self._next = first
        return self.uniform(size)


def _digest(seed: int, name: str) -> bytes:
    return sha256(f"gpuyard:{name}:{seed}".encode()).digest()
