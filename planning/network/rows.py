"""Rows of a table from elsewhere as sites and cells, with every attribute that they have."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from plannerbase.report import Report, rows_of
from planning.arfcn import frequency_of_channel
from planning.equipment import CAPACITY, COVERAGE
from planning.network.cells import CELL_COLUMNS, LIMITS, TEXT_COLUMNS
from planning.network.directions import azimuths_of, is_omni
from planning.network.headings import HEADINGS, compact, has_unit, quantities, unit_without_a_word, with_units
from planning.network.network import SITE_COLUMNS
from planning.network.technologies import Carrier, carriers_of

MAX_EXTRAS, MAX_TEXT = 60, 500  # columns that are kept as they are, and letters of their values
_FOLDED = ("channel", "electrical_tilt_deg", "mechanical_tilt_deg", "eirp_dbm")  # end up in other columns
_SPREAD_DEG = 0.01
MAX_STATES = 20  # different texts up to which a column of states is one
_STATUS = {
    "active",
    "status",
    "state",
    "sitestatus",
    "cellstatus",
    "statut",
    "etat",
    "estado",
    "stato",
    "状态",
    "站点状态",
}
_ON_AIR = {
    "active", "activated", "onair", "live", "inservice", "enservice", "operational", "operating", "on", "1", "yes",
    "true", "ok", "running", "unlocked", "enabled", "actif", "activo", "ativo", "attivo", "aktiv", "inbetrieb",
    "existing", "built", "在网", "现网", "运行", "正常", "techniquementoperationnel",
}  # fmt: skip
_NOT_KEPT = {"geometry", "layer", "asleep_hours", "lon", "lat"}
_WORDS = {
    "azimuth": "azimuth", "technology": "technology", "band": "band", "frequency_mhz": "frequency",
    "bandwidth_mhz": "bandwidth", "beamwidth_deg": "beam width", "vertical_beamwidth_deg": "vertical beam width",
    "height_m": "height", "tilt_deg": "tilt", "power_dbm": "power", "gain_dbi": "gain", "layers": "layers",
    "capacity_mbps": "capacity", "prbs": "PRBs",
}  # fmt: skip


def sites_and_cells(table: pd.DataFrame, report: Report) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(a row a site, a row a cell) of a table of `attributes` whose places are numbers. What was assumed, split or left
    out goes into the report."""
    table = _with_texts(table)
    table["site"] = _site_names(table, report)
    sites = table.drop_duplicates("site")[[c for c in SITE_COLUMNS if c in table]]
    _report_shared_places(sites, report)
    _report_spread(table, report)
    if "cell" not in table and "sector" in table and not table.duplicated(["site", "sector"]).any():
        table = table.rename(columns={"sector": "cell"})
    table = _by_direction(table, report)
    states_carrier = any(c in table for c in ("technology", "band", "frequency_mhz"))
    if "cell" not in table and not states_carrier:
        table = _with_default_carriers(table, report)
    else:
        table = _by_carrier(table, report)
    if "radio_unit" in table:
        table["radio_unit"] = _of_site(table, "radio_unit")
    if "sector" in table:
        table["sector"] = _of_site(table, "sector")
    table["cell"] = _cell_names(table, report)
    return sites, table.drop(columns=["lon", "lat"])


def _report_shared_places(sites: pd.DataFrame, report: Report) -> None:
    """Names at one place may be sectors of one site; they stay sites, and that is said."""
    again = sites.duplicated(["lon", "lat"])
    if again.any():
        report.assumed(
            "sites have the very place of another and stay apart; where they are sectors of one site, map a column "
            "that names it",
            int(again.sum()),
            sites.loc[again, "site"],
        )


