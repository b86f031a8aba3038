"""The attributes of a cell, and what is assumed where a file does not state them.

A cell is a site x an azimuth x a carrier. Every attribute that was filled in here is named in the cell's `assumed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.numbers import numbers_of
from planning.bands import DEFAULT_BAND, DEFAULT_LAYERS, band_at, band_named, channel_prbs
from planning.equipment import CAPACITY, COVERAGE, Equipment, preset
from planning.errors import InputError

FIGURES = ("capacity_mbps", "idle_w", "slope_w_per_mbps", "sleep_w")  # of a cell, set by its equipment
RADIO_COLUMNS = (
    "band",  # "B3", "n41"
    "frequency_mhz",  # of the downlink carrier
    "bandwidth_mhz",
    "prbs",
    "beamwidth_deg",  # horizontal, 3 dB; 360: omnidirectional
    "vertical_beamwidth_deg",
    "height_m",  # of the antenna above ground
    "tilt_deg",  # downtilt, electrical and mechanical together
    "power_dbm",  # conducted, over all antennas, at full load
    "gain_dbi",  # of the antenna, peak
    "layers",  # spatial layers of the cell at best
)
FIRST_COLUMNS = (  # all that earlier versions knew
    "cell",
    "site",
    "azimuth",
    "technology",
    "equipment",
    "capacity_mbps",
    "is_coverage",
    "idle_w",
    "slope_w_per_mbps",
    "sleep_w",
)
CELL_COLUMNS = (
    *FIRST_COLUMNS,
    *RADIO_COLUMNS,
    "radio_unit",  # cells of one radio unit sleep together
    "sector",  # cells of a site that point the same way
    "assumed",  # names of the attributes that no file stated, with commas between
)
TEXT_COLUMNS = ("cell", "site", "technology", "equipment", "band", "radio_unit", "sector", "assumed")
# columns of tables of cells that are the site's, or that exports add
NOT_OF_CELLS = frozenset(
    {"lon", "lat", "bbu_w", "ac_slope", "ac_bias_w", "layer", "geometry", "asleep_hours", "eirp_dbm"}
)
SECTOR_DEG = 15.0  # cells of a site within this are one sector

# assumed where nothing is stated; an antenna as CloudRF and most planning tools preset it
HEIGHT_M = 25.0  # the UMa station of TR 38.901, table 7.2-1
TILT_DEG = 6.0
BEAMWIDTH_DEG = 65.0  # TR 38.901, table 7.3-1
NARROW_BEAMWIDTH_DEG = 33.0  # of sites with more than four sectors
VERTICAL_BEAMWIDTH_DEG = 8.0
GAIN_DBI = 17.0
OMNI_GAIN_DBI = 11.0
COVERAGE_BELOW_MHZ = 1000.0  # a cell of any technology below is a coverage cell
# lowest and highest that an attribute may be
LIMITS = {
    "azimuth": (-360.0, 720.0),
    "frequency_mhz": (100.0, 100_000.0),
    "bandwidth_mhz": (0.1, 2_000.0),
    "prbs": (1.0, 1_000.0),
    "beamwidth_deg": (1.0, 360.0),
    "vertical_beamwidth_deg": (1.0, 360.0),
    "height_m": (0.5, 1_000.0),
    "tilt_deg": (-90.0, 90.0),
    "power_dbm": (-30.0, 90.0),
    "gain_dbi": (-20.0, 60.0),
    "layers": (1.0, 64.0),
}


def completed(cells: pd.DataFrame) -> pd.DataFrame:
    """A row a cell with all of CELL_COLUMNS, typed, from a table with at least `cell` and `site`.

    Absent columns and empty values are filled from the preset of the cell's equipment or technology, its band and the
    assumptions above, and named in `assumed`; names that `assumed` holds already stay. Further columns stay at the end,
    as numbers or text. Raises InputError for a value that is no number.
    """
    table = _Filling(cells)
    technology = table.text("technology", lambda: _technologies(cells))
    equipment = table.text("equipment", lambda: _of_each(technology, lambda t: preset(t).name))
    presets = {name: preset(name) for name in set(technology)} | {
        name: preset(name) for name in set(equipment) if _is_preset(name)
    }
    kind = [
        presets[e] if e in presets else presets[t] for e, t in zip(equipment, technology, strict=True)
    ]  # of each cell, for its gaps
    _fill_carrier(table, technology, kind)
    _fill_antenna(table)
    radiated = np.array([k.radiated_w for k in kind])
    share = table["bandwidth_mhz"] / np.array([k.bandwidth_mhz for k in kind])
    table.number("power_dbm", 30 + 10 * np.log10(radiated * share))
    if "eirp_dbm" in cells:
        table.put("power_dbm", cells["eirp_dbm"].to_numpy(float) - table["gain_dbi"])
    table.number("layers", [DEFAULT_LAYERS[t] for t in technology])
    capacity = np.array([k.capacity_mbps for k in kind]) * share
    table.number("capacity_mbps", capacity)
    for figure in ("idle_w", "slope_w_per_mbps", "sleep_w"):
        table.number(figure, [getattr(k, figure) for k in kind])
    role = (np.array(technology, object) != "5G") | (table["frequency_mhz"] < COVERAGE_BELOW_MHZ)
    table.flag("is_coverage", role)
    table.text("radio_unit", lambda: cells["cell"].astype(str).tolist())
    table.text("sector", lambda: sector_names(table.done))
    return table.result()


def _of_each(names: list[str], what: Callable[[str], Any]) -> list[Any]:
    """What each name has, looked up once a name."""
    known = {name: what(name) for name in set(names)}
    return [known[name] for name in names]


def of_earlier_version(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells saved before they had radio attributes, for `completed`: where all cells of a site point north, no azimuth
    was known."""
    azimuth = numbers_of(cells["azimuth"])
    turned = pd.Series(azimuth != 0.0).groupby(cells["site"].to_numpy()).transform("any").to_numpy()
    return cells.assign(azimuth=np.where(turned, azimuth, np.nan))


