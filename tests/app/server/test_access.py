"""Names, tokens and kinds of servers: the decisions that the guard rests on."""

import pytest

from app.server import access
from app.server.access import Access, AccessError, allowed_hosts, host_name, is_allowed, is_personal

LOCAL = {"host": "localhost:8501"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8501", "localhost"),
        ("localhost.:80", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8501", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("plans.example.com", "plans.example.com"),
        *[(bad, None) for bad in (
            "", " localhost", "localhost ", "localhost\t", "localhost:", "localhost:99999", "localhost:8501:1",
            "localhost:8501/x", "localhost@evil.example", "evil.example@localhost", "localhost,evil.example",
            "localhost evil.example", "http://localhost", "[::1", "::1", "[::1%lo]", "[localhost]", "loc\u0430lhost",
            "localhost\u3002", "%6cocalhost", ".", "localhost\n", "localhost?", "localhost#", "a" * 254,
        )],
    ],
)  # fmt: skip
def test_the_name_in_a_host_header(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize(
    "header",
    ["evil.example", "localhost.evil.example", "evil-localhost", "127.0.0.2", "127.1", "2130706433", "0.0.0.0",
     "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0x7f.0.0.1", "localhost..", "localtest.me"],
)  # fmt: skip
def test_other_names_are_not_this_machine(header):
    assert not is_allowed(host_name(header), list(access.LOCAL_NAMES))


def test_the_keeper_of_a_server_names_further_hosts():
    hosts = allowed_hosts({"OPENDIFF_HOSTS": "Plans.Example.com., *.corp.example,[2001:db8::1],10.0.0.5"})
    for name in (
        "plans.example.com",
        "a.corp.example",
        "b.a.corp.example",
        "[2001:DB8:0::1]:80",
        "10.0.0.5:9",
        "localhost",
    ):
        assert is_allowed(host_name(name), hosts), name
    for name in ("corp.example", "acorp.example", "a.corp.example.evil", "example.com", "10.0.0.6"):
        assert not is_allowed(host_name(name), hosts), name
    for bad in ("*", "a:80", "http://a", "a/b", "*.*.a", "a b"):
        with pytest.raises(AccessError, match="no host name"):
            allowed_hosts({"OPENDIFF_HOSTS": bad})


def test_a_token_opens_and_a_code_opens_once(monkeypatch):
    here = Access(token="t" * 20)
    code = here.one_time_code()
    assert here.opens("t" * 20) and here.opens("t" * 20)
    assert here.opens(code) and not here.opens(code)
    for wrong in ("", "t" * 19, "t" * 21, "T" * 20, here.cookie(), here.mark, "\udcff"):
        assert not here.opens(wrong), wrong
    assert here.is_cookie(here.cookie()) and not here.is_cookie("t" * 20) and not here.is_cookie("")
    assert Access(token="u" * 20).cookie() != here.cookie()
    late = here.one_time_code()
    monkeypatch.setattr(access.time, "monotonic", lambda: float("inf"))
    assert not here.opens(late)


def test_tokens_are_long_and_by_chance():
    assert access.stated_token({}) != access.stated_token({}) and len(access.stated_token({})) >= 40
    assert access.stated_token({"OPENDIFF_TOKEN": "a" * 16}) == "a" * 16
    for weak in ("short", "with space " * 3, "a&b=" * 8):
        with pytest.raises(AccessError, match="OPENDIFF_TOKEN"):
            access.stated_token({"OPENDIFF_TOKEN": weak})


@pytest.fixture
def unstated(monkeypatch):
    """A server that listens on this machine, and nobody has said whose it is; returns its other settings."""
    monkeypatch.delenv("OPENDIFF_SHARED", raising=False)
    options = {"server.address": "127.0.0.1", "server.baseUrlPath": ""}
    monkeypatch.setattr(access.st, "get_option", options.get)
    return options


def test_a_server_that_does_not_know_its_proxy_is_not_personal_behind_one(unstated):
    assert is_personal("localhost", LOCAL, "127.0.0.1")
    assert is_personal("::1", LOCAL, "::1") and is_personal("127.0.0.1", LOCAL, "::ffff:127.0.0.1")
    for header in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-user", "forwarded", "via",
                   "x-real-ip", "cf-connecting-ip"):  # fmt: skip
        assert not is_personal("localhost", LOCAL | {header: ""}, "127.0.0.1"), header
    assert not is_personal("plans.example.com", LOCAL, "127.0.0.1")
    for peer in ("10.0.0.1", "::ffff:10.0.0.1", "", "unix"):
        assert not is_personal("localhost", LOCAL, peer), peer


@pytest.mark.parametrize(
    ("option", "value"),
    [("server.address", "0.0.0.0"), ("server.address", None), ("server.baseUrlPath", "plans")],
)
def test_a_server_that_others_reach_is_shared(unstated, monkeypatch, option, value):
    assert not access.shared_server()
    unstated[option] = value
    assert access.shared_server() and not is_personal("localhost", LOCAL, "127.0.0.1")
    monkeypatch.setenv("OPENDIFF_SHARED", "0")  # its keeper has said so, as in a container
    assert not access.shared_server() and is_personal("localhost", LOCAL, "172.17.0.1")
