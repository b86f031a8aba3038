"""`docs/figures.md` states the figures that the code uses, with their sources: its tables are these rows."""

import inspect
import math
from pathlib import Path

from app.background.deployment import SITES_PER_KM2
from planning import bands, demand, equipment, power_states, prices, radio
from planning.coverage import DEFAULT_LOAD, RadioSettings
from planning.coverage.rates import GAP_DB
from planning.coverage.settings import BAND_CLASSES_MHZ
from planning.deployment import costs, deploy, expansion, judging, sizing
from planning.deployment.sizing import size_network
from planning.network import cell_databases
from planning.network import cells as network_cells
from planning.propagation import building_loss_db
from planning.sleep import LABELS, QUANTILE, SleepSettings, offload

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs" / "figures.md").read_text()
UNITS = {
    "capacity_mbps": "Mbit/s",
    "idle_w": "W",
    "slope_w_per_mbps": "W per Mbit/s",
    "sleep_w": "W",
    "bbu_w": "W a site",
    "radiated_w": "W",
}
PLAIN = radio.Radio()


def default_of(function, name):
    """The default of an argument."""
    return inspect.signature(function).parameters[name].default


def percent(share):
    return f"{100 * share:g} %"


def equipment_rows():
    for kind in equipment.PRESETS.values():
        for figure, unit in UNITS.items():
            yield (kind.name, f"`{figure}`", f"{getattr(kind, figure):g} {unit}", kind.sources[figure])
    for depth, cut in equipment.SLEEP_DEPTHS.items():
        for kind in equipment.PRESETS.values():
            asleep = equipment.at_depth(kind, depth).sleep_w
            yield (kind.name, depth, f"{asleep:g} W", f"{percent(cut)} of {kind.idle_w:g} W idle")


def energy_rows():
    yield ("`ac_slope`", f"{equipment.AC_SLOPE:g}", equipment.AC_SOURCE)
    yield ("`ac_bias_w`", f"{equipment.AC_BIAS_W:g} W", "assumed")
    yield (
        "CO2 of a kWh",
        f"{prices.CO2_KG_PER_KWH:g} kg",
        "China, 2023 grid mean, Ministry of Ecology and Environment",
    )
    yield (
        "tariff",
        f"{prices.Prices().tariff}".lower(),
        "no default would be right; without one cost is left out",
    )


def traffic_rows():
    yield (
        "subscribers per km²",
        f"{demand.SUBSCRIBERS_PER_KM2:,.0f}",
        "assumed: dense Chinese city, one operator",
    )
    yield ("data of a subscriber", f"{demand.GB_PER_MONTH:g} GB a month", "assumed")
    yield ("active in a mean hour", f"{percent(demand.ACTIVE_SHARE)} of subscribers", "assumed")
    yield ("days of a month", f"{demand.DAYS_PER_MONTH:g}", "by definition")
    yield ("Mbit of a GB", f"{demand.MBIT_PER_GB:,.0f}", "by definition (decimal)")


def network_rows():
    yield ("sites of the app's preset", f"{SITES_PER_KM2:g} a km²", "assumed: about 900 m between sites")
    yield ("reserve quantile", f"{percent(default_of(size_network, 'quantile'))}", "assumed")
    yield ("headroom over the busy hour", f"{percent(default_of(deploy, 'headroom'))}", "assumed")
    yield ("users a site can serve", f"{judging.USERS_PER_SITE:,.0f}", "the paper, section 5.3")
    yield (
        "users of a tile that move in a step",
        f"{percent(judging.MOVING_SHARE)}",
        "assumed: the paper gives no G",
    )
    yield (
        "cells of one site lie within",
        f"{cell_databases.CLUSTER_M:g} m",
        "assumed, for files of cells without sites",
    )


