"""Loading ahead of time is not held up by collections of garbage."""

import gc
import threading
import tomllib
from pathlib import Path

import app
from app.background import generation


def test_garbage_is_collected_only_once_all_is_loaded(monkeypatch):
    done, asked, collected = threading.Event(), threading.Event(), []
    monkeypatch.setattr(generation, "_warm_done", done)
    monkeypatch.setattr(generation, "_garbage", asked)
    monkeypatch.setattr(generation, "COLLECT_AFTER_SECONDS", 0)
    monkeypatch.setattr(gc, "collect", lambda *_: collected.append(True))
    generation.collect_garbage()
    assert not asked.is_set()
    done.set()
    for _ in range(3):
        generation.collect_garbage()
    assert not collected  # the run of the page does not wait for it
    generation._collect_once()
    assert collected == [True] and not asked.is_set()


def test_streamlit_leaves_collecting_to_the_app():
    config = tomllib.loads((Path(app.__file__).parent / ".streamlit" / "config.toml").read_text())
    assert config["runner"]["postScriptGC"] is False


def test_readers_are_started_once_no_work_runs(monkeypatch):
    idle, slept = iter([0.0, 0.0, 11.0]), []
    monkeypatch.setattr(generation.jobs, "idle_seconds", lambda: next(idle))
    monkeypatch.setattr(generation.time, "sleep", slept.append)
    generation._until_calm()
    assert len(slept) == 2
