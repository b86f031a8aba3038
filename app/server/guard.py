"""What stands before Streamlit on every request: who may come in, what may be uploaded, which headers go out.

An ASGI middleware, so that pages, websocket, uploads, media, components and the health check all pass through it. What
it refuses never reaches Streamlit, which would ask an address on the internet about a foreign Origin.
"""

from __future__ import annotations

import hashlib
import logging
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server import access, tile_servers
from app.server.access import ACCESS, MARK_HEADER
from app.server.upload_quota import QuotaError, UploadAccounts

log = logging.getLogger(__name__)

PARAMETER = "token"
COOKIE_DAYS = 30
DISCARDED_BYTES = 210_000_000  # of a refused upload, beyond which the connection ends
_POLICY = {
    "default-src": "'self'",
    "script-src": "'self' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "frame-src": "'self'",
    "frame-ancestors": "'self'",  # components are frames of this server
    "base-uri": "'self'",
    "form-action": "'self'",
    "object-src": "'none'",
}


def _inline_scripts() -> str:
    """Sources that allow the scripts inside Streamlit's own page, and no others, by their hashes."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text("utf-8")
    found = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return " ".join(
        f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found
    )


def _written(policy: dict[str, str]) -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


PAGE_POLICY = _written(_POLICY | {"script-src": f"{_POLICY['script-src']} {_inline_scripts()}".strip()})
# the map is JavaScript that folium writes and its component evaluates
_COMPONENT = _POLICY | {"script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob: data:"}
COMPONENT_POLICY = _written(_COMPONENT)
MEDIA_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox"  # files made for a user: nothing in them runs
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def component_policy() -> str:
    """That of maps: images also from the tile server that was chosen, where one was."""
    return _written(_COMPONENT | {"img-src": " ".join([_COMPONENT["img-src"], *tile_servers.origins()])})


_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/([^/]+)/?")


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is not let in. page: a hint for people, in HTML."""

    status: int
    text: str
    page: str = ""


