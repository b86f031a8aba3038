"""An evaluation as Markdown: what the model card shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from opendiff.paper.evaluation import PAPER_MODELS

SHOWN = (
    "ncrps",
    "nmae",
    "nrmse",
    "jsd",
    "coverage_50",
    "coverage_90",
    "level_r2",
    "acf24_distance",
    "peak_hour_error",
)


def markdown_tables(report: dict[str, Any]) -> str:
    """The main figures of a report as Markdown: all models on all tiles, our variants where there is imagery, the
    embedding."""
    models = report["models"]
    heading = f"{report['folds']} spatial folds, {report['samples']} samples, seed {report['seed']}"
    parts = [f"{report['tiles']} tiles, {heading}", markdown_table(models, report["samples"])]
    if all("auc_summaries" in scored["figures"] for scored in models.values()):
        parts.append(realism_table(report))
    imaged = {name: scored["with_imagery"] for name, scored in models.items() if "with_imagery" in scored}
    if imaged:
        kept = {name: scored | {"samples": models[name]["samples"]} for name, scored in imaged.items()}
        parts += [
            f"The {report['tiles_with_imagery']} tiles with imagery alone",
            markdown_table(kept, report["samples"]),
        ]
    if figures := report.get("embedding"):
        parts.append(embedding_table(figures))
    return "\n\n".join(parts)


EMBEDDINGS = {
    "embedding": "contrastive embedding, 16 numbers (shipped; has not seen the fold)",
    "trunk": "frozen trunk, 512 statistics",
    "trunk_pca": "... 32 principal components",
    "trunk_views": "frozen trunk, mean of the image turned and mirrored in 8 ways",
    "trunk_views_pca": "... 32 principal components",
    "colour_and_texture": "statistics of colour and texture",
}  # fmt: skip


def embedding_table(figures: dict[str, float]) -> str:
    """What embeddings of imagery tell of the level, as Markdown."""
    lines = [
        f"Ridge regression to the log level on {figures['tiles']:.0f} tiles with imagery, R²; all other open data "
        f"alone {figures['open_data_level_r2']:.3f}:",
        "",
        "| imagery as | alone | beside all other open data |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {words} | {figures[f'{name}_level_r2']:.3f} | {figures[f'beside_{name}_level_r2']:.3f} |"
        for name, words in EMBEDDINGS.items()
    ]
    return "\n".join(lines)


REALISM = {
    "ncrps_measured_hours": "nCRPS, measured hours", "coverage_90_measured_hours": "90 % band",
    "auc_summaries": "AUC, summaries", "auc_root_shapes": "AUC, weeks", "peaks_above_95": "peaks above 95 %",
    "levels_above_99": "levels above 99 %", "jsd_single": "JSD of one week", "nearest_made_50": "nearest other week",
}  # fmt: skip
TOLD = ("peak/mean", "kurtosis", "largest jump", "same-hour variation", "lag 24")  # quantiles over tiles


def realism_table(report: dict[str, Any]) -> str:
    """Whether weeks look real, the tails, and the paired difference to `default`, as Markdown."""
    heads = [*REALISM.values(), "nCRPS less default's (95 %)", *(f"{name} 5/50/95" for name in TOLD)]
    lines = ["| model | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    figures = {name: scored["figures"] for name, scored in report["models"].items()}
    first = next(iter(figures.values()))
    real = [_quantiles(first, name, "real") for name in TOLD]
    known = [f"{first['nearest_real_50']:.3f}" if key == "nearest_made_50" else "" for key in REALISM]
    lines.append("| real weeks | " + " | ".join([*known, "", *real]) + " |")
    for name, found in figures.items():
        cells = [f"{found[key]:.3f}" if key in found else "" for key in REALISM]
        gap = report.get("differences", {}).get(name)
        cells.append(f"{gap['difference']:+.4f} ({gap['low']:+.4f} to {gap['high']:+.4f})" if gap else "")
        cells += [_quantiles(found, quantity, "made") for quantity in TOLD]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name, gap in report.get("differences", {}).items():
        if "auc" in gap:
            lines += [
                "",
                f"Weeks of {name} are told from real ones by {gap['auc']:.3f} (95 % interval {gap['auc_low']:.3f} to "
                f"{gap['auc_high']:.3f}) more area under the curve of all tiles than weeks of default; their energy "
                f"score is higher by {gap['energy']:.4f} ({gap['energy_low']:.4f} to {gap['energy_high']:.4f}).",
            ]
    return "\n".join(lines)


def _quantiles(figures: dict[str, float], name: str, kind: str) -> str:
    return " / ".join(f"{figures[f'{name}_{kind}_{share}']:.2f}" for share in (5, 50, 95))


def markdown_table(models: dict[str, Any], samples: int) -> str:
    """Figure and standard error over folds of each model; a model with other than `samples` weeks a tile says so."""
    lines = ["| model | " + " | ".join(SHOWN) + " |", "| --- |" + " --- |" * len(SHOWN)]
    for name, scored in models.items():
        cells = []
        for figure in SHOWN:
            value, error = scored["figures"].get(figure), scored["standard_errors"].get(figure)
            cells.append("" if value is None or np.isnan(value) else f"{value:.3f} ± {error:.3f}")
        note = (
            f" ({scored['samples']} samples)" if name in PAPER_MODELS and scored["samples"] != samples else ""
        )
        lines.append(f"| {name}{note} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


CITY_COLUMNS = {
    "level_r2": "level R²", "level_coverage_90": "tiles", "sum4_coverage_90": "4", "sum9_coverage_90": "9",
    "sum16_coverage_90": "16", "sum36_coverage_90": "36", "busy36_coverage_90": "busy hour of 36",
    "level_energy": "energy", "day_night_correlation": "day/night r", "day_night_r2": "day/night R²",
    "weekend_r2": "weekend R²",
}  # fmt: skip


def cities_tables(result: dict[str, Any]) -> str:
    """The report of `opendiff.evaluation.cities` as Markdown: a table for each city, its references below."""
    parts = []
    for city, figures in result["cities"].items():
        lines = [f"**{city}**", "", "| given | tiles | " + " | ".join(CITY_COLUMNS.values()) + " |"]
        lines.append("| --- |" + " --- |" * (1 + len(CITY_COLUMNS)))
        for way in ("left out", "spatial blocks"):
            for name, row in figures[way].items():
                cells = [
                    f"{row[key]:.3f}" if key in row and np.isfinite(row[key]) else "" for key in CITY_COLUMNS
                ]
                lines.append(f"| {way}: {name} | {row['tiles']:.0f} | " + " | ".join(cells) + " |")
        known = ", ".join(f"{name} {value:.2f}" for name, value in figures["references"].items())
        parts.append("\n".join([*lines, "", f"References, level R²: {known}."]))
    return "\n\n".join(parts)
