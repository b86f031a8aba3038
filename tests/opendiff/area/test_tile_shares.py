import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from opendiff.area.tile_shares import crossings, unit_square_shares


@st.composite
def outlines(draw):
    """Stars, some with corners on grid lines, some with a hole, some in two parts."""
    corners = draw(st.lists(st.floats(0.3, 6), min_size=3, max_size=15))
    centre = np.array([draw(st.floats(-3, 26950)), draw(st.floats(-3, 13650))])
    angle = np.linspace(0, 2 * np.pi, len(corners), endpoint=False)
    points = np.array(corners)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    star = shapely.Polygon(centre + points)
    if draw(st.booleans()):
        star = shapely.Polygon(np.round(2 * (centre + points)) / 2)
    if not star.is_valid or star.area < 1e-6:
        star = shapely.box(*np.floor(centre), *np.floor(centre) + 3)
    if draw(st.booleans()):
        star = star.difference(shapely.affinity.scale(star, 0.4, 0.4, origin=star.representative_point()))
    if draw(st.booleans()):
        star = star.union(shapely.affinity.translate(star, 20.25, -3.5))
    return star


def by_overlay(outline) -> dict[tuple[int, int], float]:
    west, north, east, south = (int(np.floor(v)) for v in outline.bounds)
    # at the origin, where floats are finer than the grid
    outline = shapely.transform(outline, lambda points: points - np.array([west, north]))
    x, y = (v.reshape(-1) for v in np.meshgrid(np.arange(east - west + 1), np.arange(south - north + 1)))
    # on a grid, because plain overlays lose ground at a corner of 5e-324
    share = shapely.area(shapely.intersection(outline, shapely.box(x, y, x + 1, y + 1), grid_size=1e-12))
    return {
        (a, b): s for a, b, s in zip((x + west).tolist(), (y + north).tolist(), share, strict=True) if s > 0
    }


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(outlines())
def test_shares_agree_with_overlays(outline):
    x, y, share = unit_square_shares(outline, 10_000)
    found = dict(zip(zip(x.tolist(), y.tolist(), strict=True), share, strict=True))
    expected = by_overlay(outline)
    assert len(found) == len(x)  # no square twice
    assert all(
        found.get(square, 0) == pytest.approx(expected.get(square, 0), abs=1e-9)
        for square in found | expected
    )


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_a_box_on_grid_lines_covers_whole_squares_only(width, height, west):
    x, y, share = unit_square_shares(shapely.box(west, 7, west + width, 7 + height), 1000)
    covered = share > 1e-9
    assert covered.sum() == width * height and share[covered] == pytest.approx(1)
    assert x[covered].min() == west and y[covered].max() == 6 + height


def test_too_many_squares_are_only_counted():
    box = shapely.box(0.5, 0.5, 5000.5, 5000.5)
    assert unit_square_shares(box, 1000) == 5001 * 5001
    assert crossings(box) == pytest.approx(4 * 5000, abs=10)
