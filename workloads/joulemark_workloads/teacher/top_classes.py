"""The k largest classes of logits and the mass of all the others, compiled for the processor at first use.

A row is read from memory once and then from the processor's cache, while the next one is fetched. The k largest lie in
the k groups with the largest maxima, so that nothing below the least of these has to be looked at; thresholds are found
by halving, as counting what is above one is far cheaper than sorting.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import overload

from .cache_size import SMALLEST_TAIL
from .compiled import (
    EXP2_ONE,
    EXP2_UNIT,
    FAST,
    WORD,
    Array,
    Number,
    bound_of,
    exp2,
    fetch,
    lower,
    lowest_bit,
    number_of,
    ordered,
    pair_at,
    reaching,
    upper,
    widened,
)

# Classes in a group, where there are enough of them for k groups and more.
_GROUP = 64
# Numbers whose maxima are told side by side.
_LANES = 64
# Exponentials between which part of the next row is fetched.
_CHUNK = 1024
# Rows that a thread takes at a time: not too many, as another may have to wait for it in the end.
_ROWS = 32
# Numbers that PyTorch still turns into others with one thread.
_PIECE = 1 << 14
# Candidates beyond k cost less than another halving.
_ENOUGH = 12
_LOWEST = np.float32(np.finfo(np.float32).min)
_LOG2_E = 1 / math.log(2)

# In so few bits as will do: the compiler widens what is of two types.
_f32, _i32, _u64 = np.float32, np.int32, np.uint64


def choose(logits: torch.Tensor, k: int, temperature: float, ids_dtype: str, dtype: str) -> tuple[Array, ...]:
    """Of logits [n, vocabulary] in float32 or bfloat16, contiguous and on the processor, at a temperature.

    Returns the ids [n, k] of the largest in no order, their log-probabilities [n, k], and the log of the tail's mass
    [n]; k at most the vocabulary. Rows that hold what is no number give log-probabilities that are none.
    """
    rows: Array = logits.view(torch.uint16).numpy() if logits.dtype == torch.bfloat16 else logits.numpy()
    count, scale = len(rows), np.float32(_LOG2_E / temperature)
    ids: Array = np.zeros((count, k), ids_dtype)
    log_probs, tail = np.empty((count, k), np.float32), np.empty(count, np.float32)
    # Shared: whoever is free takes the next.
    parts = iter([slice(begin, begin + _ROWS) for begin in range(0, count, _ROWS)])

    def work() -> None:
        space = _workspace(rows, k)
        for part in parts:
            _choose(rows[part], scale, ids[part], log_probs[part], tail[part], *space)

    others = max(1, min(torch.get_num_threads(), -(-count // _ROWS))) - 1
    with ThreadPoolExecutor(max(1, others), thread_name_prefix="top-classes") as pool:
        waiting = [pool.submit(work) for _ in range(others)]
        work()
        for done in waiting:
            done.result()
    return ids, *(_rounded(x, getattr(torch, dtype)) for x in (log_probs, tail))


def _rounded(values: Array, dtype: torch.dtype) -> Array:
    """By PyTorch, many times faster than by NumPy; in pieces, as its own threads would go on looking for work."""
    wide = torch.from_numpy(values)
    narrow = torch.empty_like(wide, dtype=dtype)
    for piece, source in zip(*(torch.split(x.view(-1), _PIECE) for x in (narrow, wide)), strict=True):
        piece.copy_(source)
    kept: Array = narrow.numpy()
    return kept


def _workspace(rows: Array, k: int) -> tuple[Array, ...]:
    """What is written beside the results: maxima of groups, as compared and as numbers; places, candidates, classes."""
    vocabulary = rows.shape[1]
    # By fours, or each class for itself.
    deep = min(_GROUP, vocabulary // (3 * k), math.isqrt(vocabulary)) // 4 * 4
    groups = vocabulary // max(1, deep)
    compared = np.int16 if rows.dtype == np.uint16 else np.float32
    sizes = (groups, compared), (groups, np.float32), *((vocabulary + 1, x) for x in (np.int32, np.float32, np.int32))
    return tuple(np.empty(size, dtype) for size, dtype in sizes)


@njit(nogil=True, fastmath=FAST)
def _choose(
    rows: Array, scale: Number, ids: Array, log_probs: Array, tail: Array,
    orders: Array, maxima: Array, places: Array, values: Array, classes: Array,
) -> None:  # fmt: skip
    last = rows.shape[0] - 1
    for r in range(rows.shape[0]):
        row, following = rows[r], rows[min(r + 1, last)]
        _group_maxima(row, orders, maxima, following)
        high = _highest(maxima, values[:_LANES])
        # Whole, so that nothing is lost as it is subtracted.
        shift = np.ceil(high * scale)
        mass = _mass(row, scale, EXP2_ONE - shift, following)
        if not mass < _f32(2**40):
            log_probs[r], tail[r] = _f32(np.nan), _f32(np.nan)
            continue
        threshold = _kth(maxima, maxima.size, ids.shape[1], high, _ENOUGH)
        found = _candidates(row, threshold, values, classes, following)
        held = _keep_best(values, classes, found, scale, shift, high, np.log2(mass), places, ids[r], log_probs[r])
        tail[r] = np.log(max((mass - held) / mass, _f32(SMALLEST_TAIL)))


@njit(nogil=True, fastmath=FAST)
def _group_maxima(row: Array, orders: Array, maxima: Array, following: Array) -> None:
    """Of group j, the classes j, j + groups, j + 2 groups and so on; by fours, so that few maxima are stored."""
    groups = orders.size
    whole = row.size // (4 * groups) * 4 * groups
    for j in range(groups):
        orders[j] = ordered(row[j])
    for start in range(0, whole, 4 * groups):
        fetch(following, start // 4, start // 4 + groups)
        part = row[start : start + 4 * groups]
        one, two, three, four = part[:groups], part[groups:], part[2 * groups :], part[3 * groups :]
        for j in range(groups):
            first, last = _larger(one[j], two[j]), _larger(three[j], four[j])
            order = first if first > last else last
            orders[j] = order if order > orders[j] else orders[j]
    for j in range(row.size - whole):
        orders[j] = max(orders[j], ordered(row[whole + j]))
    for j in range(groups):
        maxima[j] = number_of(orders[j])


@njit(nogil=True, fastmath=FAST, inline="always")
def _larger(one: Number, other: Number) -> Number:
    return ordered(one) if ordered(one) > ordered(other) else ordered(other)


@njit(nogil=True, fastmath=FAST)
def _highest(maxima: Array, lanes: Array) -> Number:
    """By lanes, many at a time; these are overwritten."""
    lanes[:] = maxima[0]
    whole = maxima.size // lanes.size * lanes.size
    for start in range(0, whole, lanes.size):
        part = maxima[start : start + lanes.size]
        for j in range(lanes.size):
            lanes[j] = part[j] if part[j] > lanes[j] else lanes[j]
    high = lanes[0]
    for j in range(lanes.size):
        high = max(high, lanes[j])
    for j in range(whole, maxima.size):
        high = max(high, maxima[j])
    return high


def _mass(row: Array, scale: Number, offset: Number, following: Array) -> Number:
    """The sum of all exponentials, of which an offset keeps the largest next to one."""


@overload(_mass, jit_options={"fastmath": FAST})
def _mass_compiled(row: Array, scale: Number, offset: Number, following: Array) -> Any:  # noqa: ARG001
    return _mass_of_bits if row.dtype == types.uint16 else _mass_of_floats


def _mass_of_floats(row: Array, scale: Number, offset: Number, following: Array) -> Number:
    total = _f32(0)
    for start in range(0, row.size, _CHUNK):
        fetch(following, row.size // 4 + start // 2, row.size // 4 + (start + _CHUNK) // 2)
        part = row[start : start + _CHUNK]
        for i in range(part.size):
            total += exp2(part[i] * scale + offset)
    return total * EXP2_UNIT


def _mass_of_bits(row: Array, scale: Number, offset: Number, following: Array) -> Number:
    """Two at a time, as one is then widened by a single instruction."""
    total = _f32(0)
    for start in range(0, row.size, _CHUNK):
        fetch(following, row.size // 4 + start // 2, row.size // 4 + (start + _CHUNK) // 2)
        part = row[start : start + _CHUNK]
        for i in range(part.size // 2):
            pair = pair_at(part, _u64(2 * i))
            total += exp2(lower(pair) * scale + offset)
            total += exp2(upper(pair) * scale + offset)
    if row.size % 2:
        total += exp2(widened(row[row.size - 1]) * scale + offset)
    return total * EXP2_UNIT


@njit(nogil=True, fastmath=FAST)
def _kth(values: Array, n: int, k: int, high: Number, slack: int) -> Number:
    """A threshold that k of n values reach, and at most so many more unless those are equal; `high` is the highest."""
    step, low = _f32(1), high
    while _count(values, n, low) < k:
        if not low > _LOWEST:
            return _f32(-np.inf)
        low = max(high - step, _LOWEST)
        step *= _f32(2)
    while True:
        middle = _f32(0.5) * low + _f32(0.5) * high
        if not (low < middle < high):
            return high if _count(values, n, high) >= k else low
        reached = _count(values, n, middle)
        if reached < k:
            high = middle
        else:
            low = middle
            if reached <= k + slack:
                return low


@njit(nogil=True, fastmath=FAST)
def _count(values: Array, n: int, threshold: Number) -> Number:
    reached = _i32(0)
    for j in range(n):
        reached += _i32(values[j] >= threshold)
    return reached


@njit(nogil=True, fastmath=FAST)
def _at_least(values: Array, n: int, threshold: Number, places: Array) -> Number:
    """Places of the values that reach a threshold, in order; without a branch, as none could be foretold."""
    found = _u64(0)
    for j in range(_u64(n)):
        places[found] = j
        found += _u64(values[j] >= threshold)
    return found


@njit(nogil=True, fastmath=FAST)
def _candidates(row: Array, threshold: Number, values: Array, classes: Array, following: Array) -> Number:
    """Values that reach a threshold, and their classes."""
    found, bound = _u64(0), bound_of(row, threshold)
    whole = _u64(row.size // WORD * WORD)
    for begin in range(0, whole, _CHUNK):
        fetch(following, row.size // 4 * 3 + begin // 4, row.size // 4 * 3 + (begin + _CHUNK) // 4)
        for start in range(_u64(begin), min(_u64(begin + _CHUNK), whole), _u64(WORD)):
            bits = reaching(row, start, *bound)
            # Without a branch for the first: whether there is one could not be foretold.
            classes[found] = start + lowest_bit(bits)
            found += _u64(bits != _u64(0))
            bits &= bits - _u64(1)
            while bits:
                classes[found] = start + lowest_bit(bits)
                found += _u64(1)
                bits &= bits - _u64(1)
    for q in range(found):
        values[q] = widened(row[classes[q]])
    for place in range(whole, _u64(row.size)):
        values[found], classes[found] = widened(row[place]), place
        found += _u64(values[found] >= threshold)
    return found


@njit(nogil=True, fastmath=FAST)
def _keep_best(
    values: Array, classes: Array, n: int, scale: Number, shift: Number, high: Number, log2_mass: Number,
    places: Array, ids: Array, log_probs: Array,
) -> Number:  # fmt: skip
    """The k best of n candidates as they are kept; returns their part of the mass."""
    k = ids.size
    threshold = _kth(values, n, k, high, 0)
    reached = _at_least(values, n, threshold, places)
    # Where more are equal than have room, whatever is above them goes first.
    spare, kept, held = reached - _u64(k), 0, _f32(0)
    for q in range(reached):
        place = places[q]
        if spare and values[place] == threshold:
            spare -= _u64(1)
            continue
        exponent = values[place] * scale - shift
        ids[kept] = classes[place]
        log_probs[kept] = (exponent - log2_mass) * _f32(0.6931471805599453)
        held += exp2(exponent + EXP2_ONE)
        kept += 1
    return held * EXP2_UNIT
