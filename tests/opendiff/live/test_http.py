"""The client: what it tries again, what it waits for, and what it leaves on the disk."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from benchmarks.robustness.fault_server import FaultServer, World
from benchmarks.robustness.faults import MadeTime, quick_client
from opendiff.errors import Cancelled, SourceError
from opendiff.live.download import download
from opendiff.live.http import Client, NotThere, Patience, Unreachable, retry_after
from opendiff.live.providers import check_template, imagery_provider

BODY = bytes(range(256)) * 4000


@pytest.fixture
def server():
    with FaultServer(World(population=BODY, ranges=True)) as server:
        yield server


@pytest.fixture
def client():
    return quick_client(MadeTime())


def test_retry_after_is_seconds_or_a_date():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("7") == 7
    assert retry_after(format_datetime(now + timedelta(seconds=90)), now) == 90
    assert retry_after(format_datetime(now - timedelta(seconds=90)), now) == 0
    assert retry_after("soon") is None and retry_after(None) is None


def test_pauses_grow_and_are_bounded_by_the_attempts(server, client):
    server.fail_always("/tiles", "500")
    with pytest.raises(SourceError, match=r"failed 4 times \(status 500\)"):
        client.get(f"{server.address}/tiles/15/1/1", ("image/",), 10**6)
    assert client.sleep.__self__.slept == pytest.approx(1 + 2 + 4)
    assert server.asked["/tiles/15/1/1"] == 4


def test_a_server_that_asks_for_too_long_a_pause_is_left_alone(server):
    made = MadeTime()
    client = Client(Patience(longest_pause=5), made.clock, made.sleep)
    server.fail_always("/tiles", "429")
    with pytest.raises(SourceError, match="asks to wait 7 s"):
        client.get(f"{server.address}/tiles/15/1/1", ("image/",), 10**6)
    assert made.slept == 0


def test_no_network_is_one_sentence_with_what_to_do(client):
    with FaultServer(World()) as gone:
        address = gone.address
    with pytest.raises(
        Unreachable,
        match=r"cannot be reached \(connection refused\); check the network, or use the bundled region",
    ):
        client.get(f"{address}/tiles/15/1/1", ("image/",), 10**6)
    with pytest.raises(Unreachable, match=r"its name is not known here"):
        client.get("http://no-such-host.invalid/", ("image/",), 10**6)


def test_answers_beyond_the_limit_or_of_another_kind_are_refused(server, client):
    with pytest.raises(SourceError, match="limit"):
        client.get(f"{server.address}/population/XXA.tif", ("image/",), 1000)
    with pytest.raises(SourceError, match="image/tiff where application/json was expected"):
        client.get(f"{server.address}/population/XXA.tif", ("application/json",), 10**7)
    with pytest.raises(NotThere):
        client.get(f"{server.address}/elsewhere", ("image/",), 1000)


def test_cancel_is_heard_during_a_pause(server):
    made = MadeTime()
    client = Client(Patience(), made.clock, made.sleep, cancelled=lambda: made.slept > 0.35)
    server.fail_always("/tiles", "429")
    with pytest.raises(Cancelled):
        client.get(f"{server.address}/tiles/15/1/1", ("image/",), 10**6)
    assert made.slept < 1


def test_a_download_goes_on_where_it_was_cut(server, client, tmp_path):
    server.fail("/population", "truncated")
    path = tmp_path / "people.tif"
    seen = []
    download(
        client,
        f"{server.address}/population/XXA.tif",
        path,
        ("image/",),
        10**7,
        lambda *done: seen.append(done),
    )
    assert path.read_bytes() == BODY and len(server.ranges) == 1
    assert 0 < int(server.ranges[0][6:-1]) <= len(BODY) // 2
    assert seen[-1] == (len(BODY), len(BODY), "download")
    assert [p.name for p in tmp_path.iterdir() if p.name != "people.tif.lock"] == ["people.tif"]


def test_a_download_goes_on_in_another_run(server, client, tmp_path):
    server.fail_always("/population", "truncated")
    path = tmp_path / "people.tif"
    url = f"{server.address}/population/XXA.tif"
    with pytest.raises(SourceError):
        download(client, url, path, ("image/",), 10**7)
    assert not path.exists()
    server.fail_always("/population", None)
    download(client, url, path, ("image/",), 10**7)
    assert path.read_bytes() == BODY and len(server.ranges) == 1


@pytest.mark.parametrize("change", ["version", "ranges"])
def test_a_changed_file_or_a_server_without_ranges_starts_again(server, client, tmp_path, change):
    server.fail_always("/population", "truncated")
    path, url = tmp_path / "people.tif", f"{server.address}/population/XXA.tif"
    with pytest.raises(SourceError):
        download(client, url, path, ("image/",), 10**7)
    server.fail_always("/population", None)
    if change == "version":
        server.world.version, server.world.population = '"two"', BODY[::-1]
    else:
        server.world.ranges = False
    download(client, url, path, ("image/",), 10**7)
    assert path.read_bytes() == server.world.population and not server.ranges


def test_a_damaged_download_does_not_appear(server, client, tmp_path):
    def check(path):
        raise ValueError("not a raster")

    with pytest.raises(SourceError, match="not a raster"):
        download(
            client,
            f"{server.address}/population/XXA.tif",
            tmp_path / "a.tif",
            ("image/",),
            10**7,
            check=check,
        )
    assert not (tmp_path / "a.tif").exists() and not (tmp_path / "a.tif.part").exists()


@pytest.mark.parametrize(
    "template",
    [
        "file:///etc/{z}/{x}/{y}",
        "ftp://host/{z}/{x}/{y}",
        "https://host/{z}/{x}",
        "https://host/{z}/{x}/{y}/{x}",
        "https://{x}/{z}/{y}",
        "https://host/{z}/{x}/{y.__class__}",
        "https://host/{z}/{x}/{y!r}",
        "https:///{z}/{x}/{y}",
        "https://host/{z}/{x}/{y",
    ],
)
def test_templates_without_x_y_and_z_are_refused(template):
    with pytest.raises(SourceError):
        check_template(template)


def test_the_environment_puts_another_provider_in_the_place_of_esri():
    assert "{z}/{y}/{x}?blankTile=false" in imagery_provider("esri", {}).url
    own = imagery_provider(
        "esri",
        {
            "OPENDIFF_IMAGERY_URL": "https://t.example/{z}/{x}/{y}.jpg",
            "OPENDIFF_IMAGERY_ATTRIBUTION": "(c) T",
        },
    )
    assert own.url.startswith("https://t.example/") and own.attribution == "(c) T"