class Guard:
    """The middleware. hosts: names that the server answers to; base: its path, "" or "/plans"."""

    def __init__(
        self, app: ASGIApp, hosts: Callable[[], list[str]], base: Callable[[], str], accounts: UploadAccounts
    ):
        self.app, self.hosts, self.base, self.accounts = app, hosts, base, accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"]
        sealed = self._with_headers(send, path)
        try:
            name = self._host(scope, headers)
            _check_origin(scope, headers)
            is_health = path == f"{self.base()}/_stcore/health"
            user = self._user(headers) if not is_health else ""
            if not (is_health or access.shared_server()):
                answer = self._token(scope, headers)
                if answer is not None:
                    await answer(scope, receive, sealed)
                    return
        except Refusal as refusal:
            log.info("Refused a request (%s): %s", scope["type"], refusal.text)
            await _refuse(refusal, scope, receive, sealed)
            return
        self._mark(scope, headers, name)
        found = _UPLOAD.fullmatch(path.removeprefix(self.base()))
        if found and scope["type"] == "http" and scope["method"] == "PUT":
            await self._upload(found[1], found[2], user or _peer(scope), scope, receive, sealed)
        else:
            await self.app(scope, receive, sealed)

    def _host(self, scope: Scope, headers: Headers) -> str:
        if not scope["path"].startswith("/") or scope["path"].startswith(("//", "/\\")):
            raise Refusal(400, "The address of this request is malformed.")
        stated = headers.getlist("host")
        name = access.host_name(stated[0]) if len(stated) == 1 else None
        if name is None or not access.is_allowed(name, self.hosts()):
            raise Refusal(
                403,
                "This server does not answer to this host name; its keeper sets further names by OPENDIFF_HOSTS.",
            )
        return name

    def _user(self, headers: Headers) -> str:
        """The user that the proxy names, where the keeper of the server has said how."""
        header = access.user_header()
        if not header or not access.shared_server():
            return ""
        named = headers.getlist(header)
        if len(named) != 1 or not named[0].strip():
            raise Refusal(
                403, "This request comes past the proxy that says who is logged in; open the proxy's address."
            )
        return named[0]

    def _token(self, scope: Scope, headers: Headers) -> Response | None:
        """None where the browser has been opened with the token, else what opens it. Raises Refusal."""
        if ACCESS.token is None:
            return None
        stated = headers["host"]
        cookie = (
            f"opendiff_{stated.rpartition(':')[2]}" if stated.rpartition(":")[2].isdigit() else "opendiff"
        )
        known = ACCESS.is_cookie(cookie_parser(headers.get("cookie", "")).get(cookie, ""))
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            try:
                query = parse_qsl(
                    scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100
                )
            except ValueError:
                raise Refusal(400, "The address of this request is malformed.") from None
            given = [value for key, value in query if key == PARAMETER]
            if given and (known or (len(given) == 1 and ACCESS.opens(given[0]))):
                rest = urlencode([pair for pair in query if pair[0] != PARAMETER])
                answer = RedirectResponse(quote(scope["path"]) + (f"?{rest}" if rest else ""), 303)
                answer.headers["Cache-Control"] = "no-store"
                answer.set_cookie(
                    cookie,
                    ACCESS.cookie(),
                    max_age=COOKIE_DAYS * 86_400,
                    path=f"{self.base()}/",
                    secure=scope["scheme"] == "https",
                    httponly=True,
                    samesite="lax",  # "strict" would lose the work that a bookmark or a message leads back to
                )
                return answer
        if not known:
            raise Refusal(
                403,
                "This app is opened with the address that it printed at its start, which holds ?token=...",
                "<h1>OpenDiff Planner</h1><p>Open the app with the address that it printed at its start: "
                "<code>http://localhost:…/?token=…</code></p><p>The token is new at every start. "
                "<code>--no-token</code> starts the app without one.</p>",
            )
        return None

    def _mark(self, scope: Scope, headers: Headers, name: str) -> None:
        """Tell the app whether the request is of the person at this machine; what a client says of it is dropped."""
        kept = [(key, value) for key, value in scope["headers"] if key.lower() != MARK_HEADER.encode()]
        if access.is_personal(name, headers, _peer(scope)):
            kept.append((MARK_HEADER.encode(), ACCESS.mark.encode()))
        origin = headers.get("origin")
        if scope["type"] == "websocket" and origin is not None:
            # as the Host is spelt, so that Streamlit too finds them the same
            kept = [(key, value) for key, value in kept if key.lower() != b"origin"]
            kept.append((b"origin", f"{urlsplit(origin).scheme}://{headers['host']}".encode("latin-1")))
        scope["headers"] = kept

    async def _upload(
        self, session: str, file: str, who: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        person = hashlib.sha256(who.encode()).hexdigest()[:32]
        announced = Headers(scope=scope).get("content-length", "0")
        try:
            arriving = self.accounts.begin(
                session, file, person, int(announced) if announced.isascii() and announced.isdecimal() else 0
            )
        except QuotaError as error:
            await _discard(receive)
            await _refuse(Refusal(error.status, str(error)), scope, receive, send)
            return
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            try:
                self.accounts.grow(arriving, total)
            except QuotaError as error:  # the length was not announced, or not the true one
                raise HTTPException(error.status, str(error)) from None
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            self.accounts.end(arriving)

    def _with_headers(self, send: Send, path: str) -> Send:
        below = path.removeprefix(self.base())
        policy = PAGE_POLICY
        if below.startswith(("/component/", "/_stcore/bidi-components/")):
            policy = component_policy()
        elif below.startswith("/media/"):
            policy = MEDIA_POLICY
        stated = HEADERS | {"Content-Security-Policy": policy}
        added = [(key.lower().encode(), value.encode()) for key, value in stated.items()]
        names = {key for key, _ in added}

        async def sealed(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                rest = [(key, value) for key, value in message.get("headers", ()) if key.lower() not in names]
                message = {**message, "headers": [*rest, *added]}
            await send(message)

        return sealed


def _check_origin(scope: Scope, headers: Headers) -> None:
    """Only pages of this server open its websocket or change anything. A program sends no Origin."""
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return
    origins = headers.getlist("origin")
    if not origins:
        return
    parts = urlsplit(origins[0]) if len(origins) == 1 else None
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not _same_place(parts.netloc, headers["host"])
    ):
        raise Refusal(403, "This request comes from a page of another server.")


def _same_place(one: str, other: str) -> bool:
    """Whether two of "name:port" are the same, however they are spelt."""
    names = access.host_name(one), access.host_name(other)
    ports = [found[2] if (found := re.search(r"(:(\d+))$", text)) else "" for text in (one, other)]
    return names[0] is not None and names[0] == names[1] and ports[0] == ports[1]


def _peer(scope: Scope) -> str:
    return (scope.get("client") or ("",))[0]


async def _discard(receive: Receive) -> None:
    """Read a refused upload without keeping it: a browser that is still sending would not look at the answer."""
    left = DISCARDED_BYTES
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the wish to connect
        await send(
            {"type": "websocket.close", "code": 1008, "reason": refusal.text}
        )  # HTTP 403 before the handshake
        return
    if refusal.page and "text/html" in Headers(scope=scope).get("accept", ""):
        style = "body{font-family:sans-serif;max-width:40em;margin:4em auto;padding:0 1em;line-height:1.5}"
        text = f"<!doctype html><meta charset=utf-8><title>{escape('OpenDiff Planner')}</title><style>{style}</style>"
        answer: Response = HTMLResponse(text + refusal.page, refusal.status)
    else:
        answer = PlainTextResponse(refusal.text + "\n", refusal.status)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Connection"] = "close"  # of a refused upload the rest is not read
    await answer(scope, receive, send)