def sector_names(cells: pd.DataFrame) -> list[str]:
    """(cells,) "SITE/1", "SITE/2", ... clockwise from north; cells of a site within SECTOR_DEG share a sector.

    cells: site, azimuth, beamwidth_deg. Omnidirectional cells of a site are one sector, "SITE/0".
    """
    site, _ = pd.factorize(cells["site"].astype(str))
    azimuth = cells["azimuth"].to_numpy(float) % 360.0
    omni = cells["beamwidth_deg"].to_numpy(float) >= 360.0
    number = np.zeros(len(cells), int)
    rows = np.flatnonzero(~omni)
    rows = rows[np.lexsort((azimuth[rows], site[rows]))]
    bounds = np.flatnonzero(np.diff(site[rows])) + 1
    known: dict[bytes, np.ndarray] = {}  # most sites have the same azimuths
    for mine in np.split(rows, bounds):
        key = azimuth[mine].tobytes()
        if key not in known:
            known[key] = _sectors_of_site(azimuth[mine])
        number[mine] = known[key]
    return [f"{s}/{n}" for s, n in zip(cells["site"].astype(str), number.tolist(), strict=True)]


def check_cells(cells: pd.DataFrame) -> None:
    """Raises InputError for the first attribute that is outside its limits, with how many cells have it."""
    for column, (low, high) in LIMITS.items():
        values = cells[column].to_numpy(float)
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            i = int(bad.argmax())
            raise InputError(
                f"{counted(int(bad.sum()), 'cells have')} a {column} that is not between {low:g} and {high:g} "
                f"(first: {cells['cell'].iloc[i]} with {values[i]:g})."
            )


def stated(cells: pd.DataFrame, *attributes: str) -> pd.DataFrame:
    """The cells with these attributes no longer among the assumed."""
    gone = set(attributes)
    texts = {t: ",".join(a for a in t.split(",") if a not in gone) for t in set(cells["assumed"])}
    return cells.assign(assumed=cells["assumed"].map(texts))


def is_assumed(cells: pd.DataFrame, attribute: str) -> np.ndarray:
    """(cells,) bool, whether no file stated the attribute."""
    number, texts = pd.factorize(cells["assumed"])
    return np.array([attribute in str(t).split(",") for t in texts], bool)[number]


