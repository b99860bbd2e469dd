"""What compiled kernels of several packages share: exp and log that vectorise, and flags."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

VECTORISE = {"contract", "nsz", "arcp", "reassoc"}
"""Flags of loops: sums may be reordered and products fused, which vectorisation needs; NaN and inf
keep their meaning."""


@intrinsic
def _float64_of_bits(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _float32_of_bits(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


def exp(x):
    """exp(x) for x <= 0, in a form that vectorises: 2^n e^r, |r| <= ln(2)/2, e^r by Taylor.

    Exactly 0 below `EXP_CUT` (`EXP_CUT_32` in float32), also for -inf: smaller values would be near
    the edge of the normal numbers, and their products with weights and differences subnormal, on
    which some processors spend a hundred cycles.
    """
    raise NotImplementedError


EXP_CUT = -600.0
EXP_CUT_32 = np.float32(-60.0)
"""e^-600 = 3e-261 and e^-60 = 9e-27 leave room for a weight, a square of a difference and a sum of
many above the smallest normal numbers, 2e-308 and 1e-38; compared with a probability of one, they
are far below rounding.
"""


@overload(exp, inline="never", jit_options={"fastmath": {"contract", "nsz", "arcp"}})
def _exp_overload(x):
    if x == types.float32:
        return _exp32
    return _exp64


def _exp64(x):
    inside = x >= EXP_CUT
    x = x if inside else EXP_CUT
    n = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    p = 1 / 6227020800.0
    p = p * r + 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _float64_of_bits((np.int64(n) + 1023) << 52) if inside else 0.0


def _exp32(x):
    inside = x >= EXP_CUT_32
    x = x if inside else EXP_CUT_32
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = (x - n * np.float32(0.693359375)) - n * np.float32(-2.12194440e-4)
    p = np.float32(1 / 5040.0)
    p = p * r + np.float32(1 / 720.0)
    p = p * r + np.float32(1 / 120.0)
    p = p * r + np.float32(1 / 24.0)
    p = p * r + np.float32(1 / 6.0)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    p = p * r + np.float32(1.0)
    power = _float32_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))
    return p * power if inside else np.float32(0.0)


@intrinsic
def _bits_of_float64(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


def log(x):
    """log(x) for normal x > 0, in a form that vectorises: n log(2) + 2 atanh((m - 1) / (m + 1))."""
    raise NotImplementedError


@overload(
    log,
    inline="never",
    jit_options={"fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy"},
)
def _log_overload(x):
    def log64(x):
        bits = _bits_of_float64(x)
        n = (bits >> 52) - 1023
        m = _float64_of_bits((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000)
        high = m > 1.4142135623730951
        m = 0.5 * m if high else m
        n = n + 1 if high else n
        f = (m - 1.0) / (m + 1.0)
        s = f * f
        p = 1 / 21.0
        p = p * s + 1 / 19.0
        p = p * s + 1 / 17.0
        p = p * s + 1 / 15.0
        p = p * s + 1 / 13.0
        p = p * s + 1 / 11.0
        p = p * s + 1 / 9.0
        p = p * s + 1 / 7.0
        p = p * s + 1 / 5.0
        p = p * s + 1 / 3.0
        return n * 0.6931471805599453 + 2.0 * f * (1.0 + s * p)

    return log64
