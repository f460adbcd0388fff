"""What compiled loops over logits are made of: bits as numbers, powers of two, memory fetched ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

Array = np.ndarray[Any, Any]
# A number of the compiler's own types.
Number = Any

# Additions may be made in any order, and so many at a time; what is no number stays none.
FAST = {"contract", "reassoc", "nsz", "arcp"}
_CACHE_LINE_BYTES = 64

# In so few bits as will do: the compiler widens what is of two types.
_f32, _i16, _i32, _u32, _u64 = np.float32, np.int16, np.int32, np.uint32, np.uint64


@njit(fastmath=FAST, inline="always")
def exp2(x: Number) -> Number:
    """2**x in float32 for x <= 0, right to 3e-6 of it: a polynomial of degree 4, and the exponent's bits."""
    x = _f32(-126) if x < _f32(-126) else x
    whole = np.floor(x)
    rest = x - whole
    y = _f32(0.01353417)
    y = y * rest + _f32(0.05201147)
    y = y * rest + _f32(0.24144275)
    y = y * rest + _f32(0.69300384)
    y = y * rest + _f32(1.00000259)
    return y * _u32((_i32(whole) + _i32(127)) << _i32(23)).view(np.float32)


def widened(x: Number) -> Number:
    """As float32: bfloat16, which comes as bits, is the upper half of one."""


@overload(widened, inline="always")
def _widened_compiled(x: Number) -> Number:
    return _upper_half if x == types.uint16 else _same


def _upper_half(x: Number) -> Number:
    return _u32(_u32(x) << _u32(16)).view(np.float32)


def _same(x: Number) -> Number:
    return x


@njit(inline="always")
def fetch_share(row: Array, start: int, step: int, whole: int) -> None:
    """Have the processor bring a part of a row into its cache: as much of it as this step is of the whole way."""
    begin, end = row.size * start // whole, min(row.size * (start + step) // whole, row.size)
    for place in range(begin, end, _CACHE_LINE_BYTES // row.itemsize):
        # The compiler itself gives the first argument.
        _prefetch(row, _u64(place))  # type: ignore[call-arg]


@intrinsic
def _prefetch(_: Any, row: Any, place: Any) -> Any:  # noqa: ARG001  its type is given below
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        insert: Any = cgutils.get_or_insert_function
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, *[ir.IntType(32)] * 3])
        prefetch = insert(builder.module, kind, "llvm.prefetch.p0")
        # For reading, into the second level, of data.
        builder.call(prefetch, [address, *(ir.Constant(ir.IntType(32), x) for x in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(row, types.uint64), generate


@njit(inline="always")
def turned(bits: Number) -> Number:
    """Bits of a bfloat16 as a whole number that is ordered as those are, and back."""
    signed = _i16(bits)
    return _i16(signed ^ _i16((signed >> _i16(15)) & _i16(0x7FFF)))