class _Filling:
    """A table of cells that is being completed, and what was filled of each row."""

    def __init__(self, cells: pd.DataFrame):
        self.given = cells
        self.done = pd.DataFrame({c: cells[c].astype(str).to_numpy(object) for c in ("cell", "site")})
        self.filled: dict[str, np.ndarray] = {}
        self._missing: dict[str, np.ndarray] = {}
        self._texts: dict[str, np.ndarray] = {}

    def __getitem__(self, column: str) -> np.ndarray:
        return self.done[column].to_numpy()

    def missing(self, column: str) -> np.ndarray:
        """(cells,) bool, where the file has no value."""
        if column not in self.given:
            return np.ones(len(self.given), bool)
        if column not in self._missing:
            values = self.given[column]
            empty = values.isna().to_numpy()
            if values.dtype == object or pd.api.types.is_string_dtype(values.dtype):
                empty = empty | (self._stripped(column) == "")
            self._missing[column] = empty
        return self._missing[column]

    def _stripped(self, column: str) -> np.ndarray:
        """(cells,) text without spaces around it."""
        if column not in self._texts:
            self._texts[column] = self.given[column].astype(str).str.strip().to_numpy(object)
        return self._texts[column]

    def text(self, column: str, default: Callable[[], list[str]]) -> list[str]:
        gap = self._gap(column)
        values = np.array(default(), object) if gap.any() else np.empty(len(gap), object)
        if not gap.all():
            values[~gap] = self._stripped(column)[~gap]
        self.done[column] = values
        return list(values)

    def number(self, column: str, default: object) -> None:
        gap = self._gap(column)
        values = np.array(np.broadcast_to(np.asarray(default, float), gap.shape))
        if not gap.all():
            numbers = numbers_of(self.given[column])
            wrong = np.isnan(numbers) & ~gap
            if wrong.any():
                raise InputError(
                    f"{counted(int(wrong.sum()), 'cells have')} no number in the column {column}."
                )
            values[~gap] = numbers[~gap]
        self.done[column] = values

    def flag(self, column: str, default: np.ndarray) -> None:
        gap = self._gap(column)
        values = default.astype(bool).copy()
        if not gap.all():
            values[~gap] = self.given[column].to_numpy()[~gap].astype(bool)
        self.done[column] = values

    def put(self, column: str, values: np.ndarray) -> None:
        """Fill the gaps of a column that was completed with what follows from stated attributes, where it is one."""
        use = self.filled[column] & np.isfinite(values)
        self.done.loc[use, column] = values[use]
        self.filled[column] = self.filled[column] & ~use

    def _gap(self, column: str) -> np.ndarray:
        self.filled[column] = self.missing(column)
        return self.filled[column]

    def result(self) -> pd.DataFrame:
        names = [c for c in CELL_COLUMNS if c in self.filled and self.filled[c].any()]
        was = (
            self.given["assumed"].where(self.given["assumed"].notna(), "").astype(str).tolist()
            if "assumed" in self.given
            else [""] * len(self.given)
        )
        made: dict[tuple[object, ...], str] = {}
        gaps = np.array([self.filled[c] for c in names], bool).reshape(len(names), len(self.given)).T
        keys = [(text, *row) for text, row in zip(was, gaps.tolist(), strict=True)]
        for key in set(keys):
            before = str(key[0]).split(",")
            filled = {n for n, gap in zip(names, key[1:], strict=True) if gap}
            made[key] = ",".join(c for c in CELL_COLUMNS if c in filled or c in before)
        self.done["assumed"] = np.array([made[k] for k in keys], object)
        extras = {
            c: _extra(self.given[c]) for c in self.given if c not in CELL_COLUMNS and c not in NOT_OF_CELLS
        }
        return pd.concat([self.done[list(CELL_COLUMNS)], pd.DataFrame(extras)], axis=1)


def _technologies(cells: pd.DataFrame) -> list[str]:
    """Of cells that state none: of their equipment's preset, else of their band, else 5G above 3 GHz and for channels
    wider than 20 MHz, else 4G."""
    out = [COVERAGE.technology] * len(cells)
    for column, limit in (("frequency_mhz", 3000.0), ("bandwidth_mhz", 20.0)):
        if column in cells:
            is_nr = numbers_of(cells[column]) > limit
            out = [CAPACITY.technology if nr else o for nr, o in zip(is_nr, out, strict=True)]
    if "band" in cells:
        names = cells["band"].map(str)  # a missing value stays none with astype(str)
        out = [
            "5G" if n.strip().lower().startswith("n") and band_named(n) else o
            for n, o in zip(names, out, strict=True)
        ]
    if "equipment" in cells:
        names = cells["equipment"].map(str)
        own = {n: preset(n).technology for n in set(names) if _is_preset(n)}
        out = [own.get(n, o) for n, o in zip(names, out, strict=True)]
    return out


def _extra(values: pd.Series) -> np.ndarray:
    """A column that the planner does not use, as numbers or text."""
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return values.to_numpy(float, na_value=np.nan)
    return values.astype(object).where(values.notna(), "").astype(str).to_numpy(object)


def _is_preset(name: str) -> bool:
    try:
        preset(name)
    except InputError:
        return False
    return True


