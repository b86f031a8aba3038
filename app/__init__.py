"""The OpenDiff Planner app: Streamlit pages over `opendiff` and `planning`, without model or optimisation code.

`main` is the script that Streamlit runs after every click, `pages` its menu. Below them, each knowing only those
after it: `views` (a module a page), `widgets` (pieces of pages), `background` (long work), `saved` (work that outlives
a session), `map`, `charts` and `files` (what is shown and downloaded), `messages` (errors in a sentence), `state` (what
one session holds), `server` (what all sessions share).

Heavy packages (torch, PuLP, HiGHS) are imported inside functions, so that the app is there quickly.
"""
