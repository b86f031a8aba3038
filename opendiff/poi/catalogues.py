"""How catalogues other than OpenStreetMap name places: Amap, Baidu, Tencent, Overture, Foursquare, Kakao, Yandex and
others, in one table.

Each category lists words with commas between. A label counts as the category that lists it whole ("gas station"),
else
that lists its last word ("noodle restaurant"), else one of its words; a place that has several labels counts by the
most special one that is known. What no line lists is looked up among the values of OpenStreetMap (`osm_tags`).
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_tags import (
    ANY_VALUE,
    BY_CLASS,
    EXACT,
    KEYS,
    NO_CATEGORY,
    categories_of_classes,
    categories_of_tags,
)
from plannerbase.headings import columns_named, plain

OTHER_TAGS = "other_tags"  # where GDAL's OSM driver keeps tags that have no column of their own

TABLE: dict[str, str] = {
    "government": """
        政府机构及社会团体, 政府机构, 机构团体, 社会团体, 政府, 公检法机构, 派出所, 居委会, government office,
        government,
        community and government, town hall, city hall, police, police station, police department, fire station,
        fire department, courthouse, court, embassy, consulate, public service and government, social service
        organization, non profit, ngo, community center, community centre, civic center,
        municipal office, 13,
        공공기관, 관공서, 주민센터, 경찰서, 소방서, 官公庁, 役所, 市役所, 警察署, 消防署, 交番, администрация,
        полиция, органы власти
    """,
    "accommodation": """
        住宿服务, 酒店宾馆, 酒店, 宾馆, 旅馆, 民宿, lodging, hotel, motel, hostel, inn, resort, bed and breakfast,
        guest house, holiday rental, accommodation, campground, camp site, rv park, cottage, 10,
        숙박, 호텔, 모텔, 펜션, 게스트하우스, ホテル, 旅館, 宿泊施設, гостиница, отель, хостел
    """,
    "sports_leisure": """
        体育休闲服务, 休闲娱乐, 娱乐休闲, 运动健身, 娱乐, 健身中心, 电影院, arts and entertainment,
        sports and recreation, sport,
        sports, recreation, active life, gym, fitness, fitness center, gym center, stadium, arena, swimming pool, golf
        course, bowling alley, cinema, movie theater, theater, theatre, music venue, night club, casino,
        karaoke, arcade, playground, sports club and league, yoga studio, sports leisure, amusement, leisure, 08,
        스포츠, 헬스장, 영화관, 체육관, 노래방, スポーツ, ジム, 映画館, カラオケ, スタジアム, фитнес,
        кинотеатр, спорт, стадион
    """,
    "company": """
        公司企业, 公司, 企业, 工厂, 产业园区, company, corporate office, business and professional services, factory,
        manufacturer, industrial company, warehouse, professional services, contractor, lawyer, legal services,
        advertising
        agency, marketing agency, software development, construction services, architect, engineering services,
        industrial estate, industrial equipment, b2b, 17,
        회사, 기업, 공장, 会社, 工場, 企業, завод, офис, компания
    """,
    "medical": """
        医疗保健服务, 医疗保健, 医疗, 医院, 诊所, 药店, 医疗服务, health and medicine, health and medical, medical,
        hospital,
        clinic, doctor, dentist, pharmacy, drugstore, medical center, urgent care clinic, nursing home, optometrist,
        physical therapy, veterinarian, health, psychologist, chiropractor, 09,
        병원, 의원, 약국, 치과, 한의원, 病院, 薬局, クリニック, 歯科, больница, аптека, поликлиника, клиника,
        стоматология
    """,
    "business_residential": """
        商务住宅, 房地产, 房产小区, 住宅区, 楼宇, 写字楼, 小区, residential, apartment, apartments, condominium,
        housing,
        residential building, housing development, office building, coworking space, business center, business
        residential, 12,
        아파트, 오피스텔, マンション, アパート, 住宅, жилой дом
    """,
    "place_name_address": """
        地名地址信息, 地名地址, 行政地标, 门址, 地名, place name address, locality, neighborhood, neighbourhood, town,
        village, city, suburb, address, 19
    """,
    "transportation": """
        交通设施服务, 交通设施, 公交站, 地铁站, 停车场, 火车站, 机场, 基础设施, travel and transportation,
        transportation, train
        station, bus station, bus stop, metro station, subway station, airport, parking, parking lot, parking garage,
        ferry, port, taxi, taxi stand, transport hub, light rail station, tram stop, rest area, 15,
        지하철역, 주차장, 버스정류장, 기차역, 공항, 터미널, 駅, 駐車場, バス停, 空港, метро, парковка, вокзал,
        аэропорт, остановка
    """,
    "automotive_service": """
        汽车服务, 汽车销售, 汽车维修, 摩托车服务, 汽车, 加油站, 充电站, automotive, automotive service,
        automotive repair,
        auto repair, car repair, car dealer, car dealership, car wash, gas station, fuel station, petrol station, ev
        charging station, charging station, car rental, rental car agency, tire shop, tire dealer and repair,
        motorcycle,
        auto parts, automotive services and repair, auto body shop, 01, 02, 03, 04,
        주유소, 충전소, 자동차, 정비소, ガソリンスタンド, 自動車, 充電スタンド, азс, автосервис, автомойка,
        шиномонтаж
    """,
    "life_service": """
        生活服务, 金融保险服务, 金融, 银行金融, 丽人, 公共设施, 邮局, 银行, bank, atm, bank credit union,
        credit union,
        financial service, insurance agency, post office, hair salon, beauty salon, barber, barber shop, nail salon,
        spa,
        beauty and spa, laundry, dry cleaning, dry cleaner, laundromat, travel agency, real estate agent, real estate,
        real estate service, photographer, tailor, toilet, public toilet, public restroom, childcare, day care,
        pet groomer, home service, plumber, electrician, storage facility, telecommunications, cemetery, funeral
        home, employment agency, printing services, moving company, 07, 16, 20,
        은행, 우체국, 미용실, 세탁소, 銀行, 郵便局, 美容院, クリーニング, банк, почта, салон красоты,
        парикмахерская, банкомат
    """,
    "education_culture": """
        科教文化服务, 教育培训, 教育学校, 文化传媒, 文化场馆, 学校, 大学, 幼儿园, 图书馆, 博物馆, education, school,
        elementary
        school, high school, middle school, university, college, college university, preschool, kindergarten, library,
        museum, art gallery, art museum, tutoring center, driving school, language school, education culture,
        exhibition
        hall, conference center, research institute, campus and universities, 14,
        학교, 초등학교, 중학교, 고등학교, 대학교, 학원, 유치원, 어린이집, 도서관, 박물관, 문화시설, 幼稚園,
        図書館, 博物館, 学習塾, школа, университет, детский сад, библиотека, музей
    """,
    "shopping": """
        购物服务, 购物, 商场, 超市, 便利店, retail, shop, store, shopping, shopping mall, shopping center,
        supermarket, grocery
        store, grocery, convenience store, department store, market, mall, clothing store, boutique, bookstore,
        furniture
        store, hardware store, electronics, flower shop, florist, jewelry store, shoe store, outlet, bakery,
        butcher, 06,
        편의점, 대형마트, 마트, 쇼핑, 백화점, 시장, 슈퍼마켓, コンビニ, コンビニエンスストア, スーパー,
        スーパーマーケット, デパート, 小売, магазин, супермаркет, торговый центр, продукты, рынок
    """,
    "scenic_spot": """
        风景名胜, 旅游景点, 景点, 公园, 寺庙道观, 教堂, landmarks and outdoors, landmark,
        landmark and historical building,
        attractions and activities, park, national park, garden, botanical garden, zoo, aquarium, theme park,
        amusement
        park, monument, memorial, castle, temple, church, mosque, shrine, place of worship, religious organization,
        church cathedral, viewpoint, scenic spot, beach, tourist attraction, scenic lookout, plaza, historic site, 11,
        관광명소, 공원, 관광지, 公園, 観光, 神社, 寺, парк, достопримечательность, храм, церковь
    """,
    "catering": """
        餐饮服务, 餐饮, 美食, 餐厅, 中餐厅, 咖啡厅, 快餐厅, dining and drinking, eat and drink, food,
        food and drink, catering,
        restaurant, cafe, coffee, coffee shop, bar, pub, fast food, diner, bistro, brewery, ice cream shop, tea room,
        tea house, dessert shop, food court, pizzeria, steakhouse, bbq joint, cafeteria, wine bar, lounge,
        beer garden,
        bubble tea shop, juice bar, 05,
        음식점, 카페, 한식, 식당, 레스토랑, 술집, 飲食店, レストラン, カフェ, 居酒屋, ラーメン, 喫茶店, кафе,
        ресторан, столовая, кофейня
    """,
}
COLUMNS: dict[str, tuple[str, ...]] = {  # plain headings that tell what a place is; the most general wins at Amap
    "label": (
        "category", "大类", "一级分类", "一级类别", "primarycategory", "maincategory", "categoriesprimary",
        "basiccategory",
        "categoryprimary", "categories", "fsqcategorylabels", "categorylabels", "categorylabel", "categoryname",
        "categorynames", "poitype", "poicategory", "type", "类型", "类别", "分类", "poi类型", "poi类别", "行业分类",
        "标签", "categorygroupname", "카테고리", "업종", "분류", "カテゴリ", "カテゴリー", "業種", "ジャンル", "種別",
        "types",
        "рубрика", "kategorie", "categorie", "categoria", "kategoria", "категория", "rubrique", "tag",
        "typecode", "typecodes", "类型编码", "中类", "小类", "class", "kind", "kinds",
    ),
}  # fmt: skip
_PRIMARY = re.compile(r"""["']?primary["']?\s*[:=]\s*["']([^"']+)["']""")
_LEVELS = re.compile(r"\s*(?:>|;|:|\||/|,|，|；|、)\s*")


def label_column(headings: pd.Index) -> str | None:
    """The column that holds labels of a catalogue; None where no heading tells."""
    return columns_named(headings, COLUMNS).get("label")


def categories_of_labels(labels: pd.Series) -> np.ndarray:
    """Category number (rows,) int64 of labels as a catalogue writes them, NO_CATEGORY where none is known.

    A value may be one label, a path of labels ("Dining and Drinking > Restaurant"), a list of them, Amap's type
    ("餐饮服务;中餐厅") or type code ("050100"), or Overture's object with a member `primary`.
    """
    texts = pd.Series([_text(value) for value in labels], dtype=object)
    known = {text: _category(text) for text in texts.unique()}
    return texts.map(known).to_numpy(np.int64)


def categories_in(table: pd.DataFrame) -> np.ndarray | None:
    """Category number (rows,) int64 of a table of places, NO_CATEGORY where a row has none; None when no column
    tells.

    Asked in this order: `category`, `key` and `value` (an OSM tag), `fclass` (Geofabrik),
    a column for each OSM key, with
    the tags of GDAL's column `other_tags` beside them, and any other column of COLUMNS.
    """
    table = table.rename(columns=lambda name: str(name).strip().lower())
    table = table.loc[:, ~table.columns.duplicated()]
    if "category" in table:
        return categories_of_labels(table["category"])
    if {"key", "value"} <= set(table.columns):
        keys = table["key"].astype("string").str.strip().str.lower()
        tags = {key: table["value"].where((keys == key).fillna(False).astype(bool)) for key in KEYS}
        return categories_of_tags(tags | {"name": table.get("name", keys)}, len(table))
    if "fclass" in table:
        return categories_of_classes(table["fclass"])
    label = label_column(table.columns)
    tags = {key: table[key] for key in (*KEYS, "name") if key in table}
    if OTHER_TAGS in table:
        other = table[OTHER_TAGS].astype("string").reset_index(drop=True)
        for key in KEYS:
            if key not in tags:
                tags[key] = other.str.extract(rf'"{key}"=>"((?:[^"\\]|\\.)*)"', expand=False)
    if set(tags) & set(KEYS):
        return categories_of_tags(tags, len(table))
    return None if label is None else categories_of_labels(table[label])


def category_columns(headings: list[str]) -> list[str]:
    """The columns that `categories_in` looks at."""
    wanted = {"category", "key", "value", "fclass", OTHER_TAGS, *KEYS}
    found = [name for name in headings if name.strip().lower() in wanted]
    if not found:
        label = label_column(pd.Index(headings))
        found = [label] if label else []
    return found + [name for name in headings if found and name.strip().lower() == "name"]


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("primary") or ""
    if isinstance(value, list):
        value = value[0] if value else ""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    text = str(value).strip()
    primary = _PRIMARY.search(text)
    if primary:
        return primary[1]
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].split("', '")[0].split('", "')[0].strip("'\" ")
    return text


def _category(text: str) -> int:
    if not text:
        return NO_CATEGORY
    code = re.match(r"(\d{2})\d{4}(?!\d)", text)
    if code:
        return _WHOLE.get(code[1], NO_CATEGORY)
    parts = [part for part in _LEVELS.split(text) if part]
    if any("\u4e00" <= c <= "\u9fff" for c in text):  # Chinese services name the category first
        return next((_WHOLE[plain(p)] for p in parts if plain(p) in _WHOLE), NO_CATEGORY)
    for part in reversed(parts) if ">" in text else parts:
        found = _label(part)
        if found != NO_CATEGORY:
            return found
    return NO_CATEGORY


def _label(part: str) -> int:
    words = re.findall(r"[^\W_]+", part.casefold().replace("&", " and "))
    if not words or all(word.isdigit() for word in words):
        return NO_CATEGORY
    whole = " ".join(words)
    number = {name: index for index, name in enumerate(POI_CATEGORIES)}
    for candidate in (whole, _singular(whole)):
        if candidate.replace(" ", "_") in number:
            return number[candidate.replace(" ", "_")]
        if plain(candidate) in _WHOLE:
            return _WHOLE[plain(candidate)]
        if candidate.replace(" ", "_") in _OSM:
            return _OSM[candidate.replace(" ", "_")]
    for word in (words[-1], _singular(words[-1]), *words[:-1]):
        if word in _WHOLE:
            return _WHOLE[word]
    return NO_CATEGORY


def _singular(text: str) -> str:
    return text[:-3] + "y" if text.endswith("ies") else text[:-1] if text.endswith("s") else text


def _read_table() -> dict[str, int]:
    whole: dict[str, int] = {}
    for name, words in TABLE.items():
        for word in words.split(","):
            label = plain(" ".join(word.split()))
            if label in whole:
                raise ValueError(f"{word.strip()} stands twice in the table of catalogues.")
            whole[label] = POI_CATEGORIES.index(name)
    return whole


_WHOLE = _read_table()
# values of OpenStreetMap that mean one category whatever their key
_OSM = {value: number for value, number in BY_CLASS.items() if value not in ("yes", "no")} | {
    value: number
    for key in ("amenity", "shop", "tourism", "leisure", "office", "healthcare")
    for value, number in EXACT[key].items()
}
_OSM |= {key: number for key, number in ANY_VALUE.items() if key not in _OSM}
