"""Which OpenStreetMap tags belong to which of the 14 POI categories: the one table, and how it is read.

Each category lists `key=value`. Where the Geofabrik extracts name the same thing differently in their column `fclass`,
that name stands after a colon; without one it is the value. `key=*` takes every value of the key that no other line
names. The categories are those of a Chinese map service, so the table follows its habits: a cinema is leisure, a
driving school is education, a community centre is the office of a residents' committee, a bank is a service of daily
life. What a map service would not list as a place (crossings, benches, street lamps) has no category.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from opendiff.poi.categories import POI_CATEGORIES

TABLE: dict[str, str] = {
    "government": """
        amenity=townhall:town_hall amenity=police amenity=courthouse amenity=fire_station amenity=prison
        amenity=public_building amenity=community_centre amenity=embassy amenity=social_facility
        amenity=ranger_station amenity=customs office=government office=diplomatic office=ngo
        office=association office=political_party office=administrative building=public building=civic
        building=government landuse=military
    """,
    "accommodation": """
        tourism=hotel tourism=motel tourism=hostel tourism=guest_house:guesthouse tourism=apartment
        tourism=camp_site tourism=caravan_site tourism=chalet tourism=alpine_hut tourism=wilderness_hut
        building=hotel
    """,
    "sports_leisure": """
        leisure=sports_centre leisure=pitch leisure=track leisure=stadium leisure=swimming_pool
        leisure=golf_course leisure=ice_rink leisure=fitness_centre leisure=sports_hall leisure=playground
        leisure=dance leisure=bowling_alley leisure=amusement_arcade leisure=adult_gaming_centre
        leisure=water_park leisure=marina leisure=dog_park leisure=resort leisure=miniature_golf
        leisure=escape_game leisure=hackerspace leisure=fishing amenity=cinema amenity=theatre
        amenity=nightclub amenity=casino amenity=karaoke_box amenity=internet_cafe amenity=stripclub
        amenity=swimming_pool amenity=events_venue amenity=music_venue
    """,
    "company": """
        office=* craft=* industrial=* landuse=industrial building=industrial building=factory man_made=works
        man_made=water_works man_made=wastewater_plant power=plant landuse=quarry
    """,
    "medical": """
        amenity=hospital amenity=clinic amenity=doctors amenity=dentist amenity=pharmacy amenity=veterinary
        amenity=nursing_home healthcare=* shop=chemist shop=medical_supply shop=optician building=hospital
    """,
    "business_residential": """
        landuse=residential landuse=commercial building=office building=commercial building=apartments
        building=residential building=dormitory amenity=coworking_space office=coworking
    """,
    "place_name_address": """
        place=city place=town place=village place=hamlet place=suburb place=quarter place=neighbourhood
        place=isolated_dwelling place=locality place=farm place=city_block place=square place=island
        place=islet place=national_capital
    """,
    "transportation": """
        highway=bus_stop amenity=bus_station railway=station:railway_station railway=halt:railway_halt
        railway=tram_stop railway=subway_entrance railway=stop_position station=subway
        amenity=ferry_terminal amenity=taxi amenity=parking amenity=parking_entrance amenity=parking_space
        amenity=bicycle_parking:parking_bicycle amenity=bicycle_rental amenity=motorcycle_parking
        aeroway=aerodrome:airport aeroway=terminal aeroway=airfield aeroway=helipad aerialway=station
        parking=underground:parking_underground parking=multi-storey:parking_multistorey
        parking=surface:parking_site highway=services:service highway=rest_area landuse=harbour
        public_transport=station
    """,
    "automotive_service": """
        amenity=fuel amenity=car_wash amenity=car_rental amenity=car_sharing amenity=charging_station
        amenity=vehicle_inspection amenity=motorcycle_rental shop=car:car_dealership shop=car_repair
        shop=car_parts shop=tyres shop=motorcycle shop=motorcycle_repair shop=truck shop=fuel
    """,
    "life_service": """
        amenity=post_office amenity=bank amenity=atm amenity=bureau_de_change amenity=money_transfer
        amenity=payment_centre amenity=toilets:toilet amenity=childcare amenity=crematorium
        amenity=funeral_hall amenity=public_bath amenity=recycling amenity=parcel_locker amenity=post_box
        amenity=animal_boarding amenity=studio amenity=grave_yard:graveyard landuse=cemetery
        shop=hairdresser shop=beauty:beauty_shop shop=massage shop=tattoo shop=laundry shop=dry_cleaning
        shop=travel_agency:travel_agent shop=copyshop shop=photo shop=lottery shop=bookmaker
        shop=pet_grooming shop=funeral_directors shop=estate_agent shop=ticket shop=repair shop=tailor
        shop=storage_rental shop=rental shop=pawnbroker shop=money_lender
        shop=mobile_phone:mobile_phone_shop shop=telecommunication office=estate_agent office=travel_agent
        office=employment_agency office=telecommunication office=moving_company leisure=sauna
    """,
    "education_culture": """
        amenity=school amenity=kindergarten amenity=university amenity=college amenity=library
        amenity=driving_school amenity=language_school amenity=music_school amenity=training
        amenity=prep_school amenity=arts_centre amenity=research_institute amenity=exhibition_centre
        amenity=conference_centre tourism=museum tourism=gallery office=educational_institution
        office=research building=school building=university building=college building=kindergarten
        landuse=education
    """,
    "shopping": """
        shop=* amenity=marketplace:market_place amenity=vending_machine:vending_any landuse=retail
        building=retail building=supermarket building=mall shop=books:bookshop shop=furniture:furniture_shop
        shop=gift:gift_shop shop=shoes:shoe_shop shop=sports:sports_shop shop=outdoor:outdoor_shop
        shop=toys:toy_shop shop=video:video_shop shop=computer:computer_shop shop=jewelry:jeweller
        shop=bicycle:bicycle_shop shop=florist shop=supermarket shop=convenience shop=mall
        shop=department_store shop=clothes shop=bakery shop=butcher shop=greengrocer shop=beverages
        shop=kiosk shop=doityourself shop=garden_centre shop=general shop=newsagent shop=stationery
        shop=farm:farm_shop vending=machine:vending_machine vending=cigarettes:vending_cigarette
        vending=parking_tickets:vending_parking
    """,
    "scenic_spot": """
        tourism=attraction tourism=viewpoint tourism=artwork tourism=theme_park tourism=zoo tourism=aquarium
        tourism=picnic_site tourism=information:tourist_info leisure=park leisure=garden
        leisure=nature_reserve historic=monument historic=memorial historic=castle historic=ruins
        historic=fort historic=battlefield historic=archaeological_site:archaeological historic=city_gate
        historic=building historic=tomb historic=wayside_shrine historic=wayside_cross amenity=fountain
        amenity=place_of_worship building=temple building=church building=mosque religion=christian
        religion=muslim religion=buddhist religion=hindu religion=taoist religion=jewish religion=shintoist
        religion=sikh man_made=lighthouse man_made=windmill man_made=watermill:water_mill natural=beach
    """,
    "catering": """
        amenity=restaurant amenity=fast_food amenity=cafe amenity=bar amenity=pub amenity=biergarten
        amenity=food_court amenity=ice_cream shop=coffee shop=tea shop=bubble_tea
    """,
}

# In this order the tags of an object are asked for its category: the first that has one decides, so that a hotel with
# a restaurant is one place. What says least of a place (who worships there, what the land is used for) comes last.
KEYS: tuple[str, ...] = (
    "tourism",
    "amenity",
    "shop",
    "healthcare",
    "leisure",
    "office",
    "craft",
    "historic",
    "railway",
    "highway",
    "aeroway",
    "aerialway",
    "station",
    "public_transport",
    "place",
    "man_made",
    "power",
    "industrial",
    "natural",
    "building",
    "landuse",
    "parking",
    "vending",
    "religion",
)
# Land and buildings are drawn by the thousand; only those with a name are what a map service lists as a place.
NAMED_ONLY: tuple[str, ...] = ("building", "landuse", "industrial", "natural")
# These qualify another tag of the object, so they are never asked for on their own: Geofabrik names classes by them.
QUALIFIERS: tuple[str, ...] = ("parking", "vending", "religion", "station")
NO_CATEGORY = -1


def _read_table() -> tuple[dict[str, dict[str, int]], dict[str, int], dict[str, int]]:
    """Category number by key and value; by key alone, for `key=*`; by Geofabrik class."""
    exact: dict[str, dict[str, int]] = {key: {} for key in KEYS}
    any_value: dict[str, int] = {}
    by_class: dict[str, int] = {}
    for name, words in TABLE.items():
        number = POI_CATEGORIES.index(name)
        for word in words.split():
            tag, _, alias = word.partition(":")
            key, _, value = tag.partition("=")
            if value == "*":
                any_value[key] = number
                continue
            if value in exact[key]:
                raise ValueError(f"{tag} stands twice in the table of POI categories.")
            exact[key][value] = number
            by_class.setdefault(alias or value, number)
    return exact, any_value, by_class


EXACT, ANY_VALUE, BY_CLASS = _read_table()
# Geofabrik splits these classes further; the beginning of the name tells the category.
CLASS_BEGINNINGS = ("christian", "muslim", "buddhist", "recycling", "vending", "parking")


def categories_of_tags(tags: Mapping[str, pd.Series], rows: int) -> np.ndarray:
    """Category number (rows,) int64 of objects by their tags, NO_CATEGORY where the table has none.

    tags: column of values, None or NaN where absent, by OSM key; `name` is looked at for land and buildings. A value
    that lists several (`cafe;bar`) counts as the first.
    """
    category = np.full(rows, NO_CATEGORY)
    named = _texts(tags["name"]).notna().to_numpy() if "name" in tags else np.zeros(rows, bool)
    for key in KEYS:
        if key not in tags:
            continue
        values = _texts(tags[key]).str.split(";").str[0].str.strip().str.lower()
        found = values.map(EXACT[key])
        if key in ANY_VALUE:
            found = found.where(found.notna() | values.isna() | (values == "no"), ANY_VALUE[key])
        here = pd.to_numeric(found).fillna(NO_CATEGORY).to_numpy(np.int64)
        if key in NAMED_ONLY:
            here = np.where(named, here, NO_CATEGORY)
        category = np.where(category == NO_CATEGORY, here, category)
    return category


def categories_of_classes(classes: pd.Series) -> np.ndarray:
    """Category number (rows,) int64 of Geofabrik classes (column `fclass`), NO_CATEGORY where the table has none."""
    names = _texts(classes).str.strip().str.lower()
    found = names.map(BY_CLASS)
    beginning = names.str.split("_").str[0]
    general = beginning.where(beginning.isin(CLASS_BEGINNINGS)).map(
        {**BY_CLASS, "vending": BY_CLASS["vending_any"], "recycling": BY_CLASS["recycling"]}
    )
    return pd.to_numeric(found.fillna(general)).fillna(NO_CATEGORY).to_numpy(np.int64)


def query_tags() -> dict[str, list[str] | bool]:
    """What to ask OpenStreetMap for: values by key, True for all values of it. Values are plain words (a-z, _)."""
    return {
        key: True if key in ANY_VALUE else sorted(EXACT[key])
        for key in KEYS
        if key not in QUALIFIERS and (EXACT[key] or key in ANY_VALUE)
    }


def _texts(values: pd.Series) -> pd.Series:
    """Text or a missing value, whatever the column held."""
    return pd.Series(values).astype("string").replace("", pd.NA).reset_index(drop=True)
