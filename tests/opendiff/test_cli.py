"""The command line as its user meets it: one clear line and status 2, or a whole file."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from opendiff.cli import main
from opendiff.traffic_table import read_traffic

BOX = "115.90,28.66,115.93,28.69"


def test_generate_is_reproducible(tmp_path):
    tables = []
    for name in ("a.parquet", "b.parquet"):
        arguments = ["generate", BOX, "--source", "demo", "--samples", "3", "--out", str(tmp_path / name)]
        assert main(arguments) == 0
        tables.append(read_traffic(tmp_path / name))
    assert np.array_equal(tables[0].traffic, tables[1].traffic)
    assert tables[0].samples == 3 and tables[0].metadata["unit"] == "relative"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "2.3,48.8,2.4,48.9", "--source", "demo"], "Nanchang"),
        (["generate", "100,20,130,40", "--source", "demo"], "limit"),
        (["generate", "-3.8,40.3,-3.7,40.4", "--source", "demo"], "Nanchang"),
        (["generate", BOX, "--source", "no/such/folder"], "pack"),
        (["generate", BOX, "--source", "demo", "--samples", "0"], "samples"),
        (["generate", BOX, "--source", "demo", "--part-tiles", "0"], "at least 1"),
        (["generate", BOX, "--source", "demo", "--steps", "0"], "steps"),
        (["generate", BOX, "--source", "demo", "--model", "nonsense"], "default"),
        (["generate", "no-such-file.geojson", "--source", "demo"], "no-such-file"),
        (["evaluate", "--data", "no/such/folder"], "pack"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, said, tmp_path, capsys):
    out = tmp_path / "traffic.parquet"
    if arguments[0] == "generate":
        arguments = [*arguments, "--out", str(out)]
    assert main(arguments) == 2
    printed = capsys.readouterr().err.strip()
    assert said in printed and "\n" not in printed and not out.exists()


def test_generate_and_fetch_take_the_layer_and_the_system_of_an_area(tmp_path, capsys):
    area = tmp_path / "area.geojson"
    corners = [[392000, 3172000], [393000, 3172000], [393000, 3173000], [392000, 3173000], [392000, 3172000]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    out = tmp_path / "t.parquet"
    asked = ["generate", str(area), "--source", "demo", "--samples", "1", "--out", str(out)]
    assert main(asked) == 2 and "--crs" in capsys.readouterr().err
    assert main([*asked, "--crs", "EPSG:32650"]) == 0
    assert len(read_traffic(out).tiles) in range(1, 10)
    assert main([*asked, "--layer", "other"]) == 2 and "no sheet or layer 'other'" in capsys.readouterr().err
    fetched = [
        "fetch",
        str(area),
        "--out",
        str(tmp_path / "pack"),
        "--imagery",
        "none",
        "--population",
        "none",
    ]
    assert main([*fetched, "--poi", "osm"]) == 2 and "--crs" in capsys.readouterr().err
    assert (
        main([*fetched, "--poi", "osm", "--layer", "x"]) == 2
        and "no sheet or layer" in capsys.readouterr().err
    )


def test_an_empty_file_is_refused(tmp_path, capsys):
    empty = tmp_path / "area.geojson"
    empty.write_bytes(b"")
    assert main(["generate", str(empty), "--source", "demo", "--out", str(tmp_path / "t.parquet")]) == 2
    assert "empty" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_who_has_seen_enough_meets_no_traceback():
    with subprocess.Popen(
        [sys.executable, "-m", "opendiff", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        command.stdout.close()
        assert command.stderr.read() == b""
    assert command.returncode == 0


@pytest.mark.slow
def test_help_and_info_run_as_a_module(tmp_path):
    for arguments in (["--help"], ["generate", "--help"], ["info"]):
        done = subprocess.run(
            [sys.executable, "-m", "opendiff", *arguments],
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        assert done.returncode == 0 and done.stdout
