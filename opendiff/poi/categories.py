"""The 14 categories that points of interest are counted in: those of a Chinese map service, as the training data."""

from typing import Literal

POI_CATEGORIES: tuple[str, ...] = (
    "government",
    "accommodation",
    "sports_leisure",
    "company",
    "medical",
    "business_residential",
    "place_name_address",
    "transportation",
    "automotive_service",
    "life_service",
    "education_culture",
    "shopping",
    "scenic_spot",
    "catering",
)
# Where money is earned or spent by day: what the paper calls commercial districts. business_residential is left out
# because the category mixes office buildings with housing estates, sports_leisure because it counts parks as well.
BUSINESS_POI: tuple[str, ...] = (
    "company",
    "shopping",
    "catering",
    "life_service",
    "accommodation",
    "automotive_service",
)

PoiProvider = Literal["osm", "map-service"]  # whose way of counting places; OSM lists far fewer