def _with_texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with texts alone in the columns that are read as such: what one of several layers lacks is empty."""
    names = [name for name in (*TEXT_COLUMNS, "azimuth") if name in table]
    # nothing among texts still counts as a text column where pandas has a type for texts
    mixed = [n for n in names if table[n].isna().any() or infer_dtype(table[n], skipna=False) != "string"]
    return table.assign(**{name: _texts(table[name]) for name in mixed})


def assumptions(cells: pd.DataFrame) -> str:
    """What no file stated, in a sentence; "" where all was."""
    counts: Counter[str] = Counter()
    for text, count in cells["assumed"].value_counts().items():
        for name in str(text).split(","):
            counts[name] += int(count)
    by_count: dict[int, list[str]] = {}
    for name, words in _WORDS.items():
        if counts[name]:
            by_count.setdefault(counts[name], []).append(words)
    parts = [
        f"{', '.join(words)} of {'all' if count == len(cells) else f'{count:,}'} cells"
        for count, words in sorted(by_count.items(), reverse=True)
    ]
    return f"Assumed, as the file does not say: {'; '.join(parts)}" if parts else ""


def attributes(frame: pd.DataFrame, used: dict[str, str], report: Report) -> pd.DataFrame:
    """The frame under our names, in our units, and the rest of its columns as they are. used: our column -> the
    frame's."""
    out: dict[str, np.ndarray] = {}
    for ours, theirs in used.items():
        if theirs not in frame:
            continue
        column = frame[theirs]
        if ours in ("lon", "lat"):
            out[ours] = column.to_numpy(float)
        elif ours == "is_coverage":
            out[ours] = _roles(column)
        elif ours in TEXT_COLUMNS or ours == "azimuth":
            out[ours] = _texts(column)
        else:
            stated = with_units(column, ours, theirs, frame)
            out[ours] = quantities(stated, ours, theirs)
            if ours in ("power_dbm", "eirp_dbm") and stated is column and not has_unit(ours, theirs):
                unit = {
                    "": "dBm",
                    "w": "W, as it holds too much for dBm",
                    "mw": "mW, as it holds too much for W",
                    "0.1dbm": "tenths of a dBm, as it holds too much for dBm and for W",
                }
                report.assumed(
                    f"The column {theirs} names no unit and was read as {unit[unit_without_a_word(column, ours)]}"
                )
            if (
                ours == "frequency_mhz"
                and "band" not in used
                and (names := _carrier_names(column)) is not None
            ):
                out["band"] = names
    _turn_down(out, used, report)
    _tell_status(frame, report)
    table = _folded(pd.DataFrame(out, index=frame.index), used, report)
    taken = set(used.values())
    extras = [c for c in frame.columns if str(c) not in taken and _is_kept(str(c), frame[c])][:MAX_EXTRAS]
    for column in extras:
        table[str(column)] = _plain(frame[column])
    if extras:
        report.taken(f"Kept with the cells as they are: {', '.join(map(str, extras))}")
    return table.reset_index(drop=True)


def _carrier_names(column: pd.Series) -> np.ndarray | None:
    """(rows,) text of a column of carriers that names technologies ("LTE 1800 F1") instead of numbers, else None."""
    texts = _texts(column)
    named = [text for text in set(texts) if text]
    return texts if named and all(carriers_of("", text)[0].technology for text in named) else None


def _turn_down(out: dict[str, np.ndarray], used: dict[str, str], report: Report) -> None:
    """Tilts of a file that writes downtilts as negative numbers, positive in place: no network tilts all of its
    antennas up. A column with our own name is as it stands, and a mechanical tilt may be up where another is down."""

    def is_negative(name: str) -> bool:
        values = out.get(name, np.zeros(0))
        return used.get(name) != name and bool((values < 0).any()) and not (values > 0).any()

    names = [name for name in ("tilt_deg", "electrical_tilt_deg") if is_negative(name)]
    mechanical = out.get("mechanical_tilt_deg", np.zeros(0))
    if names and (mechanical > 0).any():
        report.assumed(
            f"Positive values of {used['mechanical_tilt_deg']} are read as downtilts, though those of "
            f"{used[names[0]]} are negative"
        )
    if is_negative("mechanical_tilt_deg") and (names or not {"tilt_deg", "electrical_tilt_deg"} & set(out)):
        names.append("mechanical_tilt_deg")
    for name in names:
        report.fixed(
            f"values of {used[name]} are negative and no other is positive; they were read as downtilts",
            int((out[name] < 0).sum()),
        )
        out[name] = np.abs(out[name])


