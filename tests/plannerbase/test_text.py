"""Text, tables, archives and markup from strangers."""

import io
import stat
import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plannerbase.archive import members
from plannerbase.delimited import dialect_of, read_csv
from plannerbase.markup import check_plain
from plannerbase.text import Refused, decoded, encoding_of, one_line, read_json

WORDS = {
    "utf-8": "Zürich 北京 Łódź",
    "utf-8-sig": "Zürich 北京",
    "utf-16": "Zürich 北京",
    "utf-32": "Zürich 北京",
    "utf-16-le": "site;lon;lat\nA;115,9;28,6\n",
    "utf-16-be": "site;lon;lat\nA;115,9;28,6\n",
    "gb18030": "南昌市红谷滩,基站",
    "cp1252": "Zürich, Köln – Málaga",
}


@pytest.mark.parametrize("encoding", WORDS)
def test_text_of_any_usual_encoding_is_read_as_it_was_written(encoding):
    assert decoded(WORDS[encoding].encode(encoding)).removeprefix("\ufeff") == WORDS[encoding]


@given(st.text())
def test_utf_8_comes_back_whatever_it_says(text):
    if "\x00" not in text:
        assert decoded(text.encode()) == text or text.startswith("\ufeff")


@given(st.binary(max_size=300))
def test_any_bytes_are_some_text(data):
    assert isinstance(decoded(data), str) and encoding_of(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_a_table_is_the_same_in_any_encoding_and_dialect(encoding, separator, decimal):
    if separator == decimal:
        pytest.skip("nobody writes that")
    table = pd.DataFrame({"name": ["A", "B"], "lon": [115.25, -3.5], "n": [1, 2]})
    text = table.to_csv(index=False, sep=separator, decimal=decimal)
    pd.testing.assert_frame_equal(
        read_csv(text.encode(encoding)), table, check_dtype=False, check_column_type=False
    )


def test_a_character_at_the_edge_of_the_sample_does_not_change_the_encoding():
    data = b"a,b\n" + b"x" * 65_531 + "é".encode() + b",1\n"
    assert dialect_of(data).encoding == "utf-8"


def test_rows_longer_than_the_heading_are_refused_not_shifted():
    with pytest.raises(Refused, match="longer than its heading"):
        read_csv(b"lon,lat\n1,115.9,28.6\n2,116.0,28.7\n")


def test_tables_are_limited():
    with pytest.raises(Refused, match="more than 3 rows"):
        read_csv(b"a\n" + b"1\n" * 4, most_rows=3)
    with pytest.raises(Refused, match="columns"):
        read_csv(b"a," * 5000)


def test_sentences_are_one_line_without_what_a_file_put_into_them():
    assert one_line("a\nb\x1b[31m \u202etxt.exe\u2066;  do it.") == "a b [31m txt.exe ; do it."
    long = one_line("The file " + "x" * 5000 + " is bad; export it again.")
    assert len(long) <= 700 and long.startswith("The file") and long.endswith("is bad; export it again.")


def test_json_that_is_too_deep_or_has_half_a_character_is_a_value_error():
    for text in ("[" * 100_000, '{"a": "\\ud800"}', b'["\\udfff"]'):
        with pytest.raises(ValueError):
            read_json(text)
    assert read_json('"\\ud83d\\ude00"') == "\U0001f600"


def archive_of(names, link=None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name == link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, content)
    return out.getvalue()


@pytest.mark.parametrize("name", ["../a.csv", "/a.csv", "C:\\a.csv", "b/..\\a.csv", "\\\\host\\a.csv"])
def test_paths_that_lead_out_of_an_archive_are_refused(name):
    with pytest.raises(Refused, match="unsafe path"):
        members(archive_of({name: b"x"}), (".csv",), 10, 1000)


def test_bombs_links_and_crowds_are_refused_before_they_are_unpacked():
    with pytest.raises(Refused, match="unpacks to more than 1 MB"):
        members(archive_of({"a.csv": bytes(5_000_000)}), (".csv",), 10, 1_000_000)
    with pytest.raises(Refused, match="unsafe path"):
        members(archive_of({"a.csv": b"/etc/passwd"}, link="a.csv"), (".csv",), 10, 1000)
    with pytest.raises(Refused, match="holds 11 files"):
        members(archive_of({f"{n}.csv": b"" for n in range(11)}), (".csv",), 10, 1000)
    with pytest.raises(Refused, match="not a readable zip"):
        members(b"PK\x03\x04 no", (".csv",), 10, 1000)


def test_a_heading_that_lies_about_the_size_unpacks_no_more_than_allowed():
    data = bytearray(archive_of({"a.csv": bytes(5_000_000)}))
    at = data.rfind(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    try:
        assert sum(map(len, members(bytes(data), (".csv",), 10, 1_000_000).values())) <= 1_000_000
    except Refused:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><kml>&b;</kml>",
        b"<?xml version='1.0'?><!doctype a><kml/>",
        "<!DOCTYPE kml><kml/>".encode("utf-16"),
        b"<?xml version='1.0' encoding='utf-7'?><kml/>",
        b"<?xml version='1.0' encoding = 'cp037'?><kml/>",
        b'\xef\xbb\xbf<?xml version="1.0" encoding="hex"?><kml/>',
    ],
)
def test_markup_that_could_lead_elsewhere_is_refused(data):
    with pytest.raises(Refused):
        check_plain(data)
    check_plain(b'<?xml version="1.0" encoding="UTF-8"?><kml/>')
