"""A user of the app without a browser: Streamlit's own protocol over its websocket, of one page of one session.

The server sees what it sees of a browser: the XSRF cookie and token, widget states, clicks, drawings on the map.
"""

from __future__ import annotations

import http.cookiejar
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from benchmarks import ROOT

READY_S = 120.0
MAX_BYTES = 200_000_000


class AppError(Exception):
    """The app has shown an exception, ended the script with one, or gone away."""


@dataclass
class Session:
    """Connects at once; use as a context manager. address: http://127.0.0.1:PORT/, with the base path if it has one.

    widgets: id and kind by label of what the page shows now. texts: what it says. seconds: of each run of the whole
    script. headers: sent along with every request, as a browser does that has logged in. token: of a personal server
    that asks for one. work: number of open work in the address.
    """

    address: str
    patience: float = 120.0
    headers: dict[str, str] = field(default_factory=dict)
    token: str = ""
    work: str = ""
    widgets: dict[str, tuple[str, str]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    page: str = ""
    page_hash: str = ""
    session: str = ""  # its number on the server
    panel: str = ""  # the fragment that shows running jobs, while there are any
    pace: float = 0.5  # seconds after which it is to be run again
    _kept: dict[str, WidgetState] = field(default_factory=dict)

    def __enter__(self) -> Session:
        parts = urlsplit(self.address)
        assert parts.hostname == "127.0.0.1", "sessions are opened on this machine only"
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        health = urllib.request.Request(f"{self.address}_stcore/health", headers=self.headers)
        with opener.open(health, timeout=self.patience) as answer:
            answer.read()
        if self.token:
            with opener.open(f"{self.address}?token={self.token}", timeout=self.patience) as answer:
                answer.read()
        self.cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
        self.xsrf = next((cookie.value or "" for cookie in jar if cookie.name == "_streamlit_xsrf"), "")
        self._open = ExitStack()
        opened = connect(
            f"ws://{parts.netloc}{parts.path}_stcore/stream",
            subprotocols=[Subprotocol(name) for name in ("streamlit", self.xsrf) if name],
            additional_headers=self.headers | ({"Cookie": self.cookies} if self.cookies else {}),
            origin=Origin(f"http://{parts.netloc}"),
            max_size=MAX_BYTES,
            open_timeout=self.patience,
        )
        self._socket = self._open.enter_context(opened)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    def run(self, *changed: WidgetState, page: str | None = None, fragment: str = "") -> None:
        """Run the script, or one fragment of it, with the widgets as they are and some changed. Raises AppError."""
        message = BackMsg()
        state = message.rerun_script
        if page is not None and page != self.page:
            self._kept.clear()
            self.page, self.page_hash = page, ""
        state.page_name, state.page_script_hash, state.fragment_id = self.page, self.page_hash, fragment
        for widget in changed:
            if not (widget.HasField("trigger_value") or widget.HasField("string_trigger_value")):
                self._kept[widget.id] = widget
        state.widget_states.widgets.extend({**self._kept, **{w.id: w for w in changed}}.values())
        state.query_string = f"work={self.work}" if self.work else ""
        state.context_info.timezone, state.context_info.locale = "Etc/UTC", "en-GB"
        began = time.monotonic()
        self._socket.send(message.SerializeToString())
        self._read(began + self.patience, whole=not fragment)
        if not fragment:
            self.seconds.append(time.monotonic() - began)

    def open(self, page: str) -> None:
        """Go to a page by its path ("", "traffic", "sleep", ...)."""
        self.run(page=page)

    def click(self, label: str) -> None:
        """Press the button whose label begins so."""
        widget = WidgetState(id=self._find("button", label))
        widget.trigger_value = True
        self.run(widget)

    def draw(self, *outlines: dict[str, Any]) -> None:
        """Draw GeoJSON geometries on the map of the page."""
        features = [{"type": "Feature", "properties": {}, "geometry": outline} for outline in outlines]
        widget = WidgetState(id=self._find("component_instance", "streamlit_folium"))
        widget.json_value = json.dumps({"all_drawings": features})
        self.run(widget)

    def number(self, label: str, value: float) -> None:
        """Type into a number input."""
        widget = WidgetState(id=self._find("number_input", label))
        if isinstance(value, int):
            widget.int_value = value
        else:
            widget.double_value = value
        self.run(widget)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a radio."""
        widget = WidgetState(id=self._find("radio", label))
        widget.string_value = option
        self.run(widget)

    def upload(self, name: str, data: bytes, file: str = "") -> int:
        """Send a file to this session as a browser does before its widget tells of it; returns the HTTP status.

        file: the number that the server gives it, one by chance where it is empty.
        """
        limit = secrets.token_hex(16)
        head = f'--{limit}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            f"{self.address}_stcore/upload_file/{self.session}/{file or secrets.token_hex(16)}",
            data=head.encode() + data + f"\r\n--{limit}--\r\n".encode(),
            method="PUT",
            headers=self.headers
            | {"Content-Type": f"multipart/form-data; boundary={limit}"}
            | {"Cookie": self.cookies, "X-Xsrftoken": self.xsrf},
        )
        try:
            with urllib.request.urlopen(request, timeout=self.patience) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def attach(self, label: str, name: str, data: bytes) -> int:
        """Upload a file and give it to the uploader whose label begins so; returns the HTTP status of the upload."""
        widget = WidgetState(id=self._find("file_uploader", label))
        file = secrets.token_hex(16)
        status = self.upload(name, data, file)
        if status == 204:
            told = widget.file_uploader_state_value.uploaded_file_info.add()
            told.name, told.size, told.file_id = name, len(data), file
            told.file_urls.file_id = file
            self.run(widget)
        return status

    def figure(self, label: str) -> str:
        """The value of a metric. Raises AppError where the page has none."""
        if label not in self.texts[1:]:
            raise AppError(f"the page has no figure {label!r}; it says {self.texts[-8:]}")
        return self.texts[self.texts.index(label, 1) - 1]

    def says(self, words: str) -> bool:
        return any(words in text for text in self.texts)

    def has(self, label: str) -> bool:
        return any(name.startswith(label) for name in self.widgets)

    def wait_until(self, words: str, seconds: float = 120.0) -> None:
        """Run the script again, as the panel of running jobs does, until the page says something or has a widget."""
        end = time.monotonic() + seconds
        while not (self.says(words) or self.has(words)):
            if time.monotonic() > end:
                raise AppError(
                    f"{words!r} did not come within {seconds:.0f} s; the page says {self.texts[-8:]}"
                )
            time.sleep(self.pace)
            self.run(fragment=self.panel)

    def _find(self, kind: str, label: str) -> str:
        for name, (widget, its_kind) in self.widgets.items():
            if name.startswith(label) and its_kind == kind:
                return widget
        raise AppError(
            f"the page has no {kind} {label!r}; it has {sorted(self.widgets)} and says {self.texts[-8:]}"
        )

    def _read(self, until: float, whole: bool) -> None:
        """Messages until the script is over. A rerun that the script asks for is a part of it, and always whole."""
        while True:
            try:
                data = self._socket.recv(timeout=max(0.1, until - time.monotonic()))
            except TimeoutError:
                raise AppError(f"no answer within {self.patience:.0f} s") from None
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session = message.new_session.initialize.session_id
            if kind == "new_session" and whole:
                self.widgets, self.texts, self.panel = {}, [], ""
            elif kind == "auto_rerun":
                self.panel, self.pace = message.auto_rerun.fragment_id, message.auto_rerun.interval
            elif kind == "navigation":
                self.page_hash = message.navigation.page_script_hash
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self._element(message.delta.new_element)
            elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
                raise AppError("the script does not compile")
            elif kind == "script_finished":
                ended = ForwardMsg.ScriptFinishedStatus.Name(message.script_finished)
                if ended == "FINISHED_SUCCESSFULLY":
                    return
                if ended == "FINISHED_FRAGMENT_RUN_SUCCESSFULLY" and not whole:
                    return
                if ended != "FINISHED_EARLY_FOR_RERUN":
                    raise AppError(f"the script ended with {ended}")
                whole = True

    def _element(self, element: Element) -> None:
        kind = element.WhichOneof("type") or ""
        part = getattr(element, kind)
        if kind == "exception":
            raise AppError(f"the app shows {part.type}: {part.message}")
        for name in ("body", "text", "label", "value"):
            text = getattr(part, name, None)
            if isinstance(text, str) and text:
                self.texts.append(text)
        if identity := getattr(part, "id", ""):
            label = getattr(part, "label", "") or getattr(part, "component_name", "")
            self.widgets[label.rpartition(": ")[2] if label.startswith(":") else label] = (identity, kind)
            if kind == "component_instance":
                self.widgets["streamlit_folium"] = (identity, kind)


@contextmanager
def app(
    folder: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "app"),
    cwd: Path = ROOT,
    token: str = "",
) -> Iterator[tuple[str, subprocess.Popen]]:
    """The app on a free port of 127.0.0.1, its cache and log in `folder`; yields its address and its process.

    token: what opens it, in the address as `?token=...`; empty for an app that asks for none.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = os.environ | {"OPENDIFF_CACHE": str(folder / "cache")} | (environment or {})
    given |= {"OPENDIFF_TOKEN": token} if token else {}
    base = dict(itertools.pairwise(options)).get("--server.baseUrlPath", "")
    address = f"http://127.0.0.1:{port}/" + (f"{base.strip('/')}/" if base else "")
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [
                *command,
                "--port",
                str(port),
                *([] if token else ["--no-token"]),
                "--server.headless",
                "true",
                *options,
            ],
            cwd=cwd,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=given,
        )
        try:
            _until_ready(f"{address}_stcore/health", process, folder / "log.txt")
            yield address, process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_ready(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AppError(f"the app ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(address, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AppError(f"the app was not ready within {READY_S:.0f} s: {log.read_text()[-2000:]}")