def _fill_carrier(table: _Filling, technology: list[str], kind: list[Equipment]) -> None:
    """Band, frequency, bandwidth and PRBs: each from what is stated of the others, else the usual carrier."""
    cells = table.given
    frequency = np.where(
        table.missing("frequency_mhz"), np.nan,
        numbers_of(cells["frequency_mhz"]) if "frequency_mhz" in cells else np.nan,
    )  # fmt: skip
    names = cells["band"].astype(str).tolist() if "band" in cells else [""] * len(cells)
    no_band = table.missing("band")
    known: dict[tuple[str, str, float | None], tuple[str, float, float]] = {}
    keys = [
        (t, "" if gap else n.strip(), None if np.isnan(f) else float(f))
        for t, n, gap, f in zip(technology, names, no_band, frequency, strict=True)
    ]
    for key in set(keys):
        known[key] = _carrier(*key)
    carriers = [known[key] for key in keys]
    table.text("band", lambda: [c[0] for c in carriers])
    table.number("frequency_mhz", [c[1] for c in carriers])
    own = np.array([k.bandwidth_mhz for k in kind])
    usual = np.array([c[2] for c in carriers])
    by_default = np.array([gap and f is None for gap, (_, _, f) in zip(no_band, keys, strict=True)], bool)
    table.number("bandwidth_mhz", np.where(by_default & (np.array(technology) >= "4G"), own, usual))
    wide = list(
        zip(technology, table["bandwidth_mhz"].tolist(), table["frequency_mhz"].tolist(), strict=True)
    )
    prbs = {key: channel_prbs(*key) for key in set(wide)}
    table.number("prbs", [prbs[key] for key in wide])


def _carrier(technology: str, name: str, frequency: float | None) -> tuple[str, float, float]:
    """(band, MHz, bandwidth MHz) of what is stated; a name that no table knows stays as it is."""
    band = band_named(name, technology) if name else None
    if band is None and frequency is not None:
        band = band_at(frequency, technology)
    default = band_named(DEFAULT_BAND.get(technology, "B3"), technology)
    assert default is not None  # a constant of the table
    usual = band or default
    at = frequency if frequency is not None else usual.frequency_mhz
    label = usual.name if band is not None or frequency is None else ""
    return label, at, usual.bandwidth_mhz


def _fill_antenna(table: _Filling) -> None:
    """A stated azimuth makes a sector antenna. Cells of one site and carrier that state none are spread evenly; a
    single one is omnidirectional."""
    gap = table.missing("azimuth")
    carrier = table.done[["site", "technology", "band", "frequency_mhz"]][gap]
    groups = carrier.groupby(list(carrier.columns), sort=False)["site"]
    alike, place = np.ones(len(gap)), np.zeros(len(gap))
    if gap.any():
        alike[gap] = groups.transform("size")
        place[gap] = groups.cumcount()
    table.number("azimuth", 360.0 * place / alike)
    width = np.where(alike > 4, NARROW_BEAMWIDTH_DEG, BEAMWIDTH_DEG)
    table.number("beamwidth_deg", np.where(gap & (alike == 1), 360.0, width))
    omni = table["beamwidth_deg"] >= 360.0
    table.number("vertical_beamwidth_deg", VERTICAL_BEAMWIDTH_DEG)
    table.number("height_m", HEIGHT_M)
    table.number("tilt_deg", np.where(omni, 0.0, TILT_DEG))
    table.number("gain_dbi", np.where(omni, OMNI_GAIN_DBI, GAIN_DBI))


def _sectors_of_site(azimuth: np.ndarray) -> np.ndarray:
    """(cells,) numbers from 1 of ascending azimuths in degrees: a sector is no wider than SECTOR_DEG."""
    if len(azimuth) <= 1:
        return np.ones(len(azimuth), int)
    gap = np.diff(np.append(azimuth, azimuth[0] + 360.0))
    start = (int(gap.argmax()) + 1) % len(azimuth)  # begin after the widest gap, so that north cuts no sector
    turned = (np.roll(azimuth, -start) - azimuth[start]) % 360.0
    number, first, label = 1, 0.0, np.ones(len(azimuth), int)
    for i, angle in enumerate(turned.tolist()):
        if angle - first > SECTOR_DEG:
            number, first = number + 1, angle
        label[i] = number
    label = np.roll(label, start)
    # numbers clockwise from north
    _, first_row = np.unique(label, return_index=True)
    order = np.argsort(np.argsort(first_row))
    return order[label - 1] + 1
