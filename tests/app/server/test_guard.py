"""The guard before Streamlit, by requests as a web server gives them: what comes through, and what goes out."""

import asyncio
from types import SimpleNamespace

import pytest

from app.server import access, guard
from app.server.access import Access
from app.server.upload_quota import UploadAccounts, UploadLimits

TOKEN = "token-for-the-tests"
HOST = "localhost:8501"
MB = 1_000_000


class Inner:
    """What stands behind the guard: it notes what reaches it, and reads uploads to their end."""

    def __init__(self, storage):
        self.storage, self.seen = storage, []

    async def __call__(self, scope, receive, send):
        from starlette.exceptions import HTTPException

        self.seen.append(scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            return
        status, body = 200, b""
        try:
            while (message := await receive()).get("more_body", False) or message.get("body"):
                body += message["body"]
                if not message.get("more_body"):
                    break
        except HTTPException as error:  # as Starlette does
            status = error.status_code
        if status == 200 and scope["method"] == "PUT":
            _, _, session, file = scope["path"].rsplit("/", 3)
            self.storage.file_storage.setdefault(session, {})[file] = SimpleNamespace(size=len(body))
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"x-frame-options", b"ALLOWALL")]}
        )
        await send({"type": "http.response.body", "body": b"inner"})


class Server:
    """A guard with its settings, and requests to it. Answers: status, headers, text."""

    def __init__(self, base="", limits=None):
        self.storage = SimpleNamespace(file_storage={})
        self.storage.remove_session_files = lambda session: self.storage.file_storage.pop(session, None)
        self.inner = Inner(self.storage)
        limits = limits or UploadLimits(10, 100 * MB, 10, 100 * MB, 100, 100 * MB)
        self.now = 0.0
        self.accounts = UploadAccounts(lambda: self.storage, limits, lambda: self.now)
        self.guard = guard.Guard(self.inner, lambda: list(access.LOCAL_NAMES), lambda: base, self.accounts)

    def ask(
        self, path="/", method="GET", kind="http", peer="127.0.0.1", body=(), host=HOST, cookie="", **headers
    ):
        raw = [
            (name.replace("_", "-").encode(), value.encode("utf-8", "surrogateescape"))
            for name, values in headers.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        raw += [(b"host", h.encode()) for h in ([host] if isinstance(host, str) else host)]
        raw += [(b"cookie", cookie.encode())] if cookie else []
        path, _, query = path.partition("?")
        scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": raw, "client": (peer, 1),
                 "scheme": "http" if kind == "http" else "ws"}  # fmt: skip
        scope |= {"method": method} if kind == "http" else {}
        sent, parts = [], list(body)

        async def receive():
            if kind == "websocket":
                return {"type": "websocket.connect"}
            part = parts.pop(0) if parts else b""
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message):
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        first = sent[0]
        if kind == "websocket":
            return (101 if first["type"] == "websocket.accept" else 403), {}, first.get("reason", "")
        found = {key.decode(): value.decode() for key, value in first["headers"]}
        return first["status"], found, b"".join(m.get("body", b"") for m in sent[1:]).decode()

    def cookie(self):
        return f"opendiff_8501={access.ACCESS.cookie()}"

    @property
    def last(self):
        """Headers by name of the last request that came through."""
        return dict(self.inner.seen[-1]["headers"])


@pytest.fixture(autouse=True)
def personal(monkeypatch):
    """A personal server that nobody has said anything about."""
    monkeypatch.setattr(access, "ACCESS", Access(token=TOKEN))
    monkeypatch.setattr(guard, "ACCESS", access.ACCESS)
    monkeypatch.delenv("OPENDIFF_SHARED", raising=False)
    monkeypatch.setattr(
        access.st, "get_option", {"server.address": "127.0.0.1", "server.baseUrlPath": ""}.get
    )


@pytest.fixture
def server():
    return Server()


ENDPOINTS = ["/", "/traffic", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/media/a.png",
             "/component/x/index.html", "/static/js/a.js", "/app/static/x", "/_stcore/agent/run"]  # fmt: skip


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil.example",
     "", [HOST, "evil.example"], [HOST, HOST], []],
)  # fmt: skip
def test_another_name_is_refused_everywhere(server, host):
    """DNS rebinding: the page of another name has the right cookie and an Origin that fits, and gets nowhere."""
    origin = f"http://{host}" if isinstance(host, str) else "http://evil.example"
    for path in ENDPOINTS:
        assert server.ask(path, host=host, cookie=server.cookie())[0] == 403, path
        assert server.ask(f"{path}?token={TOKEN}", host=host)[0] == 403, path
    assert (
        server.ask("/_stcore/stream", kind="websocket", host=host, origin=origin, cookie=server.cookie())[0]
        == 403
    )
    for method in ("PUT", "DELETE", "POST", "OPTIONS"):
        path = "/_stcore/upload_file/s/f"
        assert server.ask(path, method, host=host, origin=origin, cookie=server.cookie())[0] == 403
    assert server.inner.seen == []