def cell_rows():
    c = network_cells
    yield ("height of an antenna", f"{c.HEIGHT_M:g} m", "TR 38.901, table 7.2-1")
    yield ("downtilt", f"{c.TILT_DEG:g} degrees (omnidirectional: 0)", "assumed")
    yield ("beam width, up to four sectors", f"{c.BEAMWIDTH_DEG:g} degrees", "TR 38.901, table 7.3-1")
    yield ("beam width, five sectors and more", f"{c.NARROW_BEAMWIDTH_DEG:g} degrees", "assumed")
    yield ("vertical beam width", f"{c.VERTICAL_BEAMWIDTH_DEG:g} degrees", "assumed")
    yield ("gain of a sector antenna", f"{c.GAIN_DBI:g} dBi", "assumed")
    yield ("gain of an omnidirectional antenna", f"{c.OMNI_GAIN_DBI:g} dBi", "assumed")
    yield ("cells of one sector point within", f"{c.SECTOR_DEG:g} degrees", "assumed")
    yield ("coverage cell of any technology", f"below {c.COVERAGE_BELOW_MHZ:g} MHz", "assumed")
    for technology, name in bands.DEFAULT_BAND.items():
        band = bands.band_named(name, technology)
        width = f"{band.bandwidth_mhz:g} MHz at {band.frequency_mhz:g} MHz"
        prbs = bands.channel_prbs(technology, band.bandwidth_mhz, band.frequency_mhz)
        layers = f"{bands.DEFAULT_LAYERS[technology]:g} layer(s)"
        yield (f"carrier of a {technology} cell", f"{name}, {width}, {prbs} PRBs, {layers}", "assumed")


def cost_rows():
    price, plan = costs.Costs(), expansion.ExpansionSettings()
    yield ("site", f"{price.site:,.0f}", "pysim5g: tower, civil works, transport, power, backhaul, router")
    yield ("baseband of a site and technology", f"{price.baseband:,.0f}", "pysim5g")
    yield ("antenna of a sector and band", f"{price.antenna:,.0f}", "pysim5g")
    yield ("radio unit of a cell", f"{price.radio_unit:,.0f}", "pysim5g")
    yield ("visit for a measure", f"{price.visit:,.0f}", "pysim5g: installation")
    yield ("rent of a site a year", f"{price.rent_per_year:,.0f}", "pysim5g")
    yield ("maintenance a year", f"{percent(price.maintenance)} of equipment", "assumed")
    yield ("discount rate a year", percent(price.discount), "pysim5g")
    yield ("growth of the traffic a year", percent(plan.growth), "assumed")
    yield ("traffic to be covered", percent(plan.coverage), "assumed")
    yield ("distance of a new site to any other", f"{plan.min_distance_m:g} m", "assumed")
    for technology, mbps in sizing.LOADED_MBPS.items():
        why = "radio model, 100 sites on 112 km2; for first guesses"
        yield (f"loaded cell of {technology}", f"{mbps:g} Mbit/s", why)
    yield ("pixels that sites are sized on", f"{sizing.PIXEL_M:g} m", "assumed")


def sleep_rows():
    settings = SleepSettings()
    defaults = {
        "quantile": f"P{100 * QUANTILE:g}",
        "rate_floor": f"{demand.RATE_FLOOR_MBPS:g}",
        "max_neighbours": f"{offload.MAX_NEIGHBOURS}",
        "max_hole_share": "0",
    }
    for name, label in LABELS.items():
        value = defaults.get(name, getattr(settings, name, None))
        if value is not None and not isinstance(value, bool | tuple):
            yield (label.title, f"{value}", label.reason)
    yield (
        "other sectors are at most weaker by",
        f"{offload.OFFLOAD_DB:g} dB",
        "assumed: usual cell individual offset",
    )
    for state in power_states.STATES.values():
        yield (f"{state.name} draws", f"{percent(state.left)} of idle power", state.source)
    yield ("capacity of a muted cell", percent(power_states.MUTED_CAPACITY), "assumed: half of the layers")
    yield (
        "level of a muted cell",
        f"-{power_states.MUTED_LOSS_DB:g} dB",
        "assumed: half of power and array gain",
    )


