"""Hashes of rows."""

from __future__ import annotations

import numpy as np
from numba import njit

_NEGATIVE_ZERO = np.uint32(0x80000000)


@njit(nogil=True, cache=True)
def hash_rows(bits, factors, keys):
    """Keys (n,) <- sums of bits x factors modulo 2^64, bits (n, d) those of float32 numbers.

    Equal rows have equal keys wherever they stand, which sums of floats would not promise.
    """
    for i in range(len(bits)):
        key = np.uint64(0)
        for j in range(bits.shape[1]):
            b = bits[i, j]
            if b == _NEGATIVE_ZERO:
                b = np.uint32(0)
            key += np.uint64(b) * factors[j]
        keys[i] = key
