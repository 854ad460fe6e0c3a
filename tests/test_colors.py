"""Colours for classes that come without: distinct, stable, and told apart by colour-blind eyes."""

import numpy as np
import pytest

from support.formats.colors import FIRST, distinct_colors, to_lab

COLOR_BLIND = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
"""Machado, Oliveira and Fernandes (2009), severity 1, on linear sRGB."""


def simulated(colors, kind):
    """The colours as colour-blind eyes see them, (N, 3) 0 ... 255."""
    values = np.array(colors) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.array(COLOR_BLIND[kind]).T).clip(0, 1)
    return 255 * np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def least_distance(colors):
    places = to_lab(colors)
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    return distances[np.triu_indices(len(places), 1)].min()


def test_to_lab_agrees_with_published_values():
    expected = [[53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [100, 0, 0], [0, 0, 0]]
    found = to_lab([(255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)])
    np.testing.assert_allclose(found, expected, atol=0.06)


def test_distinct_colors_are_distinct_and_stable():
    colors = distinct_colors(255)
    assert len(set(colors)) == 255 and tuple(colors[:20]) == FIRST
    for count in (0, 1, 19, 60, 254):
        assert distinct_colors(count) == colors[:count]


def test_distinct_colors_are_no_black_no_white_and_not_taken():
    colors = distinct_colors(255)
    assert least_distance([*colors, (0, 0, 0), (255, 255, 255)]) >= 10
    assert min(map(max, colors)) >= 90
    assert set(distinct_colors(255, colors)).isdisjoint(colors)
    assert distinct_colors(3, [FIRST[0], (2, 1, 250)]) == list(FIRST[2:5])


@pytest.mark.parametrize(("count", "normal", "color_blind"), [(8, 67, 35), (20, 33, 18)])
def test_first_colors_are_told_apart(count, normal, color_blind):
    colors = distinct_colors(count)
    assert least_distance(colors) >= normal
    for kind in COLOR_BLIND:
        assert least_distance(simulated(colors, kind)) >= color_blind


@pytest.mark.parametrize(("count", "normal"), [(60, 20), (150, 13), (255, 10)])
def test_further_colors_are_told_apart_with_normal_vision(count, normal):
    assert least_distance(distinct_colors(count)) >= normal