@pytest.mark.parametrize("path", ["http://evil.example/", "//evil.example/", "/\\evil.example", "*", ""])
def test_addresses_of_another_form_are_refused(server, path):
    assert server.ask(f"{path}?token={TOKEN}")[0] == 400 and server.inner.seen == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999", "http://localhost",
                                    "http://127.0.0.1:8501", "file://localhost:8501", "http://localhost:8501@evil.example",
                                    ["http://localhost:8501", "http://evil.example"], ""])  # fmt: skip
def test_a_page_of_another_server_is_refused(server, origin):
    """Before Streamlit sees it, which would ask an address on the internet whether the page is its own."""
    cookie = server.cookie()
    assert server.ask("/_stcore/stream", kind="websocket", origin=origin, cookie=cookie)[0] == 403
    assert server.ask("/_stcore/upload_file/s/f", "PUT", origin=origin, cookie=cookie)[0] == 403
    assert server.inner.seen == []


@pytest.mark.parametrize(("host", "origin"), [(HOST, "http://localhost:8501"), ("LOCALHOST:8501", "http://localhost:8501"),
                                              ("localhost.:8501", "https://localhost:8501")])  # fmt: skip
def test_what_passes_is_the_same_to_streamlit(server, host, origin):
    """However the two are spelt: Streamlit compares them letter by letter."""
    assert (
        server.ask("/_stcore/stream", kind="websocket", host=host, origin=origin, cookie=server.cookie())[0]
        == 101
    )
    assert server.last[b"origin"].partition(b"://")[2] == server.last[b"host"]


def test_the_token_opens_a_browser(server):
    for path in ("/", "/traffic?work=1", "/static/js/a.js", "/media/x"):
        assert server.ask(path)[0] == 403
    for wrong in (
        "?token=",
        "?token=x",
        f"?token={TOKEN}&token=x",
        f"?Token={TOKEN}",
        f"?token={TOKEN.upper()}",
    ):
        assert server.ask(f"/{wrong}")[0] == 403, wrong
    assert server.ask("/", cookie=f"opendiff_8501={TOKEN}")[0] == 403
    assert server.ask("/_stcore/stream", kind="websocket", origin=f"http://{HOST}")[0] == 403
    assert server.ask(f"/_stcore/stream?token={TOKEN}", kind="websocket", origin=f"http://{HOST}")[0] == 403
    assert server.inner.seen == []
    status, headers, _ = server.ask(f"/traffic?work=a%20b&token={TOKEN}")
    assert (
        status == 303
        and headers["location"] == "/traffic?work=a+b"
        and headers["cache-control"] == "no-store"
    )
    set_cookie = headers["set-cookie"].lower()
    assert TOKEN not in set_cookie and "httponly" in set_cookie and "samesite=lax" in set_cookie
    cookie = headers["set-cookie"].partition(";")[0]
    assert server.ask("/traffic", cookie=cookie)[0] == 200
    assert server.ask("/_stcore/stream", kind="websocket", origin=f"http://{HOST}", cookie=cookie)[0] == 101
    access.ACCESS.token = "another-one-at-the-next-start"
    assert server.ask("/traffic", cookie=cookie)[0] == 403


def test_without_a_token_the_other_checks_stay(server):
    access.ACCESS.token = None
    assert server.ask("/")[0] == 200 and server.ask("/", host="evil.example")[0] == 403
    assert server.ask("/_stcore/stream", kind="websocket", origin="http://evil.example")[0] == 403


def test_the_health_of_the_server_needs_no_token(server):
    assert server.ask("/_stcore/health")[0] == 200
    for path in ("/_stcore/health/../metrics", "/_stcore/healthy", "/x/_stcore/health"):
        assert server.ask(path)[0] == 403, path


def test_only_the_guard_says_that_a_session_is_personal(server):
    mark, ours = access.MARK_HEADER.encode(), access.ACCESS.mark.encode()
    server.ask("/", cookie=server.cookie(), x_opendiff_personal="forged")
    assert [v for k, v in server.inner.seen[-1]["headers"] if k == mark] == [ours]
    server.ask(
        "/", cookie=server.cookie(), x_forwarded_host="localhost", x_opendiff_personal=access.ACCESS.mark
    )
    assert mark not in server.last


@pytest.fixture
def behind_proxy(monkeypatch):
    monkeypatch.setenv("OPENDIFF_SHARED", "1")
    monkeypatch.setenv("OPENDIFF_USER_HEADER", "X-User")


def test_past_the_proxy_nobody_comes_in(server, behind_proxy):
    for headers in ({}, {"x_user": ""}, {"x_user": ["ada", "bob"]}):
        assert server.ask("/", **headers)[0] == 403
        assert server.ask("/_stcore/stream", kind="websocket", **headers)[0] == 403
    assert server.ask("/_stcore/health")[0] == 200 and len(server.inner.seen) == 1
    assert server.ask("/", x_user="ada")[0] == 200 and access.MARK_HEADER.encode() not in server.last


