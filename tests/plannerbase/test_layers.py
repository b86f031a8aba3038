"""Tables and layers by the name and the first bytes of a file."""

import pytest

from plannerbase.layers import read_layers
from plannerbase.text import Refused

COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)


@pytest.mark.parametrize("name", ["sites.xls", "sites.XLS", "sites.xlsx", "sites.csv"])
def test_workbooks_before_2007_and_those_with_a_password_are_refused_with_the_remedy(name):
    with pytest.raises(Refused, match=r"before 2007, or one protected by a password; save it as \.xlsx"):
        read_layers(COMPOUND, name)
