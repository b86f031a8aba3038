"""What sessions share: the same content is made once, other content never shared, and the whole is bounded."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.cache import SharedCache, fingerprint

PARTS = st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary()), max_size=4)


@given(PARTS, PARTS)
def test_other_parts_have_another_fingerprint(one, other):
    same = [(type(a), a) for a in one] == [(type(b), b) for b in other]
    assert (fingerprint(*one) == fingerprint(*other)) == same


def test_arrays_count_whole_with_their_shape_and_kind():
    """Every element counts, of large arrays too, which Streamlit's own caches hash by a sample."""
    large = np.zeros(1_000_000, np.float32)
    changed = large.copy()
    changed[123_457] = 1
    prints = [fingerprint(a) for a in (large, changed, large.reshape(1000, 1000), large.view(np.int32))]
    assert len(set(prints)) == 4
    assert fingerprint(large) == fingerprint(large.copy())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=40))
def test_it_never_holds_more_than_it_may_and_gives_what_was_made_for_the_key(asked):
    cache = SharedCache(100, len)
    lengths: dict[str, int] = {}
    for number, length in asked:
        length = lengths.setdefault(str(number), length)
        assert cache.get(str(number), lambda number=number, length=length: str(number) * length) == (
            str(number) * length
        )
        assert cache.held <= 100


def test_what_was_used_longest_ago_goes_first():
    cache, made = SharedCache(2, lambda value: 1), []

    def ask(key):
        cache.get(key, lambda: made.append(key))

    for key in "abac":
        ask(key)
    assert made == ["a", "b", "c"]
    ask("a")
    assert made == ["a", "b", "c"]
    ask("b")
    assert made == ["a", "b", "c", "b"]


def test_what_cannot_be_made_is_not_kept():
    cache = SharedCache(10, len)
    with pytest.raises(ValueError):
        cache.get("a", lambda: "".index("x"))
    assert cache.get("a", lambda: "made") == "made"


def test_many_sessions_at_once():
    cache, wrong = SharedCache(50, len), []

    def session(start):
        for i in range(300):
            number = (start + i) % 20
            if cache.get(str(number), lambda number=number: str(number) * 5) != str(number) * 5:
                wrong.append(number)

    threads = [threading.Thread(target=session, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and cache.held <= 50
