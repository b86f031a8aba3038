"""The OpenDiff Planner app: Streamlit pages over `opendiff` and `planning`, without model or optimisation code.

Heavy packages (torch, PuLP, HiGHS) are imported inside functions, so that the app is there quickly.
"""
