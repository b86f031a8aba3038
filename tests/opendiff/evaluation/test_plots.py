"""Plots of an evaluation: figures against the metrics and against what went in, and a page that asks for nothing."""

import re

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from opendiff import metrics
from opendiff.area.tile_grid import tile_at
from opendiff.cli import main
from opendiff.evaluation import Evaluation
from opendiff.evaluation.plots import (
    calibration_figure,
    example_tiles,
    level_figure,
    level_grid,
    main_model,
    observed_coverage,
    page,
    rank_figure,
    save_plots,
)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rng = np.random.default_rng(0)
    x, y = (v.ravel() for v in np.meshgrid(26926 + np.arange(5), 13655 + np.arange(4), indexing="ij"))
    level = rng.lognormal(0, 1, len(x))
    truth = level[:, None] * rng.gamma(9, 1 / 9, (len(x), 168))
    made = {
        "first <b>": level[:, None, None] * rng.gamma(9, 1 / 9, (len(x), 12, 168)),
        "default": level[:, None, None] * rng.gamma(90, 1 / 90, (len(x), 12, 168)),
    }
    made["a single week"] = truth[:, None]
    models = {name: {"figures": metrics.score(truth, ensemble)} for name, ensemble in made.items()}
    report = {"pack": "p & q", "tiles": len(x), "folds": 2, "samples": 12, "seed": 0, "models": models}
    return Evaluation(report, truth, made, x, y)


def test_observed_coverage_is_that_of_the_metrics(evaluation):
    for ensemble in evaluation.ensembles.values():
        expected = [metrics.coverage(evaluation.truth, ensemble, share).mean() for share in (0.1, 0.5, 0.9)]
        np.testing.assert_allclose(observed_coverage(evaluation.truth, ensemble, (0.1, 0.5, 0.9)), expected)


def test_figures_tell_a_calibrated_model_from_a_narrow_one(evaluation):
    assert main_model(evaluation) == "default"
    lines = {trace.name: np.array(trace.y) for trace in calibration_figure(evaluation).data}
    nominal = np.array(calibration_figure(evaluation).data[1].x)
    assert np.abs(lines["first <b>"] - nominal).max() < 5 < np.abs(lines["default"] - nominal).max()
    bars = {trace.name: np.array(trace.y[:-1]) for trace in rank_figure(evaluation).data}
    assert lines.keys() == {"calibrated", "first <b>", "default"} and bars.keys() == {"first <b>", "default"}
    assert all(shares.sum() == pytest.approx(100) for shares in bars.values())
    assert bars["default"][[0, -1]].min() > 2 * bars["first <b>"][[0, -1]].max()


def test_examples_stand_at_quantiles_of_the_true_level():
    truth = np.random.default_rng(1).permutation(101)[:, None] * np.ones(168)
    assert [truth[row, 0] for row in example_tiles(truth, (0, 0.25, 0.5, 1))] == [0, 25, 50, 100]
    assert example_tiles(truth[:1]) == [0]


def test_levels_stand_in_their_tiles(evaluation):
    keep = np.arange(len(evaluation.x)) % 7 != 3  # holes in the grid
    x, y, level = evaluation.x[keep], evaluation.y[keep], evaluation.truth.mean(axis=1)[keep]
    lon, lat, grid = level_grid(x, y, level)
    assert np.isfinite(grid).sum() == keep.sum() and (np.diff(lon) > 0).all() and (np.diff(lat) > 0).all()
    row, column = np.nonzero(np.isfinite(grid))
    found = {key: value for *key, value in zip(*tile_at(lon[column], lat[row]), grid[row, column], strict=True)
             for key in [tuple(key)]}  # fmt: skip
    assert found == dict(zip(zip(x, y, strict=True), level, strict=True))
    scale = level_figure(evaluation, "default").layout.coloraxis
    assert scale.cmax**2 == pytest.approx(max(evaluation.truth.mean(axis=1).max(), np.max(
        np.median(evaluation.ensembles["default"].mean(axis=2), axis=1))))  # fmt: skip


def test_the_page_needs_nothing_and_names_its_units(evaluation, tmp_path):
    save_plots(evaluation, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text == page(evaluation) and [path.name for path in tmp_path.iterdir()] == ["report.html"]
    library = get_plotlyjs()
    assert text.count(library) == 1
    own = text.replace(library, "")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", own) and len(own) < 500_000
    assert "p &amp; q" in own and "first <b>" not in own
    for unit in (
        "traffic (relative units)",
        "level (relative units)",
        "hour of the week",
        "(degrees)",
        "(%)",
    ):
        assert unit in own


def test_a_missing_folder_is_named_before_the_work(tmp_path, capsys):
    plots = tmp_path / "absent" / "report.html"
    assert (
        main(["evaluate", "--data", str(tmp_path), "--out", str(tmp_path / "r.json"), "--plots", str(plots)])
        == 2
    )
    assert "absent" in capsys.readouterr().err
