"""Cells as crowds measure them: OpenCelliD and others of its form, clustered into sites, of one operator.

Such a row is a cell at an estimated position, named by country, network, area and cell codes (MCC, MNC, TAC, CID). The
headings are OpenCelliD's own, those of its copies (Kaggle, Mozilla), NetMonster's, or none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from plannerbase.headings import columns_named
from plannerbase.report import Report
from plannerbase.text import Refused, decoded
from planning.distinct import distinct
from planning.geometry import local_metres

MAX_CHAIN = 4000  # places of a chain that is cut; a longer one is a site
TOGETHER = 150  # places of chains that are cut in one call
_FAR_M = 1e12
CLUSTER_M = 50.0  # cells nearer than this to each other stand on one site (assumed)
CODES: dict[str, tuple[str, ...]] = {  # plain headings
    "radio": ("radio", "act", "rat", "tech", "technology", "networktype", "type", "nettype"),
    "mcc": ("mcc", "mobilecountrycode", "countrycode"),
    "net": ("net", "mnc", "mobilenetworkcode", "networkcode"),
    "area": ("area", "lac", "tac", "lactac", "laclactac", "areacode", "tacorlac"),
    "cell": ("cell", "cid", "cellid", "ci", "eci", "nci", "cellidentity", "lcid", "longcid"),
}
OPERATORS = ("operator", "operatorname", "mno", "carriername", "networkoperator", "provider", "operateur", "opérateur",
             "运营商", "运营商名称", "betreiber", "operador")  # fmt: skip
PLMN = ("plmn", "plmnid", "plmncode", "mccmnc", "mcc-mnc", "servingplmn", "homeplmn")
_PLMN = r"^\s*(?P<mcc>\d{3})(?:\s*[-/ ]\s*(?P<mnc>\d{1,3})|(?P<whole>\d{2,3}))\s*$"
_HEADS = (  # of a row of a file without a heading, and what its columns are
    (
        re.compile(r'"?(GSM|UMTS|LTE|NR|CDMA)"?(,[^,]*){13}'),
        "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal",
    ),
    (
        re.compile(
            r"(2G|3G|4G|5G|CDMA);\d{3};\d{1,3};\d+;\d*;[^;]*;[^;]*;-?[\d.]+;-?[\d.]+(;[^;]*)?(;[^;]*)?"
        ),
        "radio;mcc;net;cell;area;unit;pci;lat;lon;address;channel",
    ),
)
_GENERATION = {"2G": "GSM", "3G": "UMTS", "4G": "LTE", "5G": "NR"}
MAX_CODE = 99_999  # of a country or a network; SIDs of CDMA have five digits


def with_heading(data: bytes) -> bytes:
    """A CSV of cells with the heading that it lacks; any other file as it is."""
    first = next((x for x in decoded(data[:65_536]).splitlines() if x.strip() and not x.startswith("#")), "")
    for pattern, heading in _HEADS:
        if pattern.fullmatch(first.strip().removeprefix("\ufeff")):
            columns = first.count(";") + 1 if ";" in heading else len(heading.split(","))
            separator = ";" if ";" in heading else ","
            head = separator.join(heading.split(separator)[:columns])
            return head.encode() + b"\n" + decoded(data).removeprefix("\ufeff").encode()
    return data


def with_codes(table: pd.DataFrame) -> pd.DataFrame:
    """A table with columns mcc and mnc where one of networks ("460-00", "46000") holds both."""
    named = columns_named(table.columns, CODES | {"plmn": PLMN})
    if "plmn" not in named or {"mcc", "net"} & set(named):
        return table
    parts = _code(table[named["plmn"]]).str.extract(_PLMN)
    if parts["mcc"].isna().all():
        return table
    network = pd.to_numeric(parts["mnc"].fillna(parts["whole"])).astype("Int64")
    return table.assign(mcc=parts["mcc"], mnc=network)


def cell_codes(table: pd.DataFrame, used: dict[str, str]) -> dict[str, str] | None:
    """Our name of a code -> the table's column, where the rows are cells as crowds measure them; used: what else the
    headings tell. None for the table of an operator, which knows its sites or azimuths."""
    found = columns_named(table.columns, CODES)
    if not {"mcc", "net", "cell"} <= set(found) or "azimuth" in used:
        return None
    site = used.get("site")
    return None if site is not None and site not in found.values() else found


def chosen_network(
    table: pd.DataFrame, codes: dict[str, str] | None, network: str | None, report: Report
) -> np.ndarray:
    """(rows,) bool: the rows of one operator. network: "460-0" (MCC-MNC), or a name in a column of operators;
    None: all,
    and the report says whose. Raises `Refused` for one that is not there."""
    owner = _owners(table, codes or columns_named(table.columns, CODES))
    if owner is None:
        if network:
            raise Refused(f"names no operator, so that {network!r} cannot be chosen")
        return np.ones(len(table), bool)
    counts = owner.value_counts()
    listed = ", ".join(f"{name} ({count:,})" for name, count in counts.head(6).items())
    if network:
        mine = (owner.str.casefold() == _normal(network)).to_numpy(bool)
        if not mine.any():
            raise Refused(
                f"has no row of the network {network!r}; it has {listed}; choose one with --network"
            )
        if not mine.all():
            report.left_out(f"rows of other operators than {network} left out", int((~mine).sum()))
        return mine
    if len(counts) > 1:
        report.assumed(
            f"operators are taken as one network, whose cells help each other: {listed}; choose one with --network "
            f"{counts.index[0]}",
            len(counts),
        )
    return np.ones(len(table), bool)


def operators(table: pd.DataFrame) -> list[str]:
    """The operators that a table names, most rows first: "460-0", or names."""
    table = with_codes(table)
    owner = _owners(table, columns_named(table.columns, CODES))
    return [] if owner is None else [str(name) for name in owner.value_counts().index]


def _owners(table: pd.DataFrame, codes: dict[str, str] | None) -> pd.Series | None:
    if codes and {"mcc", "net"} <= set(codes):
        numbers = [pd.to_numeric(table[codes[c]], errors="coerce") for c in ("mcc", "net")]
        # what is no code is unknown
        known = [n.where((n % 1 == 0) & n.between(0, MAX_CODE)) for n in numbers]
        parts = [n.astype("Int64").astype("string") for n in known]
        return (parts[0].fillna("?") + "-" + parts[1].fillna("?")).astype("string")
    named = columns_named(table.columns, {"operator": OPERATORS})
    if "operator" not in named:
        return None
    return table[named["operator"]].astype("string").str.strip().fillna("(none)")


def _normal(network: str) -> str:
    """ "460-00" and "460/0" as "460-0"; a name in lower case."""
    code = re.fullmatch(r"\s*(\d{3})\s*[-/ ]\s*(\d{1,3})\s*", network)
    return f"{int(code[1])}-{int(code[2])}" if code else network.strip().casefold()


def clustered(table: pd.DataFrame, codes: dict[str, str], report: Report) -> pd.DataFrame:
    """site, cell, technology, lon, lat of rows with a place: cells that stand together are one site."""
    site = cluster_sites(table["lon"].to_numpy(float), table["lat"].to_numpy(float))
    texts = {c: _code(table[codes[c]]) if c in codes else pd.Series("", index=table.index) for c in CODES}
    radio = texts["radio"].str.upper().replace(_GENERATION)
    names = texts["cell"]
    for code in ("area", "net", "mcc"):
        names = texts[code] + "-" + names
    names = radio + "-" + names
    centre = table.groupby(site)[["lon", "lat"]].transform("mean")
    lower = {str(c).lower(): c for c in table.columns}
    estimated = 0
    if "changeable" in lower:
        estimated = int((pd.to_numeric(table[lower["changeable"]], errors="coerce") == 1).sum())
    report.assumed(
        f"OpenCelliD: cells within {CLUSTER_M:g} m stand on one site (assumed); {estimated:,} positions are estimates"
    )
    older = int(radio.isin(["GSM", "UMTS", "CDMA"]).sum())
    if older:
        report.assumed("cells of 2G and 3G take the energy figures of 4G equipment (assumed)", older)
    return pd.DataFrame(
        {
            "site": [f"OCID{i + 1:06d}" for i in site],
            "cell": names.to_numpy(object),
            "technology": radio.to_numpy(object),
            "lon": centre["lon"].to_numpy(),
            "lat": centre["lat"].to_numpy(),
        }
    )


def _code(values: pd.Series) -> pd.Series:
    """Codes as text: whole numbers without a point, "" where there is none."""
    if pd.api.types.is_float_dtype(values.dtype):
        values = values.map(lambda v: "" if v != v else f"{v:.17g}")
    return values.astype("string").fillna("").astype(object)


def _cut(points: np.ndarray, chains: list[np.ndarray], metres: float) -> Iterator[np.ndarray]:
    """(rows,) number from 1 of the site of each point of a chain, for one chain after the other: complete linkage.

    Chains are cut several at a time, as if they lay infinitely far from each other, since a call costs more than the
    work for a few points. Chains with equal distances, whose order decides, are cut alone.
    """
    waiting: list[np.ndarray] = []
    for mine in [*chains, None]:
        if waiting and (mine is None or sum(map(len, waiting)) + len(mine) > TOGETHER):
            yield from _cut_together(points, waiting, metres)
            waiting = []
        if mine is not None:
            waiting.append(mine)


def _cut_together(points: np.ndarray, chains: list[np.ndarray], metres: float) -> list[np.ndarray]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    if len(chains) == 1:
        return [fcluster(linkage(points[chains[0]], "complete"), metres, "distance")]
    rows = np.concatenate(chains)
    chain = np.repeat(np.arange(len(chains)), [len(mine) for mine in chains])
    distance = pdist(points[rows])
    a, b = np.triu_indices(len(rows), 1)
    inside = chain[a] == chain[b]
    pairs = np.lexsort((distance[inside], chain[a[inside]]))
    own, of = distance[inside][pairs], chain[a[inside]][pairs]
    tied = set(of[1:][(own[1:] == own[:-1]) & (of[1:] == of[:-1])].tolist())
    number = np.ones(len(rows), int)
    if len(tied) < len(chains):
        number = fcluster(linkage(np.where(inside, distance, _FAR_M), "complete"), metres, "distance")
    out = []
    for place, mine in enumerate(chains):
        cut = number[chain == place]
        if place in tied:
            cut = fcluster(linkage(points[mine], "complete"), metres, "distance")
        out.append(cut - cut.min() + 1)
    return out


def cluster_sites(lon: np.ndarray, lat: np.ndarray, metres: float = CLUSTER_M) -> np.ndarray:
    """(rows,) number of the site each place belongs to: places of a grid cell of `metres` merge, then complete
    linkage inside 3 x 3 such cells keeps every site narrower than `metres`."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    points = local_metres(lon, lat, (float(np.mean(lon)), float(np.mean(lat))))
    points = points.round(2)
    first_at, place = distinct(points[:, 0], points[:, 1])
    unique = points[first_at]
    pairs = cKDTree(unique).query_pairs(metres, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(unique),) * 2)
    parts, part = connected_components(graph, directed=False)
    order = np.argsort(part, kind="stable")
    first = np.searchsorted(part[order], np.arange(parts))
    size = np.diff(first, append=len(order))
    apart = np.maximum.reduceat(unique[order], first) - np.minimum.reduceat(unique[order], first)
    inner, pieces = np.ones(len(unique), int), np.ones(parts, int)
    # a chain of near places is cut where it grows wider than the limit
    wide = np.flatnonzero((size > 2) & (size <= MAX_CHAIN) & (np.hypot(*apart.T) > metres))
    chains = [order[first[number] : first[number] + size[number]] for number in wide.tolist()]
    for number, mine, cut in zip(wide.tolist(), chains, _cut(unique, chains, metres), strict=True):
        inner[mine], pieces[number] = cut, cut.max()
    label = (np.cumsum(pieces) - pieces)[part] + inner
    return np.unique(label[place], return_inverse=True)[1]
