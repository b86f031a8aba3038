"""Users drawn from a demand."""

import numpy as np
import pytest

from planning.errors import InputError
from planning.prb.users import draw_users
from tests.planning.conftest import make_table


def test_users_carry_all_traffic_and_stay_in_their_tiles(demand):
    hour = demand.busy_hour(168)
    users = draw_users(demand, hour, 50, seed=1)
    assert len(users.lon) == 50
    assert users.demand_mbps.sum() == pytest.approx(demand.profile(None)[:, hour].sum())
    active = demand.profile(None, 0.5, "users")[:, hour].sum()
    assert users.weight == pytest.approx(round(active) / 50) and "each standing for" in users.sentence
    np.testing.assert_array_equal(users.lon, draw_users(demand, hour, 50, seed=1).lon)
    assert not np.array_equal(users.lon, draw_users(demand, hour, 50, seed=2).lon)
    few = draw_users(demand, hour, 100_000)
    assert few.weight == 1 and len(few.lon) == round(active) and "standing" not in few.sentence
    with pytest.raises(InputError, match="no hour 168"):
        draw_users(demand, 168)
    with pytest.raises(InputError, match="number of users"):
        draw_users(demand, 3, 0)


def test_users_of_a_partly_covered_tile_are_inside_the_area():
    from shapely.geometry import box, mapping

    from planning.demand import Demand
    from planning.geometry import tile_corner

    table = make_table(1, 1, 1, 24, covered_share=[0.25])
    west, north = tile_corner(table.x[0], table.y[0])
    east, south = tile_corner(table.x[0] + 1, table.y[0] + 1)
    table.metadata["area"] = mapping(box(west, (north + south) / 2, (west + east) / 2, north))
    users = draw_users(Demand.build(table), 12, 80)
    assert (users.lon <= (west + east) / 2).all() and (users.lat >= (north + south) / 2).all()
