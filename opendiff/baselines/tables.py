"""The tables as Markdown and as a drawing (SVG, which needs no library)."""

from __future__ import annotations

from html import escape
from typing import Any

from opendiff.baselines.benchmark import FOUR

NAMES = {"jsd": "JSD", "mae": "MAE", "rmse": "RMSE", "crps": "CRPS", "ncrps": "nCRPS"}
TITLES = {
    1: "Fidelity", 2: "JSD by traffic pattern", 3: "Without proximity, population or POI",
    4: "Without attention (NA) or guidance (NC)", 6: "Fidelity, further data",
}  # fmt: skip
BAR, GAP, LEFT, WIDTH = (
    18,
    6,
    260,
    720,
)  # height of a bar, space below it, room for names, width: units of the SVG


def markdown(result: dict[str, Any]) -> str:
    """The whole table, with a heading of what it was made with."""
    budget, seeds = result["budget"], result["seeds"]
    lines = [
        f"# Table {result['table']}: {TITLES[result['table']]}",
        f"{'Seed' if len(seeds) == 1 else 'Seeds'} {', '.join(map(str, seeds))}, {result['samples']} weeks a row, "
        f"at most {budget['updates']} updates of {budget['batch']} weeks, mean ± deviation over seeds; "
        + ", ".join(f"{name} {value}" for name, value in result["versions"].items())
        + ".",
    ]
    if missing := result.get("left_out"):
        lines.append(f"Not asked for in this run, so not compared: {'; '.join(missing)}.")
    for name, city in result["cities"].items():
        lines += [f"## {name}", f"{city['rows']} rows, {city['split']}."]
        if missing := city.get("not_possible"):
            lines.append(f"This data set lacks what these need: {'; '.join(missing)}.")
        lines.append(pattern_table(city) if result["table"] == 2 else figure_table(city))
        lines += sentences(city)
    return "\n\n".join(lines) + "\n"


def figure_table(city: dict[str, Any]) -> str:
    """The four figures of each row, with the share of eq. 12 where the table has it, nCRPS and seconds."""
    rows = []
    shares = city.get("degradation", {})
    heading = [cell for name in FOUR for cell in ((NAMES[name], "Ψ") if shares else (NAMES[name],))]
    for name, model in city["models"].items():
        cells = []
        for figure in FOUR:
            cells.append(cell(model["mean"][figure], model["deviation"][figure]))
            if shares:
                share = shares.get(name, {}).get(figure)
                cells.append("" if share is None else f"{share:.1f} %")
        cells.append(cell(model["mean"]["ncrps"], model["deviation"]["ncrps"]))
        rows.append([name, *cells, f"{model['cpu_seconds']:.0f}"])
    return grid(["model", *heading, NAMES["ncrps"], "CPU s"], rows)


def pattern_table(city: dict[str, Any]) -> str:
    """JSD of each row by traffic pattern: within it, and against the others."""
    patterns = city["patterns"]
    heading = [f"pattern {name} ({count} rows)" for name, count in patterns.items()]
    rows = []
    for name, model in city["models"].items():
        found = [model.get(pattern) for pattern in patterns]
        rows.append([name, *(cell(f["same"], f["deviation"]) if f else "" for f in found)])
        rows.append([f"{name}, against the others", *(f"{f['others']:.4f}" if f else "" for f in found)])
    return grid(["model", *heading], rows)


def sentences(city: dict[str, Any]) -> list[str]:
    """Where `default` is first, and where another one is."""
    told = []
    for figure, one in city.get("lead", {}).items():
        apart, error = one["behind"], one["standard_error"]
        if apart <= 0:
            said = f"first, {-apart:.4f} ahead of {one['best_other']}"
        elif apart <= error:
            said = f"within one standard error of {one['best_other']}, {apart:.4f} behind"
        else:
            said = f"behind {one['best_other']} by {apart:.4f}"
        told.append(f"- {NAMES[figure]}: `default` is {said} (standard error over folds {error:.4f})")
    return ["\n".join(told)] if told else []


def cell(mean: float, deviation: float | None) -> str:
    """A mean and its deviation over seeds, if there are several."""
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def grid(heading: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def drawing(result: dict[str, Any]) -> str:
    """Bars of nCRPS (Table 2: the mean JSD over patterns) of each row, with the deviation over seeds."""
    parts, top = [], 30
    for name, city in result["cities"].items():
        bars = heights(result["table"], city)
        longest = max((value + spread for _, value, spread in bars), default=0) or 1.0
        unit = (WIDTH - LEFT - 90) / longest
        what = "JSD within the pattern" if result["table"] == 2 else NAMES["ncrps"]
        parts.append(f'<text x="10" y="{top}" class="h">{escape(name)}: {what}</text>')
        top += 12
        for row, value, spread in bars:
            middle, end = top + BAR / 2, LEFT + value * unit
            parts.append(
                f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(row)}</text>'
                f'<rect x="{LEFT}" y="{top}" width="{value * unit:.1f}" height="{BAR}"/>'
                f'<line x1="{end - spread * unit:.1f}" x2="{end + spread * unit:.1f}" y1="{middle}" y2="{middle}"/>'
                f'<text x="{end + spread * unit + 6:.1f}" y="{middle + 4}">{value:.3f}</text>'
            )
            top += BAR + GAP
        top += 30
    style = (
        "text{font:12px sans-serif;fill:#22303a}.h{font-weight:bold}rect{fill:#0b6e99}"
        "line{stroke:#e08a1e;stroke-width:3}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">'
        f'<style>{style}</style><rect width="100%" height="100%" style="fill:#fff"/>{"".join(parts)}</svg>\n'
    )


def heights(table: int, city: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Name, value and deviation of each bar."""
    if table != 2:
        return [
            (name, model["mean"]["ncrps"], model["deviation"]["ncrps"] or 0.0)
            for name, model in city["models"].items()
        ]
    bars = []
    for name, model in city["models"].items():
        if model:
            same = [one["same"] for one in model.values()]
            bars.append((name, sum(same) / len(same), 0.0))
    return bars
