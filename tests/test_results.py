"""What the documents say was measured is what the files of results hold, rounded as it is written there."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README, MEASURED = "README.md", "docs/results.md"
COLUMNS = ("ncrps", "nmae", "nrmse", "jsd", "coverage_50", "coverage_90", "level_r2")
# model in the evaluation of Nanchang, the first cell of its row, and whether README shows it too
TABLE = [
    ("default", "**OpenDiff Planner, `default`**", True),
    ("default, prior alone", "... prior alone, without the denoiser", True),
    ("default, POI and population", "... POI and population", True),
    ("default, imagery only", "... imagery only (177 of the 298 tiles have any)", False),
    ("default, another tile's condition", "... with another tile's condition", True),
    ("Gaussian-process level x 20 nearest shapes (registered POI and OSM POI)",
     "Gaussian-process level × nearest shapes, POI as ours", True),
    ("extra-trees level x 20 nearest shapes (registered POI and OSM POI)",
     "extra-trees level × nearest shapes, POI as ours", True),
    ("10 nearest tiles (registered POI and OSM POI)", "10 nearest tiles, POI as ours", False),
    ("random tiles", "random tiles", True),
]  # fmt: skip
ROWS = [
    (document, model, label)
    for document in (README, MEASURED)
    for model, label, in_readme in TABLE
    if in_readme or document == MEASURED
]
# document, what it says with {} for figures, file of results, and those figures with how they are written
SAID = [
    (README, "{} tile-weeks a second, {} times", "sampler",
     [("tile_weeks_per_second", "{:,.0f}"), ("speedup_vs_published", "{:,.0f}")]),
    (README, "{} s and {} s; loads of a day of 2,000 sites in {} s", "coverage",
     [("c300_seconds", "{:.1f}"), ("c2000_seconds", "{:.0f}"), ("coupling_2000_24_seconds", "{:.0f}")]),
    (README, "{} Mbit/s served, no plan more than {}; {} demands met", "prb",
     [("m60_7_50_heavy_downlink_served_mbps", "{:.1f}"), ("m60_7_50_heavy_downlink_served_bound_mbps", "{:.1f}"),
      ("m60_7_50_heavy_downlink_met", "{:.0f}")]),
    (README, "level R² {} / {} / {}", "measured",
     [("seoul_r2_k0", "{:.3f}"), ("seoul_r2_k20", "{:.3f}"), ("seoul_r2_k100", "{:.3f}")]),
    (README, "JSD {}, cosine {} (registered POI {}, {}; uniform {}, {})", "deployment",
     [("jsd_traffic", "{:.3f}"), ("cosine_traffic", "{:.3f}"), ("jsd_poi", "{:.3f}"), ("cosine_poi", "{:.3f}"),
      ("jsd_uniform", "{:.3f}"), ("cosine_uniform", "{:.3f}")]),
    (README, "usable after {} s, drawn area to traffic {} s, first sleep plan {} s", "app",
     [("ready_seconds", "{:.1f}"), ("draw_to_traffic_seconds", "{:.1f}"), ("first_plan_seconds", "{:.1f}")]),
    (README, "{} files for 48 readers", "robust", [("inputs_tried", "{:,.0f}")]),
    (MEASURED, "first four samples of each tile after {} s", "sampler", [("seconds_first_4_samples", "{:.2f}")]),
    (MEASURED, "{} s by one worker, {} s by two ({})", "sampler",
     [("seconds_20000_tiles_1_worker", "{:.0f}"), ("seconds_20000_tiles_2_workers", "{:.0f}"),
      ("share_of_time_2_workers", "{:.2f}")]),
    (MEASURED, "a million tile-weeks in {} s", "gpu", [("gpu_seconds_1m", "{:.2f}")]),
    (README, "proven within 1 % in {} s, within {} % in {} s", "sleep",
     [("s300_h24_seconds", "{:.1f}"), ("s2000_h24_gap", "{:.1%}"), ("s2000_h24_seconds", "{:.0f}")]),
    (MEASURED, "| 90 % | greedy, integer program (gap 0.65 %) | {} % | 0.000 % | {} % |", "sleep",
     [("saving_milp", "{:.1%}"), ("unseen_saving_milp", "{:.1%}")]),
    (MEASURED, "| 95 % | greedy, integer program | {} % | {} % | {} % |", "sleep",
     [("replay_saving", "{:.1%}"), ("replay_unserved_by_sleep", "{:.3%}"), ("replay_energy_regret", "{:.1%}")]),
    (MEASURED, "| reserve at the 99 % quantile | {} ({} %) | {} % |", "plans",
     [("sleep_q99_milp_generated_kwh_per_day", "{:,.0f}"), ("sleep_q99_milp_generated_saving", "{:.1%}"),
      ("sleep_q99_milp_generated_unserved_share", "{:.3%}")]),
]  # fmt: skip


def results(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


@pytest.mark.parametrize(("document", "model", "label"), ROWS)
def test_a_row_of_a_table_is_that_of_its_evaluation(document, model, label):
    figures = results("evaluation_nanchang")["models"][model]["figures"]
    shares = ("coverage_50", "coverage_90")
    expected = [f"{figures[c]:.1%}" if c in shares else f"{figures[c]:.3f}" for c in COLUMNS[:-1]]
    expected = [text.replace("%", " %") for text in expected] + [f"{figures['level_r2']:.2f}"]
    lines = (ROOT / document).read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| {label} |"))
    assert [cell.strip(" *") for cell in row.split("|")[2:-1]] == expected


@pytest.mark.parametrize(("document", "text", "name", "figures"), SAID)
def test_a_figure_in_the_text_is_that_of_its_file(document, text, name, figures):
    found = results(name)
    written = [form.format(found[key]).rstrip("%") for key, form in figures]
    assert text.format(*written) in (ROOT / document).read_text()
