"""A page of the app alone, which the session names. AppTest runs this file; a function it would write to disk first."""

import importlib

import streamlit as st

importlib.import_module(f"app.views.{st.session_state['page of this test']}").page()
