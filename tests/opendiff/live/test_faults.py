"""The real clients against a server that fails as the providers do."""

from dataclasses import replace

import pytest

from benchmarks.robustness.fault_server import FAULTS, FaultServer
from benchmarks.robustness.faults import (
    KINDS,
    NOTES,
    SCENARIOS,
    SHORT_S,
    MadeTime,
    environment,
    expected,
    half_written,
    made_tiles,
    made_world,
    pack_content,
    quick_client,
    same,
    survives,
)
from opendiff.errors import Cancelled, SourceError
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher

PASSING = [fault for fault in FAULTS if fault not in ("404", "wrong type")]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.lasting], ids=str)
def test_a_lasting_fault_is_told_and_mended_by_the_next_run(scenario, tmp_path):
    assert survives(scenario, tmp_path) is None


@pytest.fixture
def world(tmp_path):
    """The server, the choices for it, and a client with made time."""
    with FaultServer(made_world(made_tiles())) as server, environment(server, tmp_path):
        yield server, Choices("esri", "worldpop", "osm", ("XXA",)), quick_client(MadeTime())


@pytest.mark.slow
@pytest.mark.parametrize("modality", KINDS)
def test_all_passing_faults_in_a_row_are_got_over(modality, world, tmp_path):
    server, choices, client = world
    client.patience = replace(client.patience, attempts=len(PASSING) + 1, read=SHORT_S, query=SHORT_S)
    server.fail(KINDS[modality], *PASSING)
    fetcher = Fetcher(tmp_path / "pack", choices, client)
    assert fetcher.area(made_tiles()) == NOTES
    assert same(pack_content(tmp_path / "pack"), expected()) and half_written(tmp_path) is None
    assert client.sleep.__self__.slept >= 7  # Retry-After


def test_a_fault_of_one_modality_does_not_stop_the_others(world, tmp_path):
    server, choices, client = world
    server.fail_always(KINDS["poi"], "500")
    fetcher = Fetcher(tmp_path / "pack", choices, client)
    notes = fetcher.area(made_tiles())
    pack = fetcher.store.pack()
    data = pack.open_data(made_tiles())
    assert notes[0].startswith("POI is missing: 127.0.0.1") and notes[1:] == NOTES
    assert set(pack.notes) == set(data.notes) == set(notes)
    assert data.has_population.all() and data.has_imagery.sum() == 8
    assert fetcher.store.missing("poi", made_tiles()).all()


def test_nothing_at_all_is_an_error(world, tmp_path):
    server, choices, client = world
    for kind in KINDS.values():
        server.fail_always(kind, "no answer")
    with pytest.raises(SourceError, match="use the bundled region"):
        Fetcher(tmp_path / "pack", choices, client).area(made_tiles())


def test_no_network_is_one_sentence(tmp_path):
    with FaultServer(made_world(made_tiles())) as gone:
        pass
    with environment(gone, tmp_path), pytest.raises(SourceError) as error:
        choices = Choices("esri", "worldpop", "osm", ("XXA",))
        Fetcher(tmp_path / "pack", choices, quick_client(MadeTime())).area(made_tiles())
    host = gone.address.removeprefix("http://")
    assert str(error.value) == (
        f"No open data can be fetched ({host}: no connection); check the network, or use the bundled region (demo), an "
        "offline data package, or your own files."
    )


@pytest.mark.slow
def test_cancel_keeps_what_is_there(world, tmp_path):
    server, choices, client = world
    client.cancelled = lambda: sum(server.asked[p] for p in server.asked if p.startswith("/tiles")) >= 3
    with pytest.raises(Cancelled):
        Fetcher(tmp_path / "pack", choices, client).area(made_tiles())
    assert half_written(tmp_path) is None
    before = server.asked.copy()
    client.cancelled = None
    assert Fetcher(tmp_path / "pack", choices, client).area(made_tiles()) == NOTES
    asked = server.asked - before
    assert same(pack_content(tmp_path / "pack"), expected()) and 1 <= len(asked) <= 9
    assert all(path.startswith("/tiles") for path in asked)


@pytest.mark.slow
def test_two_at_once_make_one_pack(world, tmp_path):
    import threading

    _, choices, _unused = world
    notes = []
    fetchers = [Fetcher(tmp_path / "pack", choices, quick_client(MadeTime())) for _ in range(3)]
    threads = [threading.Thread(target=lambda f=f: notes.append(f.area(made_tiles()))) for f in fetchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes == [NOTES] * 3 and same(pack_content(tmp_path / "pack"), expected())


def test_a_neighbouring_area_fetches_its_own_tiles_only(world, tmp_path):
    server, choices, client = world
    tiles = made_tiles()
    fetcher = Fetcher(tmp_path / "pack", choices, client)
    fetcher.area(tiles.iloc[:6].reset_index(drop=True))
    before = server.asked.copy()
    fetcher.area(tiles)
    tiles_asked = {path for path in server.asked - before if path.startswith("/tiles")}
    assert len(tiles_asked) == 3 and same(pack_content(tmp_path / "pack"), expected())


def test_another_source_is_not_mixed_into_a_pack(world, tmp_path, monkeypatch):
    server, choices, client = world
    Fetcher(tmp_path / "pack", choices, client).area(made_tiles())
    other = Choices(f"{server.address}/other/{{z}}/{{x}}/{{y}}", poi="osm")
    with pytest.raises(SourceError, match="another folder"):
        Fetcher(tmp_path / "pack", other, client).area(made_tiles())