def test_every_answer_has_the_headers(server, behind_proxy):
    answers = [server.ask(path, x_user="ada") for path in ENDPOINTS]
    answers += [server.ask("/", host="evil.example"), server.ask("/")]
    for _, headers, _ in answers:
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "SAMEORIGIN"
        assert (
            headers["referrer-policy"] == "same-origin"
            and "default-src" in headers["content-security-policy"]
        )
    policies = {
        path: answer[1]["content-security-policy"] for path, answer in zip(ENDPOINTS, answers, strict=False)
    }
    assert "'unsafe-eval'" not in policies["/"] and "script-src 'self' blob: 'sha256-" in policies["/"]
    assert "http" not in " ".join(policies.values()) and "sandbox" in policies["/media/a.png"]
    assert all("frame-ancestors 'self'" in policy for path, policy in policies.items() if "media" not in path)


# --- uploads -----------------------------------------------------------------------------------------------------


def put(server, session, file, parts, who="ada", announced=True):
    length = {"content_length": str(sum(map(len, parts)))} if announced else {}
    return server.ask(f"/_stcore/upload_file/{session}/{file}", "PUT", body=parts, x_user=who, **length)[0]


def test_uploads_are_counted_by_session_and_person(behind_proxy):
    server = Server(limits=UploadLimits(2, 5 * MB, 3, 8 * MB, 100, 100 * MB))
    part = [b"x" * MB]
    assert [put(server, "one", f, part) for f in "abc"] == [200, 200, 413]
    assert [put(server, "two", f, part) for f in "ab"] == [
        200,
        413,
    ]  # a third file of the person, and a fourth
    assert put(server, "bobs", "a", part, who="bob") == 200
    assert len(server.inner.seen) == 4  # what is refused by its announcement is not even read
    server.storage.file_storage["one"].pop("a")
    assert put(server, "two", "b", part) == 200


@pytest.mark.parametrize("announced", [True, False])
def test_bytes_are_counted_while_they_come(behind_proxy, announced):
    """Also where the length is not announced, and without more of them in memory than allowed."""
    server = Server(limits=UploadLimits(9, 5 * MB, 9, 5 * MB, 100, 100 * MB))
    assert put(server, "one", "a", [b"x" * MB] * 4, announced=announced) == 200
    assert put(server, "one", "b", [b"x" * MB] * 2, announced=announced) == 413
    assert put(server, "one", "c", [b"x" * MB], announced=announced) == 200
    assert server.accounts.held(["one"]) == (2, 5 * MB)


def test_a_length_that_is_announced_too_small_helps_nobody(behind_proxy):
    server = Server(limits=UploadLimits(9, MB, 9, MB, 100, 100 * MB))
    answer = server.ask(
        "/_stcore/upload_file/s/f", "PUT", body=[b"x" * MB] * 3, x_user="ada", content_length="10"
    )
    assert answer[0] == 413 and server.storage.file_storage == {}


def test_uploads_in_a_minute_are_counted(behind_proxy):
    server = Server(limits=UploadLimits(99, 99 * MB, 99, 99 * MB, 3, 999 * MB))
    assert [put(server, f"s{n}", "a", [b"x"]) for n in range(4)] == [200, 200, 200, 429]
    assert put(server, "t", "a", [b"x"], who="bob") == 200
    server.now = 61.0
    assert put(server, "s4", "a", [b"x"]) == 200


def test_the_whole_server_has_a_limit(behind_proxy):
    server = Server(limits=UploadLimits(9, 9 * MB, 9, 9 * MB, 100, 3 * MB))
    assert [put(server, f"s{n}", "a", [b"x" * MB], who=f"user {n}") for n in range(4)] == [200, 200, 200, 413]


def test_what_a_closed_session_held_is_released(behind_proxy):
    server = Server(limits=UploadLimits(1, 9 * MB, 1, 9 * MB, 100, 99 * MB))
    shown, closed = {"one", "two", "other"}, []
    sweep = lambda: server.accounts.release_closed(shown.__contains__, closed.append, 100)  # noqa: E731
    assert put(server, "one", "a", [b"x" * MB]) == 200 and put(server, "other", "a", [b"x"], who="bob") == 200
    assert put(server, "two", "a", [b"x"]) == 413
    sweep()
    shown.remove("one")
    for server.now, gone in ((50.0, []), (100.0, []), (149.0, []), (150.0, ["one"]), (151.0, [])):
        assert sweep() == gone
    assert closed == ["one"] and list(server.storage.file_storage) == ["other"]
    assert put(server, "two", "a", [b"x"]) == 200


def test_a_session_that_comes_back_keeps_its_files(behind_proxy):
    server = Server()
    shown = set()
    put(server, "one", "a", [b"x"])
    for server.now, present in ((0.0, False), (90.0, True), (95.0, False), (190.0, False)):
        shown = {"one"} if present else set()
        assert server.accounts.release_closed(shown.__contains__, lambda session: None, 100) == []
    assert server.accounts.held(["one"]) == (1, 1)
