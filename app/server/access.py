"""Who may reach the server: by which host names, from which pages, with which token or as which user of a proxy.

A personal server is opened with a token, as Jupyter is: the printed address holds it, a cookie keeps it. Whoever has
the token may name folders of this machine. Everybody else is a user of a shared server, whom a proxy has let in.

OPENDIFF_HOSTS   further names that the server answers to, comma-separated; `*.example.com` stands for all names below
OPENDIFF_TOKEN   the token, where it is to stay the same at the next start (default: another at every start)
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

import streamlit as st

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
CODE_SECONDS = 120.0  # that the address opened at the start is valid for, once
MIN_TOKEN_LETTERS = 16
MARK_HEADER = "x-opendiff-personal"
FORWARDING = ("forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip",
              "cf-connecting-ip", "x-original-host", "x-original-for", "x-proxyuser-ip")  # fmt: skip
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9_.-]{1,253}))(?::([0-9]{1,5}))?")


class AccessError(ValueError):
    """A setting of the server that it cannot start with; the message is one sentence with the remedy."""


@dataclass
class Access:
    """What the process asks of whoever connects.

    token: None where a personal server asks for none. mark: value of MARK_HEADER by which the guard tells the app that
    a session is personal; nobody else knows it. guarded: whether the guard stands before the app.
    """

    token: str | None = field(default_factory=lambda: secrets.token_urlsafe(32))
    mark: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    guarded: bool = False
    _codes: dict[str, float] = field(default_factory=dict)  # digest of a code: until when it is valid
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def one_time_code(self) -> str:
        """What opens the server once. Other users of this machine see the command that opens a browser, so the
        address in it must not hold the token."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._codes[_digest(code)] = time.monotonic() + CODE_SECONDS
        return code

    def opens(self, given: str) -> bool:
        """Whether this is the token, or a code that nobody has used yet."""
        if self.token is None:
            return True
        if _same(given, self.token):
            return True
        with self._lock:
            return self._codes.pop(_digest(given), 0.0) > time.monotonic()

    def cookie(self) -> str:
        """What the cookie of an opened browser holds: it tells nothing of the token."""
        return hmac.new((self.token or "").encode(), b"cookie of the browser", hashlib.sha256).hexdigest()

    def is_cookie(self, given: str) -> bool:
        return _same(given, self.cookie())


def stated_token(environment: Mapping[str, str] = os.environ) -> str:
    """OPENDIFF_TOKEN, or one by chance. Raises AccessError for one that can be guessed or not be in an address."""
    stated = environment.get("OPENDIFF_TOKEN", "")
    if stated and (len(stated) < MIN_TOKEN_LETTERS or not re.fullmatch(r"[A-Za-z0-9_.~-]+", stated)):
        raise AccessError(
            f"OPENDIFF_TOKEN needs at least {MIN_TOKEN_LETTERS} letters, digits or any of _ . ~ -; set another, or "
            "leave it out."
        )
    return stated or secrets.token_urlsafe(32)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same, in a time that does not depend on where they differ."""
    return hmac.compare_digest(_digest(one), _digest(other))


# --- names -------------------------------------------------------------------------------------------------------


def host_name(header: str) -> str | None:
    """The name in a Host header in lower case, without port and the dot of the root; None where it is malformed."""
    found = _HOST.fullmatch(header)
    if found is None or int(found[3] or 0) > 65_535:
        return None
    if found[1]:
        try:
            return str(IPv6Address(found[1]))
        except ValueError:
            return None
    return found[2].lower().removesuffix(".") or None


def allowed_hosts(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The names that the server answers to: this machine's own, OPENDIFF_HOSTS and Streamlit's `server.allowedHosts`.

    Raises AccessError for what is no name.
    """
    stated = [
        *environment.get("OPENDIFF_HOSTS", "").split(","),
        *(st.get_option("server.allowedHosts") or []),
    ]
    names = [name.strip().lower().strip("[]").removesuffix(".") for name in stated if name.strip()]
    for name in names:
        bare = name.removeprefix("*.")
        if host_name(f"[{bare}]" if ":" in bare else bare) is None or "*" in bare:
            raise AccessError(
                f"OPENDIFF_HOSTS holds {name!r}, which is no host name; give names without port, as "
                "plans.example.com or *.example.com."
            )
    return list(dict.fromkeys((*LOCAL_NAMES, *names)))


def is_allowed(name: str | None, allowed: list[str]) -> bool:
    """Whether a name by `host_name` is one of those that the server answers to."""
    if name is None:
        return False
    return name in allowed or any(h.startswith("*.") and name.endswith(h[1:]) for h in allowed)


# --- kinds of servers and sessions -------------------------------------------------------------------------------


def shared_server() -> bool:
    """Whether the whole server is for several people: because OPENDIFF_SHARED says so, or, where it says nothing,
    because the server has a base path or listens on more than this machine."""
    stated = os.environ.get("OPENDIFF_SHARED", "")
    if stated in ("0", "1"):
        return stated == "1"
    return not is_loopback(st.get_option("server.address") or "0.0.0.0") or bool(
        st.get_option("server.baseUrlPath")
    )


def is_personal(name: str | None, headers: Mapping[str, str], peer: str) -> bool:
    """Whether a request with the token is of the person at this machine.

    Where OPENDIFF_SHARED does not say so, it must come from this machine, by one of its own names, and through no
    proxy. name: of the Host. headers: by their lower-case names. peer: address of whoever connects.
    """
    if shared_server():
        return False
    if os.environ.get("OPENDIFF_SHARED") == "0":
        return True
    forwarded = any(key.startswith("x-forwarded-") or key in FORWARDING for key in headers)
    return name in LOCAL_NAMES and not forwarded and is_loopback(peer)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own, also one of IPv4 written as IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address == "localhost"
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_loopback


def user_header() -> str:
    """The header in which the proxy names who is logged in, in lower case; empty where there is none."""
    return os.environ.get("OPENDIFF_USER_HEADER", "").strip().lower()


ACCESS = Access()


def set_up() -> None:
    """Make the settings of this process those of Streamlit too, before it serves. Raises AccessError."""
    if ACCESS.token is not None:
        ACCESS.token = stated_token()
    # Streamlit's websocket checks the names a second time, and who comes back to a session
    st.config.set_option("server.allowedHosts", allowed_hosts())
    if user_header() and shared_server():
        st.config.set_option("server.trustedUserHeaders", {user_header(): "user"})
    ACCESS.guarded = True