def radio_rows():
    up, down = radio.Radio(link="uplink"), radio.Radio(link="downlink")
    figure = {  # what the noise on a PRB is above -174 dBm/Hz
        link.link: 10 * math.log10(link.noise_w * 1000 / link.prb_hz) + 174 for link in (up, down)
    }
    yield ("thermal noise", "-174 dBm/Hz", "kT at 290 K")
    yield ("noise figure of a station", f"{figure['uplink']:.0f} dB", "assumed")
    yield ("noise figure of a user", f"{figure['downlink']:.0f} dB", "assumed")
    yield ("power of a user", f"{PLAIN.user_dbm:g} dBm", "power class 3 of TS 38.101-1")
    yield ("power of a station, 100 MHz", f"{PLAIN.station_dbm:g} dBm", "assumed: 200 W")
    yield (
        "power of a station, 20 MHz",
        f"{radio.PRESETS['n1'].station_dbm:g} dBm",
        "TR 38.901 table 7.8-1: 80 W",
    )
    yield ("gain of a station", f"{PLAIN.station_gain_dbi:g} dBi", "assumed")
    yield ("gain of a user", f"{PLAIN.user_gain_dbi:g} dBi", "assumed")
    yield ("share of the traffic, uplink", f"{percent(up.share)}", "assumed")
    yield ("share of the traffic, downlink", f"{percent(down.share)}", "assumed")
    for name in radio.ENVIRONMENTS:
        height = radio.Radio(environment=name).height
        yield (f"height of a {name} station", f"{height:g} m", "TR 38.901, table 7.2-1")
        for way, sigma in radio.SHADOW_DB[name].items():
            yield (f"shadowing, {name} {way}", f"{sigma:g} dB", "TR 38.901, table 7.4.1-1")
    yield ("height of a user", f"{PLAIN.user_height_m:g} m", "TR 38.901, table 7.2-1")


def carrier_rows():
    for name, band in radio.PRESETS.items():
        yield (
            name, f"{band.carrier_ghz:g} GHz", f"{band.bandwidth_mhz:g} MHz", f"{band.scs_khz} kHz", str(band.prbs),
            f"{band.prb_hz / 1e3:g} kHz",
        )  # fmt: skip


def prb_rows():
    for spacing, by_width in bands.PRBS.items():
        yield (f"{spacing} kHz", ", ".join(f"{width}: {count}" for width, count in by_width.items()))


def coverage_rows():
    settings = RadioSettings()
    classes = zip(BAND_CLASSES_MHZ, settings.thresholds_dbm, strict=True)
    yield ("environment", settings.environment, "TR 38.901; `auto` takes UMi below 15 m")
    yield ("line of sight", settings.los, "mean of LOS and NLOS in dB by its probability")
    yield ("share of users indoors", percent(settings.indoor_share), "TR 38.901, table 7.2-1")
    for kind in ("low", "high"):
        losses = " / ".join(f"{building_loss_db(f, 'UMa', kind):.1f}" for f in (0.8, 1.8, 2.6, 3.5))
        yield (
            f"{kind}-loss building, 0.8 / 1.8 / 2.6 / 3.5 GHz",
            f"{losses} dB",
            "TR 38.901, 7.4.3.1, mean way inside",
        )
    for name, threshold in classes:
        yield (
            f"lowest RSRP at the user, {name}",
            f"{threshold:g} dBm",
            "assumed: about the noise on a resource element",
        )
    yield ("margin for shadowing", f"{settings.margin_db:g} dB", "80 % of places at 6 dB deviation")
    yield ("noise figure of the user's equipment", f"{settings.noise_figure_db:g} dB", "assumed")
    yield ("decoder above Shannon's bound", f"{GAP_DB:g} dB", "fits the Vienna LTE link simulator to 0.9 dB")
    yield ("lowest SINR", f"{settings.rates.min_sinr_db:g} dB", "TR 36.942, annex A.2")
    yield ("overhead of 5G", percent(settings.overhead_5g), "TS 38.306, 4.1.2, FR1 downlink")
    yield ("overhead of 4G", percent(settings.overhead_4g), "assumed: control and reference signals")
    yield ("downlink share of TDD", percent(settings.tdd_downlink), "assumed: 3 of 4 slots")
    yield ("load of cells where none is known", percent(DEFAULT_LOAD), "assumed")


def test_the_tables_of_the_document_are_the_figures_of_the_code():
    kinds = (
        equipment_rows,
        energy_rows,
        traffic_rows,
        network_rows,
        cell_rows,
        cost_rows,
        sleep_rows,
        radio_rows,
        carrier_rows,
        prb_rows,
        coverage_rows,
    )
    expected = [f"| {' | '.join(row)} |" for rows in kinds for row in rows()]
    tables = [line for line in DOCUMENT.splitlines() if line.startswith("| ")]
    assert [row for row in tables if not row.startswith(("| what", "| ---"))] == expected
