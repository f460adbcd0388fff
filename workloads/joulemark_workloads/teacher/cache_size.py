"""How much room a logit cache takes."""

from __future__ import annotations

from ..config.sections import LogitCache

# Ids of a vocabulary of this size or less take 16 bits.
NARROW_VOCABULARY = 2**16
# Below this the mass of the tail is nothing in 16 bits, and its logarithm must stay finite.
SMALLEST_TAIL = 1e-6


def bytes_per_token(wanted: LogitCache, vocabulary: int = NARROW_VOCABULARY + 1) -> int:
    """Of a cache on disk, Arrow's own few bytes a shard aside; ids take 16 bits in a vocabulary of up to 2^16."""
    width = 2 if wanted.dtype == "float16" else 4
    return wanted.top_k * (width + (2 if vocabulary <= NARROW_VOCABULARY else 4)) + width
