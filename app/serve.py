"""The server of the app: Streamlit's own behind the guard. `python -m app` starts it, as does `streamlit run` on this
file."""

import asyncio
import contextlib
import importlib
import itertools
import logging
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    # `streamlit run` puts the folder of this file there, not the one above it
    sys.path.insert(0, str(HERE.parent))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from streamlit import cli_util  # noqa: E402
from streamlit.runtime import get_instance  # noqa: E402
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager  # noqa: E402
from streamlit.web.server import server_util  # noqa: E402

from app.server import access, folders, memory, upload_storage  # noqa: E402
from app.server.access import ACCESS  # noqa: E402
from app.server.guard import PARAMETER, Guard  # noqa: E402
from app.server.upload_quota import UploadAccounts, upload_limits  # noqa: E402

SWEEP_SECONDS = 2.0
TRIM_SWEEPS = 15  # between two returns of free memory to the system

os.umask(0o077)  # what is written is for this user of the machine alone
access.set_up()
memory.few_arenas()
upload_storage.share_copies()


def _storage() -> MemoryUploadedFileManager:
    storage = get_instance().uploaded_file_mgr
    assert isinstance(storage, MemoryUploadedFileManager)  # the one of `st.App`
    return storage


accounts = UploadAccounts(_storage, upload_limits())


@contextlib.asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """While the server runs: say where it is, and release what closed sessions have uploaded."""
    await asyncio.to_thread(folders.make_private)
    _announce()
    threading.Thread(target=_load_pages, name="load pages", daemon=True).start()
    sweeper = asyncio.create_task(_sweep(), name="release closed sessions")
    with tempfile.TemporaryDirectory(prefix="opendiff-uploads-", ignore_cleanup_errors=True) as folder:
        _storage().file_storage = upload_storage.on_disk(Path(folder))  # type: ignore[assignment]
        try:
            yield
        finally:
            sweeper.cancel()


def _load_pages() -> None:
    """Import the pages while the browser still loads its own part: the first one is there sooner."""
    # no session asks for this, of which Streamlit would warn below the address
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    importlib.import_module("app.pages")
    importlib.import_module("app.map.assets").register()


async def _sweep() -> None:
    runtime = get_instance()
    for sweep in itertools.count(1):
        await asyncio.sleep(SWEEP_SECONDS)
        await asyncio.to_thread(upload_storage.rest, _storage().file_storage)
        if sweep % TRIM_SWEEPS == 0:
            await asyncio.to_thread(memory.give_back)
        # a little before Streamlit itself forgets the session, and with it that there is something to release
        after = max(0.0, st.get_option("server.disconnectedSessionTTL") - 2 * SWEEP_SECONDS)
        accounts.release_closed(runtime.is_active_session, runtime.close_session, after)


def _announce() -> None:
    """Print the address, with its token where one is asked for, and open it where there is a screen."""
    personal = not access.shared_server() and ACCESS.token is not None
    address = server_util.get_url(st.get_option("browser.serverAddress")) + "/"
    print(
        f"\n  OpenDiff Planner: {address}{f'?{PARAMETER}={ACCESS.token}' if personal else ''}\n", flush=True
    )
    if not st.get_option("server.headless"):
        code = f"?{PARAMETER}={ACCESS.one_time_code()}" if personal else ""
        cli_util.open_browser(address + code)


app = st.App(
    HERE / "main.py",
    lifespan=lifespan,
    middleware=[
        Middleware(
            Guard,
            hosts=lambda: st.get_option("server.allowedHosts"),
            base=lambda: ("/" + st.get_option("server.baseUrlPath").strip("/")).rstrip("/"),
            accounts=accounts,
        )
    ],
)
