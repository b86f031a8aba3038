"""The wheel: it holds the weights and the bundled region, and what it installs works away from the source tree."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from benchmarks.session import Session, app
from opendiff.cli import main as opendiff
from opendiff.traffic_table import read_traffic

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "checkpoints", "plannerbase", "opendiff", "planning")
AREA = ("115.90,28.66,115.92,28.68", "--source", "demo", "--samples", "2", "--seed", "0")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the tree, so that nothing is left in it; without a network."""
    copy = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "README.md"):
        shutil.copy(ROOT / name, copy)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Where the wheel is installed, beside the dependencies that the tests have; returns its `run`."""
    place = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(place), str(wheel)], check=True)
    return place


def surroundings(place):
    return os.environ | {"PYTHONPATH": str(place)}


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    files = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == files


def test_its_weights_are_those_of_the_checksums(installed):
    folder = installed / "checkpoints"
    stated = [line.split() for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in stated} == {path.name for path in folder.glob("*.safetensors")}
    for digest, name in stated:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_its_commands_make_the_same_traffic_and_plan_on_it(installed, tmp_path):
    def run(name, *arguments):
        command = [str(installed / "bin" / name), *arguments]
        subprocess.run(
            command, check=True, cwd=tmp_path, env=surroundings(installed), capture_output=True, text=True
        )

    run("opendiff", "generate", *AREA, "--out", "traffic.parquet")
    assert opendiff(["generate", *AREA, "--out", str(tmp_path / "here.parquet")]) == 0
    theirs, ours = (read_traffic(tmp_path / f"{name}.parquet") for name in ("traffic", "here"))
    assert (theirs.traffic == ours.traffic).all()
    run("opendiff-planning", "deploy", "traffic.parquet", "--sites", "3", "--out", "plan.gpkg")
    run("opendiff-planning", "export", "plan.gpkg", "--format", "kml", "--out", "plan.kml")
    assert (tmp_path / "plan.kml").stat().st_size > 0


def test_its_app_has_the_bundled_region_and_its_own_settings(installed, tmp_path):
    """This machine only, XSRF token, and a first area, from a folder that has no settings."""
    command = (str(installed / "bin" / "opendiff-planner"),)
    place = surroundings(installed)
    with app(tmp_path, environment=place, command=command, cwd=tmp_path) as (address, process):
        listening = [
            c.laddr.ip
            for c in psutil.Process(process.pid).net_connections()
            if c.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]
        with Session(address) as session:
            session.run()
            assert session.xsrf
            session.click("Use example area")
            assert session.figure("With data") != "0"
