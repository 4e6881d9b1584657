"""How fast a quantity grows, told from samples that jump about."""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

Sample = tuple[float, float]  # when, how much


class Slope(NamedTuple):
    """The median of the slopes between all pairs (Theil and Sen), and a 95 % range by Kendall's tau. Samples
    of one process depend on each other, so the true range is wider."""

    value: float
    low: float
    high: float


def slope(samples: Sequence[Sample], most: int = 400) -> Slope:
    """Of so many samples at most, evenly chosen."""
    step = max(1, math.ceil(len(samples) / most))
    chosen = samples[::step]
    assert len(chosen) >= 3, f"{len(samples)} samples have no slope"
    slopes = sorted(
        (y2 - y1) / (x2 - x1) for at, (x1, y1) in enumerate(chosen) for x2, y2 in chosen[at + 1 :] if x2 > x1
    )
    count = len(chosen)
    spread = 1.96 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, round((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + spread) / 2))
    return Slope(median(slopes), slopes[low], slopes[high])


class Trend(NamedTuple):
    first: float  # median of the first third
    last: float
    most: float
    slope: Slope  # a second

    @staticmethod
    def of(samples: Sequence[Sample]) -> "Trend":
        third = len(samples) // 3
        first, last = (median(value for _, value in part) for part in (samples[:third], samples[-third:]))
        return Trend(first, last, max(value for _, value in samples), slope(samples))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of them that so large a share does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
