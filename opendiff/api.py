"""The verbs of the package: generate traffic, fetch open data, load a model. `import opendiff` offers them.

They are a thin layer over the modules that the command line and the app use: `generated` is the command `generate`
without its options, `accepted_choices` what the command `fetch` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from opendiff.area import AnyArea, Tiles, tiles_and_area
from plannerbase.progress import Progress

if TYPE_CHECKING:
    from opendiff.base_generator import ConditionSource, EnsembleGenerator, OpenDataSource
    from opendiff.live.choices import Choices
    from opendiff.live.population import PopulationUnit
    from opendiff.measurements import Measurements
    from opendiff.open_data.sources import PackSource
    from opendiff.poi.tables import Datum
    from opendiff.traffic_table import TrafficEnsemble

__all__ = ["Generated", "accepted_choices", "fetch", "generate", "generated", "load_model"]


def load_model(
    name: str = "default", *, device: str = "auto", weights: str | Path | None = None
) -> EnsembleGenerator[Any]:
    """A model that turns open data into an ensemble of weeks.

    Parameters
    ----------
    name : {"default", "paper"}
        "default" comes with its weights; "paper" is the published method and has to be trained first.
    device : {"auto", "cpu", "cuda"}
        "auto" takes a GPU where there is one.
    weights : path, optional
        Folder that `python -m opendiff train` made; None: the weights as shipped.

    Returns
    -------
    EnsembleGenerator

    Raises
    ------
    ModelError
        For an unknown name, missing or damaged weights, or a device that is not there.

    References
    ----------
    Chai, Jiang and Yu, Diffusion Model-based Mobile Traffic Generation with Open Data for Network Planning and
    Optimization, KDD 2024; checkpoints/README.md for the model "default".
    """
    from opendiff.generator import TrafficGenerator

    return TrafficGenerator.load(name, device, weights)


def generate(
    area: AnyArea,
    *,
    source: str | Path | OpenDataSource | ConditionSource = "demo",
    samples: int = 20,
    measured: str | Path | Measurements | None = None,
    seed: int = 0,
    model: str | EnsembleGenerator[Any] = "default",
    guidance_scale: float | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> TrafficEnsemble:
    """Hourly traffic of one week for every zoom-15 tile of an area, as an ensemble.

    Parameters
    ----------
    area : Area, GeoDataFrame, GeoSeries, shapely polygon, (W, S, E, N), str or path
        An outline; the text of a box "W,S,E,N" in degrees WGS-84; a file (GeoJSON, KML, KMZ, GeoPackage, zipped
        Shapefile, CSV of tiles); or a GeoDataFrame of tiles with columns x, y and maybe covered_share.
    source : str, path or source
        "demo" (Nanchang), "demo:seoul", a pack as `fetch` makes it (a folder or a zip of one), or an object such as
        `opendiff.live.source.LiveSource`.
    samples : int
        Weeks a tile. They come in mirrored pairs, so an even number gives steadier means.
    measured : path or Measurements, optional
        Hourly counters of tiles or places (CSV, XLSX, Parquet); of cells by `opendiff.read_measurements`, which takes
        the network file as well. The ensemble is then conditioned on them and takes their unit.
    seed : int
        Same seed, same ensemble, whatever the batches, threads or machines.
    model : str or EnsembleGenerator
        A name for `load_model`, or what it returned, which saves loading it again.
    guidance_scale : float, optional
        mu of eq. 8 of the paper; None: the model's own.
    steps : int, optional
        Of the sampler, two network evaluations each; None: the model's own.
    progress : callable (done, total, what), optional
        Is told how far the work is.

    Returns
    -------
    TrafficEnsemble
        traffic and users (tiles, samples, 168) float32 from Monday 00:00 local time, relative units unless measured.
        Tiles about which the source knows nothing are left out; metadata["missing_tiles"] counts them and
        metadata["notes"] says what could not be had. metadata["area"] holds the outline, inside which sites are placed.

    Raises
    ------
    AreaError
        For an outline that is none, or too large.
    SourceError
        Where the source knows nothing about the area.
    ModelError
        For settings that no model takes, or weights that are missing.
    TableError
        For measurements that cannot be used.

    References
    ----------
    Chai, Jiang and Yu, KDD 2024, eqs. 7 to 11; docs/method.md says where `default` differs.

    Examples
    --------
    >>> week = opendiff.generate("115.90,28.66,115.96,28.71", samples=20)  # doctest: +SKIP
    """
    tiles, outline = tiles_and_area(area)
    generator = load_model(model) if isinstance(model, str) else model
    if isinstance(measured, str | Path):
        from opendiff.measured_files import read_measurements

        measured = read_measurements(measured)
    opened = _opened(source, tiles)
    ensemble = generated(
        generator, opened, tiles, samples=samples, measured=measured, seed=seed, guidance_scale=guidance_scale,
        steps=steps, progress=progress,
    ).ensemble  # fmt: skip
    if outline is not None:
        ensemble.metadata.update({"area": outline.to_geojson(), "area_name": outline.name})
    return ensemble


class Generated(NamedTuple):
    """An ensemble; what was noted of measurements and open data; tiles that the source knows nothing of."""

    ensemble: TrafficEnsemble
    notes: tuple[str, ...]
    missing_tiles: int


def generated(
    generator: EnsembleGenerator[Any],
    source: OpenDataSource | ConditionSource,
    tiles: Tiles,
    *,
    samples: int = 20,
    measured: Measurements | None = None,
    seed: int = 0,
    guidance_scale: float | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Generated:
    """As `generate`, from a loaded model, an open source and tiles. Raises Cancelled as well."""
    conditions = generator.conditions(source, tiles, progress)
    notes: tuple[str, ...] = ()
    if measured is not None:
        from opendiff.conditioned import condition

        told = condition(generator, source, measured, tiles, conditions)
        generator, notes = told, tuple(told.notes)
    ensemble = generator.generate(
        conditions,
        samples=samples,
        seed=seed,
        guidance_scale=guidance_scale,
        steps=steps,
        progress=progress,
        cancelled=cancelled,
    )
    return Generated(ensemble, (*notes, *conditions.notes), conditions.missing_tiles)


def fetch(
    area: AnyArea,
    *,
    out: str | Path,
    imagery: str = "esri",
    population: str = "worldpop",
    poi: str = "osm",
    base_map: str | None = None,
    country: str | Sequence[str] = (),
    poi_datum: Datum = "WGS-84",
    population_unit: PopulationUnit | None = None,
    poi_columns: Mapping[str, str] | None = None,
    accept_terms: bool = False,
    progress: Progress | None = None,
) -> PackSource:
    """Fetch imagery, population and places of an area into a pack, which works without a network from then on.

    Only what is missing is fetched, so an interrupted call goes on where it was.

    Parameters
    ----------
    area : as for `generate`
    out : path
        Folder of the pack; it is made where it is missing.
    imagery : str
        "esri", a tile address with {z}, {x} and {y}, a GeoTIFF, or "none".
    population : str
        "worldpop" (needs `country`), a GeoTIFF of people, or "none".
    poi : str
        "osm", an extract (.osm.pbf, .osm, .gpkg, .shp.zip), a table of places, or "none".
    base_map : {"osm", "none"}, optional
        Main roads, water, rail and place names for the app's maps; None: "osm" where `poi` is "osm", else "none".
    country : str or sequence of str
        ISO 3166 codes of three letters that WorldPop is asked for.
    poi_datum : {"WGS-84", "GCJ-02", "BD-09"}
        Of the positions in a table of places.
    poi_columns : mapping, optional
        Columns of a table of places whose headings do not tell: "lon", "lat" or "category" to its heading.
    population_unit : {"people", "per-km2"}, optional
        Of a GeoTIFF; None: as its name and tags say.
    accept_terms : bool
        You have read the imagery provider's terms and accept them.
    progress : callable (done, total, what), optional

    Returns
    -------
    PackSource
        A source for `generate`; its `notes` say what could not be had, its `attribution` whom to credit.

    Raises
    ------
    SourceError
        Where nothing at all can be had, terms are not accepted, or a choice makes no sense.
    AreaError
        For an outline that is none, or too large.

    References
    ----------
    Providers, licences and terms: docs/data.md.
    """
    from opendiff.live.fetching import Fetcher

    choices = accepted_choices(
        country=country, accept_terms=accept_terms, how='give accept_terms=True, or imagery="none"',
        imagery=imagery, population=population, poi=poi, base_map=base_map, poi_datum=poi_datum,
        population_unit=population_unit, poi_columns=tuple((poi_columns or {}).items()),
    )  # fmt: skip
    tiles, _ = tiles_and_area(area)
    fetcher = Fetcher(Path(out), choices, progress=progress)
    fetcher.area(tiles)
    return fetcher.store.pack()


def accepted_choices(
    *,
    country: str | Sequence[str],
    accept_terms: bool,
    how: str,
    poi: str = "osm",
    base_map: str | None = None,
    **chosen: Any,
) -> Choices:
    """What is to be fetched, where the terms of its imagery are accepted or there are none.

    Parameters
    ----------
    country : str or sequence of str
        Codes, as text with commas between them or one by one.
    accept_terms : bool
    how : str
        The words that accept the terms, for the error.
    poi : str
    base_map : str, optional
        None: "osm" where `poi` is "osm", else "none".
    **chosen
        The other fields of `Choices`.

    Raises
    ------
    SourceError
        For terms that are not accepted, and for choices that make no sense.
    """
    from opendiff.errors import SourceError
    from opendiff.live.choices import Choices

    codes = country.split(",") if isinstance(country, str) else country
    if base_map is None:
        base_map = "osm" if poi == "osm" else "none"
    listed = tuple(code.strip() for code in codes if code.strip())
    choices = Choices(country=listed, poi=poi, base_map=base_map, **chosen)
    if choices.imagery_is_live and not accept_terms:
        provider = choices.imagery_provider()
        raise SourceError(
            f"Imagery of {provider.name} is for use under its terms ({provider.terms}) with the credit "
            f"'{provider.attribution}'; read them and {how}."
        )
    return choices


def _opened(
    source: str | Path | OpenDataSource | ConditionSource, tiles: Tiles
) -> OpenDataSource | ConditionSource:
    """The source, with the open data of `tiles` fetched where it fetches."""
    if isinstance(source, str | Path):
        from opendiff.opening import open_source

        return open_source(str(source))
    if prepare := getattr(source, "prepare", None):
        prepare(tiles)
    return source
