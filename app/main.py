"""The script of the app: `python -m app` starts it, and Streamlit runs it again after every click."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    # `streamlit run` puts the folder of this file there, not the one above it
    sys.path.insert(0, str(HERE.parent))

import streamlit as st  # noqa: E402
from streamlit.runtime import Runtime, exists, get_instance  # noqa: E402

from app import pages  # noqa: E402
from app.background import job_panel  # noqa: E402
from app.background.generation import collect_garbage, warm_up  # noqa: E402
from app.messages import errors_shown  # noqa: E402
from app.saved import links, open_work  # noqa: E402
from app.server.access import ACCESS  # noqa: E402
from app.server.limits import hold_solvers  # noqa: E402
from app.server.reading import read_apart  # noqa: E402
from app.state import figures  # noqa: E402
from app.state.workspace import workspace  # noqa: E402
from app.widgets import accessible, file_button, navigation, work_menu  # noqa: E402

STYLE = """<style>
.stMainBlockContainer { padding-top: 4.25rem; padding-bottom: 2rem; }
[data-testid="stMetricValue"] { font-size: 1.5rem; }
/* a label takes a second line rather than end in dots: its unit stands last */
[data-testid="stMetricLabel"] :is(div, p) { white-space: normal; overflow: visible; text-overflow: clip; }
[data-testid="stVerticalBlock"] h3 { padding: 0; }
/* the tools of a table stay inside it: above it they would cover the button to the next page */
.stDataFrame [data-testid="stElementToolbar"],
[data-testid="stFullScreenFrame"]:has(.stDataFrame) [data-testid="stElementToolbar"] { top: 0.1rem; right: 0.2rem; }
/* white on the main colour of the light theme in both: that of the dark theme is too light for it */
button[kind^="primary"]:not(:disabled), [data-testid="stMultiSelectTagsContainer"] [data-tag] {
  background-color: #0b6e99; border-color: #0b6e99; }
button[kind^="primary"]:not(:disabled):hover { background-color: #095a7d; }
/* captions are to be read, too: 4.5 to 1 against the page (WCAG AA) */
.stMarkdown [data-testid="stCaptionContainer"] { color: color-mix(in srgb, currentColor 82%, transparent); opacity: 1; }
/* signs of work stand still: moving, they are drawn sixty times a second, by a processor that the work needs */
.stProgress *, [data-testid="stStatusWidget"] * { transition: none !important; animation: none !important; }
/* the menu of scenarios stands at the right of the menu of pages */
.st-key-scenarios { position: fixed; top: 0.8rem; right: 0.9rem; width: auto; z-index: 999991; }
.st-key-scenarios button { padding: 0.1rem 0.6rem; min-height: 2.1rem; }
@media (max-width: 1280px) {
  [data-testid="stTopNavLink"] > span:has([data-testid="stIconMaterial"]) { display: none; } }
@media (prefers-color-scheme: dark) { .ground span span:first-child { filter: brightness(0.5) saturate(0.8); }
  /* lines and bands of uncertainty, which have the colours of white ground */
  .js-plotly-plot :is(.fills, .legendfill, .lines, .legendlines) { filter: brightness(1.45); } }
@media (max-width: 1100px) { [data-testid="stTopNavLink"] { padding: 0.2rem 0.35rem; } }
@media (max-width: 640px) {
  [data-testid="stHeaderLogo"], .stLogo { height: 1.35rem; max-width: 8.2rem; }
  .st-key-scenarios { right: 0.4rem; }
  .st-key-scenarios button { font-size: 0.85rem; padding: 0.1rem 0.4rem; }
  [data-testid="stColumn"]:has([data-testid="stMetric"]):not(:has(iframe, .stButton, .stPlotlyChart, .stDataFrame,
    [data-testid="stColumn"])) {
    min-width: calc(50% - 1rem); flex: 1 1 calc(50% - 1rem); }
}
/* where the menu is folded, its button says what it is */
[data-testid="stExpandSidebarButton"] { width: auto; }
[data-testid="stExpandSidebarButton"]::after { content: "Menu"; font-size: 0.9rem; padding-right: 0.4rem; }
[data-testid="stElementContainer"]:has(> .stHtml > .told) { position: absolute; width: 1px; height: 1px;
  overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
</style>"""


def main() -> None:
    """One run of the script: the page that is open, and what stands above every page."""
    if exists() and type(get_instance()) is Runtime and not ACCESS.guarded:
        st.error(
            "This app is started by `python -m app`, which guards it; `streamlit run` on this file does not."
        )
        st.stop()
    # pictures of our own: Streamlit fetches an icon that is named from the internet
    st.set_page_config(page_title="OpenDiff Planner", page_icon=str(HERE / "icon.png"), layout="wide")
    st.logo(str(HERE / "logo.svg"), size="large")
    st.html(STYLE)
    st.html(file_button.STYLE)
    space = workspace()
    figures.begin()
    hold_solvers()
    read_apart()
    head = st.container()  # a place of its own: what comes and goes in it would else mount the map below anew
    with head:
        open_work.come_back(space, links.open_link)
        job_panel.deliver_finished(space)
    every = pages.menu()
    page = st.navigation(every, position="top")
    navigation.begin(every)
    navigation.arrive(space, page)
    with head:
        with errors_shown("using the library"):
            work_menu.menu(space)
            work_menu.told(space)
        job_panel.show_running(space)
    accessible.begin()
    with errors_shown("showing this page"):
        page.run()
        accessible.offered_tables()
    with errors_shown("keeping your work"):
        open_work.keep(space)
    warm_up()
    collect_garbage()


main()
