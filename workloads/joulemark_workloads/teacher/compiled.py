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
# What exp2 takes for one, and the unit of what it gives.
EXP2_ONE = np.float32(127)
EXP2_UNIT = np.float32(-0.01353417)
# Numbers that are compared at a time.
WORD = 64

# In so few bits as will do: the compiler widens what is of two types.
_f32, _i16, _i32, _u32, _u64 = np.float32, np.int16, np.int32, np.uint32, np.uint64


@njit(fastmath=FAST, inline="always")
def exp2(x: Number) -> Number:
    """2**(x - EXP2_ONE) in EXP2_UNITs for x < 128, right to 6e-6 of it; next to nothing for x < 64.

    From 64 to 128 the bits of x, moved by six, are a negative number that has the whole part of x as its exponent and
    the rest as its fraction. Of what is no number they make more than 2**64.
    """
    x = _f32(64) if x < _f32(64) else x
    bits = _u32(_f32(x).view(np.uint32) << _u32(6))
    power = _u32(bits & _u32(0xFF800000)).view(np.float32)
    rest = _u32(_u32(bits & _u32(0x007FFFFF)) | _u32(0x3F800000)).view(np.float32)
    # A polynomial of degree 4, arranged for as many additions as multiplications, which the processor does elsewhere.
    y = (rest + _f32(-0.57851276)) * rest + _f32(30.316832)
    return power * ((y + (rest + _f32(-48.079255))) * y + _f32(576.18016))


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
def fetch(row: Array, begin: int, end: int) -> None:
    """Have the processor bring a part of a row into its cache."""
    for place in range(begin, min(end, row.size), _CACHE_LINE_BYTES // row.itemsize):
        _prefetch(row, _u64(place))


def _generate_prefetch(_: Any, row: Any, place: Any) -> Any:  # noqa: ARG001  its type is given below
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


_prefetch: Any = intrinsic(_generate_prefetch)


def ordered(x: Number) -> Number:
    """What numbers of a row are compared by: the bits of a bfloat16 are, once those of negative ones are turned."""


@overload(ordered, inline="always")
def _ordered_compiled(x: Number) -> Number:
    return _turned if x == types.uint16 else _same


def number_of(x: Number) -> Number:
    """As float32, what was put in order."""


@overload(number_of, inline="always")
def _number_of_compiled(x: Number) -> Number:
    return _turned_back if x == types.int16 else _same


def _turned(x: Number) -> Number:
    return _i16(_i16(x) ^ _i16((_i16(x) >> _i16(15)) & _i16(0x7FFF)))


def _turned_back(x: Number) -> Number:
    return _u32(_u32(np.uint16(_i16(x ^ _i16((x >> _i16(15)) & _i16(0x7FFF))))) << _u32(16)).view(np.float32)


@njit(inline="always")
def lower(pair: Number) -> Number:
    """The first of two bfloat16 as float32."""
    return _u32(_u32(pair) << _u32(16)).view(np.float32)


@njit(inline="always")
def upper(pair: Number) -> Number:
    """The second of two bfloat16 as float32."""
    return _u32(_u32(pair) & _u32(0xFFFF0000)).view(np.float32)


def _vector(builder: Any, context: Any, signature: Any, arguments: Any, kind: ir.Type) -> Any:
    """Read from a place of an array, its first two arguments, whatever that place is aligned to."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    address = builder.bitcast(builder.gep(data, [arguments[1]]), kind.as_pointer())
    return builder.load(address, align=signature.args[0].dtype.bitwidth // 8)


def _generate_pair_at(_: Any, row: Any, place: Any) -> Any:  # noqa: ARG001  its type is given below
    """Two 16-bit numbers as one of 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _vector(builder, context, signature, arguments, ir.IntType(32))

    return types.uint32(row, types.uint64), generate


pair_at: Any = intrinsic(_generate_pair_at)


def _generate_reaching(_: Any, row: Any, place: Any, bound: Any, flip: Any) -> Any:  # noqa: ARG001  its type is given below
    """A bit for each of WORD numbers from a place on: whether it, with the bits of `flip` turned, reaches a bound."""
    floats = row.dtype == types.float32
    one = types.float32 if floats else types.int16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(context.get_value_type(one), WORD)
        numbers = _vector(builder, context, signature, arguments, kind)
        bound, flip = (_all(builder, kind, x) for x in arguments[2:])
        if floats:
            reached = builder.fcmp_ordered(">=", numbers, bound)
        else:
            reached = builder.icmp_signed(">=", builder.xor(numbers, flip), bound)
        return builder.bitcast(reached, ir.IntType(WORD))

    return types.uint64(row, types.uint64, one, one), generate


reaching: Any = intrinsic(_generate_reaching)


def _all(builder: Any, kind: ir.VectorType, number: Any) -> Any:
    """A vector of one number only."""
    nothing, lanes = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(lanes, [0] * kind.count))


def _generate_lowest_bit(_: Any, bits: Any) -> Any:  # noqa: ARG001  its type is given below
    """The place of the lowest bit that is set; where none is, the one beyond the last."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


lowest_bit: Any = intrinsic(_generate_lowest_bit)


def bound_of(row: Array, threshold: Number) -> Any:
    """A threshold as the numbers of a row are compared with it, and the bits of these that have to be turned before."""


@overload(bound_of)
def _bound_compiled(row: Array, threshold: Number) -> Any:  # noqa: ARG001
    return _bound_of_bits if row.dtype == types.uint16 else _bound_of_floats


def _bound_of_floats(row: Array, threshold: Number) -> tuple[Number, Number]:  # noqa: ARG001
    return threshold, _f32(0)


def _bound_of_bits(row: Array, threshold: Number) -> tuple[Number, Number]:  # noqa: ARG001
    """The least bfloat16 that is not below; as whole numbers those of one sign are in order, the others all beyond."""
    bits = _u32(_f32(threshold).view(np.uint32))
    if threshold > _f32(0):
        return _i16((bits + _u32(0xFFFF)) >> _u32(16)), _i16(0)
    # The zero is the negative one, which equals the other and comes before it.
    return _i16((bits >> _u32(16) | _u32(0x8000)) ^ _u32(0x7FFF)), _i16(0x7FFF)
