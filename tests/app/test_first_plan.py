"""The shortest ways of a new user: to a first plan on both bundled regions, by clicks, and to traffic in Paris."""

import pytest

from app.background import job_panel, open_data
from app.state.inputs import is_bundled
from app.state.workspace import Workspace
from benchmarks.robustness.fault_server import FaultServer
from benchmarks.robustness.faults import environment, made_world
from opendiff.area.tile_grid import tile_centre
from tests.app.making import until_finished
from tests.app.test_pages import button, drawn, open_page, texts  # noqa: F401 (a fixture)

FIRST = {"demo": "Use example area", "demo:seoul": "Example in Seoul, South Korea"}


class Clicks:
    """Presses buttons, and counts these presses and the visits of pages."""

    def __init__(self, space):
        self.space, self.count, self.test = space, 0, open_page("area", space)

    def press(self, label):
        self.count += 1
        button(self.test, label).click().run()
        self.sound()

    def go(self, page):
        self.count += 1
        self.test = open_page(page, self.space)
        self.sound()

    def wait(self):
        for job in list(self.space.jobs.values()):
            until_finished(job)
        job_panel.deliver_finished(self.space)
        self.test.run()
        self.sound()

    def sound(self):
        assert not self.test.exception and not self.test.error and not self.space.notes


@pytest.mark.slow
@pytest.mark.parametrize("region", list(FIRST))
def test_a_first_plan_takes_five_clicks_at_most(drawn, region):  # noqa: F811
    space = Workspace()
    she = Clicks(space)
    she.press(FIRST[region])
    assert space.source == region and space.tiles_with_data > 30
    assert button(she.test, "Next: generate traffic")
    she.go("traffic")
    she.test.number_input(key="samples").set_value(3)  # fewer than she would take, for a quick test
    she.press("Generate traffic")
    she.wait()
    she.go("sleep")
    she.test.multiselect(key="sleep strategies").set_value(["always-on", "greedy"])
    she.press("Compare sleep strategies")
    she.wait()
    assert she.count <= 5
    assert list(space.sleep.value.plans) == ["always-on", "greedy"] and is_bundled(space.source)
    assert any(
        "Recommended" in text or "Keep everything on" in text
        for text in texts([*she.test.success, *she.test.info])
    )


def paris(she):
    she.test.text_input(key="place searched").set_value("Paris").run()
    button(
        she.test, next(b.label for b in she.test.button if b.label.startswith("Paris, France"))
    ).click().run()
    assert she.space.area.name == "Paris" and she.space.tiles_with_data == 0


def test_paris_without_a_network_is_told_in_one_screen_what_to_get_and_where_to_put_it(drawn):  # noqa: F811
    she = Clicks(Workspace())
    paris(she)
    said = [*texts(she.test.warning), *texts(she.test.markdown)]
    (command,) = [code.value for code in she.test.get("code")]
    assert command.startswith("python -m opendiff fetch 2.3") and "--out paris --country FRA" in command
    told = next(text for text in said if "Without one" in text)
    for words in ("on a machine with a network", "copy the folder", "Offline data package", "Live providers"):
        assert words in told
    radio = next(r for r in she.test.radio if r.label == "Source")
    assert "Offline data package" in radio.options and "Live providers" in radio.options
    opened = next(e for e in she.test.expander if e.label == "Open data")
    assert opened.proto.expanded  # where to put it is on the screen, too
    assert not she.test.error


@pytest.mark.slow
def test_paris_with_a_network_reaches_traffic(drawn, tmp_path):  # noqa: F811
    she = Clicks(Workspace())
    paris(she)
    tiles = she.space.tiles
    lon, lat = (float(v) for v in tile_centre(int(tiles["x"].iloc[0]), int(tiles["y"].iloc[0])))
    world = made_world(tiles, absent=False)
    world.streets = [
        {"type": "way", "tags": {"highway": "primary"},
         "geometry": [{"lon": lon, "lat": lat}, {"lon": lon + 0.03, "lat": lat - 0.01}]},
        {"type": "node", "tags": {"place": "city", "name": "Paris"}, "lon": lon, "lat": lat},
    ]  # fmt: skip
    with FaultServer(world) as server, environment(server, tmp_path):
        she.test.radio[0].set_value("Live providers").run()
        country = next(t for t in she.test.text_input if t.label.startswith("Country"))
        assert country.value == "FRA"
        country.set_value("XXA").run()  # the one country that the server knows
        she.press("Fetch open data")
        assert open_data.JOB in she.space.jobs
        she.wait()
        assert she.space.tiles_with_data == len(tiles)
        assert any("Base map (c) OpenStreetMap" in text for text in texts(she.test.caption))
        she.go("traffic")
        she.test.number_input(key="samples").set_value(2)
        she.press("Generate traffic")
        she.wait()
    assert (she.space.traffic.value.traffic > 0).any() and len(she.space.traffic.value.tiles) == len(tiles)