def _tell_status(frame: pd.DataFrame, report: Report) -> None:
    """Say which rows are not on air by the file's own words; whoever wants them out has to say so."""
    column = next((c for c in frame.columns if compact(c) in _STATUS), None)
    if column is None:
        return
    texts = pd.Series(_texts(frame[column])).str.casefold()
    other = ~texts.map(compact).isin(_ON_AIR) & (texts != "")
    if other.all() or not other.any() or texts.nunique() > MAX_STATES:
        return
    report.assumed(
        f"rows state by {column} that they are not on air and were taken all the same; delete them from the file if "
        "they are not to be planned with",
        int(other.sum()),
        texts[other].unique(),
    )


def _is_kept(name: str, values: pd.Series) -> bool:
    return (
        name.casefold() not in _NOT_KEPT
        and name not in (*CELL_COLUMNS, *SITE_COLUMNS, *HEADINGS)
        and bool(values.notna().any())
    )


def _plain(values: pd.Series) -> np.ndarray:
    """Numbers as floats, everything else as text."""
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return values.to_numpy(float, na_value=np.nan)
    return np.array([t[:MAX_TEXT] for t in _texts(values)], object)


def _texts(values: pd.Series) -> np.ndarray:
    """(rows,) text, "" where empty; whole numbers without a point."""
    if pd.api.types.is_float_dtype(values.dtype):
        return np.array(["" if v != v else f"{v:.17g}" for v in values.tolist()], object)
    return values.astype(object).where(values.notna(), "").astype(str).str.strip().to_numpy(object)


def _roles(values: pd.Series) -> np.ndarray:
    """(rows,) True, False or None of "coverage", "yes", 1, "capacity", ..."""
    text = _texts(values)
    known = {t: True for t in ("true", "1", "1.0", "yes", "coverage")}
    known |= {t: False for t in ("false", "0", "0.0", "no", "capacity")}
    return np.array([known.get(t.lower()) for t in text], object)


def _folded(table: pd.DataFrame, used: dict[str, str], report: Report) -> pd.DataFrame:
    """Channel numbers as frequencies, two tilts as one, EIRP as power; values outside the limits count as missing."""
    table = table.copy()
    if "channel" in table and "frequency_mhz" not in table:
        technology = table["technology"] if "technology" in table else np.full(len(table), "", object)
        table["frequency_mhz"] = frequency_of_channel(table["channel"].to_numpy(float), technology)
    if "tilt_deg" not in table:
        parts = [
            table[c].to_numpy(float) for c in ("electrical_tilt_deg", "mechanical_tilt_deg") if c in table
        ]
        if parts:
            both = np.stack(parts)
            table["tilt_deg"] = np.where(np.isnan(both).all(axis=0), np.nan, np.nansum(both, axis=0))
    if "eirp_dbm" in table and "power_dbm" not in table:
        table["power_dbm"] = np.nan  # filled once the gain is known
    for column, (low, high) in (LIMITS | {"eirp_dbm": LIMITS["power_dbm"]}).items():
        if column in table and column != "azimuth":
            values = table[column].to_numpy(float)
            good = (values >= low) & (values <= high)
            if wrong := int((~good & ~np.isnan(values)).sum()):
                report.left_out(
                    f"values of {used.get(column, column)} were not taken, as they are not between {low:g} and "
                    f"{high:g} in the unit of {column}",
                    wrong,
                    [f"{value:g}" for value in values[~good & ~np.isnan(values)][:3]],
                )
            table[column] = np.where(good, values, np.nan)
    return table.drop(columns=[c for c in _FOLDED if c in table and c != "eirp_dbm"])


