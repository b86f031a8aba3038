"""Text that states no encoding, of many countries."""

import pytest

from plannerbase.encodings import assumed_encoding
from plannerbase.text import decoded, encoding_of

KOREAN = "기지국명,위도,경도\n강남역1,37.49,127.02\n서초동2,37.48,127.03\n"
JAPANESE = "局名,緯度,経度\n新宿駅前ビル,35,139\n渋谷センター,1,2\n"
TEXTS = [
    (KOREAN, ("cp949", "euc_kr")),
    ("site,lat,lon\n강남역,37.49,127.02\n서초동,37.48,127.03\n", ("cp949",)),
    (JAPANESE, ("cp932", "shift_jis", "euc_jp")),
    ("site,lat,address\nA,35.1,東京都新宿区西新宿2丁目8-1 みなと\nB,35,横浜市\n", ("cp932", "euc_jp")),
    ("基地台名稱,經度,緯度,方位角\n台北車站,121.5,25\n信義區公所,121,25\n", ("big5",)),
    ("站名,经度,纬度,方位角\n南昌红谷滩,115.9,28.6\n青山湖区,1,2\n", ("gb18030",)),
    ("site,lat,lon\n红谷滩,115.9,28.6\n", ("gb18030",)),
    ("Название;Широта;Долгота\nТверская;55,7;37,6\nАрбат;55;37\n", ("cp1251", "koi8-r", "cp866")),
    ("site;lat;lon;address\nA;55.7;37.6;ул. Тверская\n", ("cp1251",)),
    ("Όνομα;πλάτος;μήκος\nΣύνταγμα;37,9;23,7\nΟμόνοια;37;23\n", ("cp1253",)),
    (
        "Nazwa stacji;Szerokość;Długość\nŁódź Śródmieście;51,7;19\nŻółkiewskiego;51;19\n",
        ("cp1250", "iso8859-2"),
    ),
    ("Název;Šířka;Délka\nPraha Žižkov;50,1;14,4\nPlzeň střed;49;13\nBřeclav;48;16\n", ("cp1250",)),
    ("Név;Szélesség;Hosszúság\nKőbánya;47;19\nGyőr körút;47;17\n", ("cp1250", "iso8859-2")),
    ("Saha Adı;Enlem;Boylam\nŞişli;41;28\nBeşiktaş;41;29\n", ("cp1254",)),
    ("Straße;Höhe;Länge\nKöln Südstadt;50;6\nMünchen;48;11\n", ("cp1252",)),
    ("Nom;Générale\nHôtel de Ville à côté;48;2\nÉvry;48;2\nMâcon;46;4\n", ("cp1252",)),
    ("Estación;Año;Nº\nLogroño Nº 3;42;2\nCáceres ¿?;39;6\n", ("cp1252",)),
    ("Estação;São Paulo\nÁgua Rasa;1;2\nBotões;1;2\n", ("cp1252",)),
    ("Nafn;Breidd\nÞingvellir;64;21\nSeyðisfjörður;65;14\nReykjavík;64;21\n", ("cp1252",)),
    ("Navn;Høyde\nTromsø;69;18\nBærum;59;10\nÅlesund;62;6\n", ("cp1252",)),
    ("Nimi\nPõltsamaa;58\nVõru;57\nPärnu mäe;58\n", ("cp1252",)),
    ("Site;Azimuth (°);Volume m³;£;µW\nA;120°;1;2 £;±3\n", ("cp1252",)),
]
CASES = [(text, encoding) for text, encodings in TEXTS for encoding in encodings]


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_an_encoding_that_is_not_stated_is_found(text, encoding):
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("text", [KOREAN, JAPANESE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_unicode_is_never_taken_for_another_encoding(text, encoding):
    assert decoded(text.encode(encoding)).removeprefix("\ufeff") == text


def test_a_sample_may_end_within_a_character():
    data = JAPANESE.encode("cp932")
    assert {encoding_of(data[:cut], whole=False) for cut in (len(data) - 7, len(data) - 8)} == {"cp932"}


SHORT = [  # files of one or two names under English headings
    (
        "cp1252",
        ("Sacré-Cœur", "Œuvre", "Été", "Ærø", "MÁLAGA", "CÁDIZ", "SÃO PAULO", "Guimarães", "Öl", "Ñuñoa"),
    ),
    (
        "cp1252",
        ("L’Haÿ-les-Roses", "Créteil", "Forlì", "Große Höhe", "Århus", "Mª José", "Nový Bor", "Þórshöfn"),
    ),
    (
        "cp1250",
        ("Łódź", "Gdańsk", "Toruń", "ŁÓDŹ", "Świdnica", "Žďár", "Dvůr Králové", "Budějovice", "Hűvösvölgy"),
    ),
    ("iso8859_2", ("Łódź", "Gdańsk", "Białystok", "Žďár", "České Budějovice")),
    ("cp1254", ("Şişli", "Beşiktaş", "ŞİŞLİ", "Çankırı", "Muğla")),
    ("cp1251", ("Москва", "Уфа", "Пермь", "Тверская")),
    ("koi8_r", ("Москва", "Казань", "Тверская")),
    ("cp866", ("Москва", "Тула", "Тверская")),
    ("cp1253", ("Αθήνα", "Σύνταγμα", "ΛΑΡΙΣΑ")),
    ("cp949", ("강남역", "부산진구", "울산")),
    ("cp932", ("東京駅", "さいたま", "福岡空港", "神戸")),
    ("euc_jp", ("東京駅", "さいたま", "札幌")),
    ("gb18030", ("北京", "金鸡湖", "西安", "青山湖区", "上海浦东")),
    ("big5", ("高雄", "台北車站", "旺角")),
]


@pytest.mark.parametrize(("encoding", "name"), [(e, name) for e, names in SHORT for name in names])
@pytest.mark.parametrize("rows", [0, 40])
def test_one_name_is_enough(encoding, name, rows):
    plain = "".join(f"Site {i};48.8;2.3;120\n" for i in range(rows))
    text = f"site;lat;lon;azimuth\n{name};48.8;2.3;0\n{plain}"
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("first", [0, 20_000])
def test_a_letter_far_down_is_found(first):
    text = "site;lat;lon\n" + "Site;48.8;2.3\n" * first + "Gdańsk;54;18\nŁódź;51;19\n"
    assert decoded(text.encode("cp1250")) == text


def test_a_report_says_that_the_encoding_was_a_guess():
    def said(text, encoding):
        data = text.encode(encoding)
        return assumed_encoding(data, encoding_of(data))

    assert "Windows-1250" in said("site\nŁódź\n", "cp1250")
    assert said("site\nŁódź\n", "utf-8") == said("site;Azimuth (°)\nA;0\n", "cp1252") == ""
