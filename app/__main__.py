"""`python -m app`, or `opendiff-planner` where it is installed: starts the app."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from plannerbase import __version__


def main(argv: Sequence[str] | None = None) -> None:
    """Serves the app until it is stopped. argv: as on the command line, default `sys.argv[1:]`.

    What this parser does not know is an option of `streamlit run`, which overrides `app/.streamlit/config.toml`.
    """
    parser = argparse.ArgumentParser(
        prog="opendiff-planner",
        description="Start the OpenDiff Planner app on this machine and open it in the browser.",
        epilog="Further options are those of `streamlit run`, as --server.headless true.",
    )
    parser.add_argument("--version", action="version", version=f"opendiff-planner {__version__}")
    parser.add_argument(
        "--no-token", action="store_true", help="let every program and user of this machine open the app"
    )
    parser.add_argument("--port", type=int, default=8501, help="port of this machine (default: %(default)s)")
    options, further = parser.parse_known_args(argv)

    os.umask(0o077)  # what is written is for this user of the machine alone
    from streamlit.web.cli import main as streamlit

    from app.server.access import ACCESS

    if options.no_token:
        ACCESS.token = None
    if os.environ.get("OPENDIFF_SHARED") == "1":
        from app.background.generation import warm_up_first

        warm_up_first()
    server = Path(__file__).with_name("serve.py")
    streamlit(["run", str(server), "--server.port", str(options.port), *further])


if __name__ == "__main__":
    main()