def _site_names(table: pd.DataFrame, report: Report) -> np.ndarray:
    """(rows,) names; rows without one are named by their place."""
    names = table["site"].to_numpy(object) if "site" in table else np.full(len(table), "", object)
    bare = names == ""
    if bare.any():
        at = table.loc[bare, ["lon", "lat"]].round(6).apply(tuple, axis=1)
        number = pd.factorize(at)[0]
        used = set(names)
        names = names.copy()
        names[bare] = [f"S{i + 1:05d}" + "'" * (f"S{i + 1:05d}" in used) for i in number]
        if bare.all():
            report.assumed("No column of site names: rows at one place are one site")
        else:
            report.fixed("rows name no site: those at one place are one site", int(bare.sum()), rows_of(bare))
    return names


def _report_spread(table: pd.DataFrame, report: Report) -> None:
    places = table.groupby("site")[["lon", "lat"]]
    spread = (places.max() - places.min()).max(axis=1) > _SPREAD_DEG
    if spread.any():
        report.fixed(
            f"sites have rows more than {_SPREAD_DEG:g} degrees apart; the first row counts",
            int(spread.sum()),
            spread.index[spread],
        )


def _by_direction(table: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Azimuths as numbers; a row that lists several ("0/120/240") becomes one for each."""
    if "azimuth" not in table:
        return table
    low, high = LIMITS["azimuth"]
    known: dict[str, list[float]] = {}
    texts = table["azimuth"].tolist()
    omni = np.array([is_omni(text) for text in texts], bool)
    if omni.any():
        width = (
            table["beamwidth_deg"].to_numpy(float)
            if "beamwidth_deg" in table
            else np.full(len(table), np.nan)
        )
        table = table.assign(beamwidth_deg=np.where(omni, 360.0, width))
        texts = ["0" if round_ else text for text, round_ in zip(texts, omni, strict=True)]
        report.taken("rows say that their cell is omnidirectional", int(omni.sum()))
    for text in set(texts):
        known[text] = [a for a in azimuths_of(text) if low <= a <= high] or [np.nan]
    lists = [known[text] for text in texts]
    counts = np.array([len(v) for v in lists])
    words = sum(not any(c.isdigit() for c in t) and not np.isnan(known[t][0]) for t in texts)
    if words:
        report.fixed("rows give the azimuth as a compass point (such as N or SW), read in degrees", words)
    odd = int(sum(np.isnan(v[0]) for v in lists))
    if odd:
        report.assumed("rows state no azimuth; their cells are omnidirectional or spread evenly", odd)
    if (counts > 1).any():
        report.fixed("rows list several azimuths and became a cell for each", int((counts > 1).sum()))
    out = table.loc[np.repeat(table.index, counts)].reset_index(drop=True)
    out["azimuth"] = np.concatenate(lists) if lists else np.empty(0)
    if "cell" in out and (counts > 1).any():
        number = np.concatenate([np.arange(1, c + 1) for c in counts])
        out["cell"] = out["cell"].where(
            np.repeat(counts == 1, counts), out["cell"] + "-" + number.astype(str)
        )
    return out


def _with_default_carriers(table: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Rows that name neither cells nor carriers are sites or sectors: each gets the cells of the default site."""
    if "azimuth" not in table or table["azimuth"].isna().all():
        first = table.drop_duplicates("site").reset_index(drop=True)
        if len(first) < len(table):
            report.left_out(
                "rows repeat the name of a site and were left out; map a column of cells to keep them",
                len(table) - len(first),
            )
        directions = np.array([0.0, 120.0, 240.0])
        table = first.loc[np.repeat(first.index, len(directions))].reset_index(drop=True)
        table["azimuth"] = np.tile(directions, len(first))
        guessed = "azimuth,technology"
        report.assumed("No column of cells: each site gets the default cells in three sectors (assumed)")
    else:
        guessed = "technology"
        report.assumed(
            "No column of cells or technologies: each row is a sector with the default cells (assumed)"
        )
    kinds = (COVERAGE.technology, CAPACITY.technology)
    parts = [table.assign(technology=kind, assumed=guessed) for kind in kinds]
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def _by_carrier(table: pd.DataFrame, report: Report) -> pd.DataFrame:
    """A row for each carrier that the texts of technology and band name."""
    blank = np.full(len(table), "", object)
    technology = table["technology"].to_numpy(object) if "technology" in table else blank
    band = table["band"].to_numpy(object) if "band" in table else blank
    pairs = list(zip(technology, band, strict=True))
    known: dict[tuple[str, str], tuple[Carrier, ...]] = {p: carriers_of(*p) for p in set(pairs)}
    lists = [known[p] for p in pairs]
    unknown = Counter(
        t for (t, _), found in zip(pairs, lists, strict=True) if t and not any(c.technology for c in found)
    )
    if unknown:
        named = [repr(t) for t, _ in unknown.most_common(3)]
        report.assumed(
            "cells of an unknown technology are taken as 4G (assumed)", sum(unknown.values()), named
        )
    counts = np.array([len(v) for v in lists])
    several = counts > 1
    if several.any():
        report.fixed("rows name several technologies or bands and became a cell for each", int(several.sum()))
    out = table.loc[np.repeat(table.index, counts)].reset_index(drop=True)
    carriers = [c for v in lists for c in v]
    out["technology"] = [c.technology for c in carriers]
    raw = np.repeat(band, counts)
    out["band"] = [
        c.band or ("" if c.frequency_mhz or c.technology else r) for c, r in zip(carriers, raw, strict=True)
    ]
    named_mhz = np.array([np.nan if c.frequency_mhz is None else c.frequency_mhz for c in carriers])
    given = out["frequency_mhz"].to_numpy(float) if "frequency_mhz" in out else np.full(len(out), np.nan)
    # a frequency of a row that is split belongs to none of its carriers for sure
    given = np.where(np.repeat(several, counts), np.nan, given)
    out["frequency_mhz"] = np.where(np.isnan(given), named_mhz, given)
    if several.any() and "cell" in out:
        suffix = [c.band or c.technology or "4G" for c in carriers]
        joined = out["cell"] + "-" + np.array(suffix, object)
        out["cell"] = out["cell"].where(~np.repeat(several, counts), joined)
    return out


def _of_site(table: pd.DataFrame, column: str) -> np.ndarray:
    """(rows,) names; one that several sites use gets the site's name before it."""
    names = table[column].astype(str)
    shared = table.groupby(names)["site"].transform("nunique") > 1
    return names.where((names == "") | ~shared, table["site"] + "/" + names).to_numpy(object)


def _cell_names(table: pd.DataFrame, report: Report) -> np.ndarray:
    """(rows,) unique names; those of the file where they are, else SITE-CARRIER-NUMBER."""
    if "cell" not in table:
        carrier = table["band"] if "band" in table else table["technology"]
        label = np.where(carrier.to_numpy(object) == "", table["technology"].replace("", "4G"), carrier)
        stem = table["site"] + "-" + pd.Series(label, index=table.index)
        return (stem + "-" + (table.groupby(stem).cumcount() + 1).astype(str)).to_numpy(object)
    names = table["cell"].astype(str)
    bare = names == ""
    if bare.any():
        report.fixed("cells have no name and were given one", int(bare.sum()), rows_of(bare.to_numpy()))
        names = names.where(~bare, "cell")
    if names.duplicated().any() or bare.any():
        many = names.duplicated(keep=False)
        stem = table["site"] + "-" + names
        number = stem[many].groupby(stem[many]).cumcount().reindex(table.index, fill_value=0).astype(str)
        mended = stem + np.where(number == "0", "", "-" + number)
        names = mended if (many & ~bare).any() else names.where(~bare, mended)
        if names.duplicated().any():
            names = names + "-" + names.groupby(names).cumcount().astype(str)
        if (many & ~bare).any():
            report.fixed("Names of cells are not unique; the site's name was put before them")
    return names.to_numpy(object)
