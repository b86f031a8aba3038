"""What a name of a source means, and when a source has changed for a run."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from opendiff.area import tile_frame
from opendiff.demo import DemoSource
from opendiff.errors import SourceError
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS, PackSource, image_path
from opendiff.opening import open_source, source_checksum

TILES = tile_frame(np.array([26900, 26901]), np.array([13500, 13500]))
OTHER = (26950, 13500)


@pytest.fixture
def pack(tmp_path):
    rows = [*zip(TILES["x"], TILES["y"], strict=True), OTHER]
    table = pd.DataFrame({"z": 15, "x": [x for x, _ in rows], "y": [y for _, y in rows]})
    table[[*POI_COLUMNS, *POPULATION_COLUMNS]] = 1.0
    table.to_parquet(tmp_path / "tiles.parquet")
    for x, y in rows:
        path = image_path(tmp_path, x, y)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (256, 256)).save(path)
    return tmp_path


def test_a_name_means_the_bundled_region_or_a_pack(pack):
    assert isinstance(open_source("demo"), DemoSource)
    assert open_source(str(pack)) == PackSource(pack)
    with pytest.raises(SourceError, match="fetch"):
        open_source("live")


@pytest.mark.parametrize(
    "change",
    [
        lambda pack: Image.effect_noise((256, 256), 50).save(image_path(pack, *TILES.iloc[1][["x", "y"]])),
        lambda pack: image_path(pack, *TILES.iloc[0][["x", "y"]]).unlink(),
        lambda pack: (pack / "pack.json").write_text('{"population_unit": "people"}'),
    ],
    ids=["an image", "a lost image", "the facts of the pack"],
)
def test_a_changed_pack_is_another_source(pack, change):
    before = source_checksum(str(pack), TILES)
    assert source_checksum(str(pack), TILES) == before
    change(pack)
    assert source_checksum(str(pack), TILES) != before


def test_images_outside_the_run_do_not_count(pack):
    before = source_checksum(str(pack), TILES)
    Image.effect_noise((256, 256), 50).save(image_path(pack, *OTHER))
    assert source_checksum(str(pack), TILES) == before
