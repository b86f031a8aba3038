"""Tile servers of the user's choice: which addresses are taken, and that the policy allows just that host."""

import pytest

from app.map.view import _base_map, _credits
from app.server import access, guard, tile_servers
from app.server.tile_servers import OSM, tile_server
from opendiff.errors import SourceError
from tests.app.server.test_guard import Server


@pytest.fixture(autouse=True)
def none_chosen(monkeypatch):
    monkeypatch.setattr(tile_servers, "_personal", None)
    monkeypatch.delenv("OPENDIFF_TILES", raising=False)


@pytest.mark.parametrize(
    ("address", "template", "origin"),
    [
        ("https://Tiles.example.com/{z}/{x}/{y}.png", "https://tiles.example.com/{z}/{x}/{y}.png",
         "https://tiles.example.com"),
        ("https://a.example.com:8443/t?z={z}&x={x}&y={y}", "https://a.example.com:8443/t?z={z}&x={x}&y={y}",
         "https://a.example.com:8443"),
        ("http://localhost:8080/{z}/{y}/{x}", "http://localhost:8080/{z}/{y}/{x}", "http://localhost:8080"),
        ("https://w.example.com/wmts/l/default/GM/{TileMatrix}/{TileRow}/{TileCol}.png",
         "https://w.example.com/wmts/l/default/GM/{z}/{y}/{x}.png", "https://w.example.com"),
    ],
)  # fmt: skip
def test_addresses_of_tiles_are_taken(address, template, origin):
    found = tile_server(address, "Operator")
    assert (found.template, found.origin, found.attribution) == (template, origin, "Operator")


@pytest.mark.parametrize(
    "address",
    [
        "", "tiles", "http://tiles.example.com/{z}/{x}/{y}", "ftp://localhost/{z}/{x}/{y}",
        "javascript:alert(1)//{z}{x}{y}", "//tiles.example.com/{z}/{x}/{y}", "https:///{z}/{x}/{y}",
        "https://user:word@tiles.example.com/{z}/{x}/{y}", "https://{z}.example.com/{x}/{y}",
        "https://{s}.example.com/{z}/{x}/{y}", "https://tiles.example.com/{z}/{x}", "https://t.example.com/{z}{x}{y}{y}",
        "https://t.example.com/{z}/{x}/{y}/{style}", "https://t.example.com/{z/{x}/{y}", "https://t.example.com/{z}/{x}/{-y}",
        "https://t.example.com:99999/{z}/{x}/{y}", "https://*.example.com/{z}/{x}/{y}", "https://t.example.com;/{z}/{x}/{y}",
        "https://t.example.com /{z}/{x}/{y}", "https://t.example.com/{z}/{x}/{y}'; script-src *", "https://[::1]/{z}/{x}/{y}",
        "https://t.example.com/{z}/{x}/{y}#a", f"https://t.example.com/{{z}}/{{x}}/{{y}}{'a' * 500}",
        "https://localhost.evil.example, https://b/{z}/{x}/{y}",
    ],
)  # fmt: skip
def test_addresses_that_are_none_or_not_safe_are_refused(address):
    with pytest.raises(SourceError):
        tile_server(address)


def policies(monkeypatch):
    monkeypatch.setattr(access, "ACCESS", access.Access(token=None))
    monkeypatch.setattr(guard, "ACCESS", access.ACCESS)
    monkeypatch.setattr(
        access.st, "get_option", {"server.address": "127.0.0.1", "server.baseUrlPath": ""}.get
    )
    answers = {path: Server().ask(path) for path in ("/", "/component/x/index.html", "/media/a.png")}
    return {path: answer[1]["content-security-policy"] for path, answer in answers.items()}


def test_the_policy_of_maps_allows_just_the_host_that_was_chosen(monkeypatch):
    before = policies(monkeypatch)
    assert (
        "https" not in " ".join(before.values())
        and before["/component/x/index.html"] == guard.COMPONENT_POLICY
    )
    tile_servers.choose(tile_server("https://tiles.example.com/{z}/{x}/{y}"))
    after = policies(monkeypatch)
    changed = after["/component/x/index.html"]
    assert changed.replace(" https://tiles.example.com", "") == before["/component/x/index.html"]
    assert "img-src 'self' data: blob: https://tiles.example.com;" in changed
    assert {p: t for p, t in after.items() if "component" not in p} == {
        p: t for p, t in before.items() if "component" not in p
    }
    tile_servers.choose(None)
    assert policies(monkeypatch) == before


def test_on_a_shared_server_only_what_its_keeper_offers_can_be_chosen(monkeypatch):
    monkeypatch.setenv("OPENDIFF_SHARED", "1")
    monkeypatch.setattr(tile_servers.limits, "shared", lambda: True)
    monkeypatch.setattr(tile_servers.st, "session_state", {})
    assert tile_servers.offered() is None and tile_servers.origins() == ()
    tile_servers.choose(OSM)
    assert tile_servers.chosen() is None
    monkeypatch.setenv("OPENDIFF_TILES", "https://maps.example.com/{z}/{x}/{y}")
    assert tile_servers.chosen() is None and tile_servers.origins() == ("https://maps.example.com",)
    tile_servers.choose(tile_servers.offered())
    assert tile_servers.chosen().origin == "https://maps.example.com"
    monkeypatch.setenv("OPENDIFF_TILES", "http://maps.example.com/{z}/{x}/{y}")
    assert tile_servers.origins() == ()


def test_a_map_asks_for_tiles_only_where_they_were_chosen(space):
    from app.map.region import open_region

    region = open_region(space.source)
    assert "tileLayer" not in _base_map(region, region.bounds).get_root().render()
    page = _base_map(region, region.bounds, OSM).get_root().render()
    assert 'L.tileLayer("https://tile.openstreetmap.org/{z}/{x}/{y}.png"' in page
    assert "OpenStreetMap contributors" in _credits(region, OSM)


def test_the_choice_is_made_on_the_page_and_not_saved_with_the_work(monkeypatch):
    from streamlit.testing.v1 import AppTest

    from app.state import controls

    def script():
        from app.widgets.map_background import map_background

        map_background()

    test = AppTest.from_function(script).run()
    assert tile_servers.chosen() is None and not test.button
    test.radio[0].set_value("Another tile server").run()
    test.text_input(key="tile address").set_value("http://tiles.example.com/{z}/{x}/{y}").run()
    assert "https" in test.error[0].value and tile_servers.chosen() is None
    test.text_input(key="tile address").set_value("https://tiles.example.com/{z}/{x}/{y}").run()
    assert not test.error and tile_servers.chosen() is None  # until the button is pressed
    test.button[0].click().run()
    assert not test.exception and tile_servers.chosen().origin == "https://tiles.example.com"
    assert not {"tile address", "tile credit"} & controls._made
    test.radio[0].set_value("Offline: what this machine has").run()
    test.button[0].click().run()
    assert tile_servers.chosen() is None
