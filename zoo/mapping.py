"""Probabilities of a network's classes, summed into those of other classes.

A network may be judged on data whose classes are made up of its own: cat and dog, say, are an
animal there. A class's probability is that of any of its parts, the sum; the largest of them alone,
or the class of the most probable part, is another answer. Numpy alone, as in `deploy.py`.
"""

from collections.abc import Sequence

import numpy as np


def sum_over_sources(
    probabilities: np.ndarray, target_of: Sequence[int], num_targets: int
) -> np.ndarray:
    """Adds up, for each target class, the probabilities of the network's classes that belong to it.

    Args:
        probabilities: of the K classes of the network, the sources.
        target_of: for each of them the class that it belongs to, 0 ... T-1, or -1 for none.
        num_targets: T; a target may have no source, and then has the probability 0.

    Shape:
        probabilities: (K, H, W) float → (T, H, W) float of the same type.
    """
    # TODO 10.1: for each pixel, the sum over the sources of each target. -1 belongs to no target.
    # <solution 10.1>
    sums = np.zeros((num_targets, *probabilities.shape[1:]), dtype=probabilities.dtype)
    for source, target in enumerate(target_of):
        if target >= 0:
            sums[target] += probabilities[source]
    # <student>
    # sums = ...  # (T, H, W)
    # </solution 10.1>
    return sums
