"""A schedule as those who switch cells take it: on and off windows, and JSON in the states of 3GPP TS 28.310."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.source import Source, content_of, name_of
from plannerbase.text import Refused, read_json
from planning.errors import InputError
from planning.network import Network
from planning.power_states import MUTING
from planning.sleep.plan import ON, SleepPlan

FORMAT = "OpenDiff Planner sleep schedule"
VERSION = 1
STANDARD = "3GPP TS 28.310 V17: energySavingState, energySavingControl of NR and LTE cells"
MAX_BYTES = 200_000_000
_STATES = ("isNotEnergySaving", "isEnergySaving")
_OBJECTS = {"5G": "NRCellDU", "4G": "EUtranGenericCell"}  # of TS 28.541 and TS 28.658


def windows(plan: SleepPlan) -> pd.DataFrame:
    """One row a cell and window in which it is not fully on: cell, site, sector, band, state, day (from 1), from, to
    (clock times; `to` on the next day where it is not later), hours, wake_at (when to wake it, so that it carries
    traffic at `to`). A cell that sleeps through has one window over the whole plan."""
    states = plan.states()
    of_cell = ("cell", "site", "sector", "technology", "band")
    known = [plan.network.cells[name].tolist() for name in of_cell]
    rows = []
    delay = round(plan.settings.wake_delay_min)
    runs: dict[tuple[str, ...], list[tuple[str, int, int]]] = {}  # most cells sleep like others
    for row in np.flatnonzero((states != ON).any(axis=1)).tolist():
        pattern = tuple(states[row].tolist())
        if pattern not in runs:
            runs[pattern] = _runs(states[row], plan.problem.cyclic)
        for state, start, length in runs[pattern]:
            end = start + length
            wake_at = _clock(end * 60 - delay) if length < plan.hours else ""
            clock = (f"{start % 24:02d}:00", f"{end % 24:02d}:00")
            rows.append((*(names[row] for names in known), state, start // 24 + 1, *clock, length, wake_at))
    return pd.DataFrame(rows, columns=[*of_cell, "state", "day", "from", "to", "hours", "wake_at"])


def schedule_json(plan: SleepPlan, provenance: dict[str, Any] | None = None) -> bytes:
    """The schedule of every cell in the states of TS 28.310; `read_schedule` reads it back."""
    cells, states = plan.network.cells, plan.states()
    listed = []
    for row in range(len(cells)):
        runs = [] if (states[row] == ON).all() else _runs(states[row], cyclic=False)
        listed.append(
            {
                "cell": cells["cell"].iloc[row],
                "site": cells["site"].iloc[row],
                "managedObjectClass": _OBJECTS.get(str(cells["technology"].iloc[row]), "GenericCell"),
                "energySavingSchedule": [
                    {
                        "startHour": start,
                        "endHour": start + length,
                        "energySavingControl": "toBeEnergySaving",
                        "energySavingState": _STATES[1],
                        "method": state,
                    }
                    for state, start, length in runs
                ],
            }
        )
    whole = {
        "format": FORMAT, "version": VERSION, "standard": STANDARD, "periodHours": plan.hours,
        "cyclic": plan.problem.cyclic, "wakeDelayMinutes": plan.settings.wake_delay_min, "strategy": plan.strategy,
        "otherwise": {"energySavingControl": "toBeNotEnergySaving", "energySavingState": _STATES[0]},
        "provenance": provenance or {}, "cells": listed,
    }  # fmt: skip
    return json.dumps(whole, ensure_ascii=False, indent=1).encode()


def read_schedule(source: Source, network: Network) -> tuple[np.ndarray, np.ndarray]:
    """(cells, hours) bool awake and (cells, hours) bool muted of a schedule that `schedule_json` wrote.

    Cells that the file does not name are on. Raises InputError for a file that is none, for cells that the network
    lacks, and for windows outside the period.
    """
    name = name_of(source, None, "the schedule")
    try:
        told = read_json(content_of(source, MAX_BYTES))
    except (Refused, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read ({error}); give a schedule exported as JSON.") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT or not isinstance(told.get("cells"), list):
        raise InputError(f"{name} is no sleep schedule of this planner; export one as JSON.")
    hours = told.get("periodHours")
    if not isinstance(hours, int) or not 1 <= hours <= 24 * 366:
        raise InputError(f"{name}: its period must be 1 to 8,784 hours, not {hours!r}.")
    row_of = {cell: i for i, cell in enumerate(network.cells["cell"].astype(str))}
    awake, muted = np.ones((len(row_of), hours), bool), np.zeros((len(row_of), hours), bool)
    for entry in told["cells"]:
        cell = str(entry.get("cell")) if isinstance(entry, dict) else ""
        if cell not in row_of:
            raise InputError(f"{name}: the network has no cell {cell!r}.")
        for window in entry.get("energySavingSchedule") or []:
            try:
                start, end = int(window["startHour"]), int(window["endHour"])
                state = window["energySavingState"]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{name}: a window of cell {cell} cannot be read.") from error
            if not 0 <= start < end <= hours or state not in _STATES:
                raise InputError(
                    f"{name}: a window of cell {cell} lies outside the {hours} hours or has no known state."
                )
            if state == _STATES[1]:
                target, value = (muted, True) if window.get("method") == MUTING.name else (awake, False)
                target[row_of[cell], start:end] = value
    return awake, muted & awake


def _runs(states: np.ndarray, cyclic: bool) -> list[tuple[str, int, int]]:
    """(state, first hour, hours) of each run of one state that is not "on"; a cyclic run over midnight is one."""
    hours = len(states)
    if (states == states[0]).all():
        return [] if states[0] == ON else [(str(states[0]), 0, hours)]
    change = (
        np.flatnonzero(states != np.roll(states, 1))
        if cyclic
        else np.flatnonzero(np.r_[True, states[1:] != states[:-1]])
    )
    ends = np.append(change[1:], change[0] + hours if cyclic else hours)
    return [
        (str(states[a]), int(a), int(b - a)) for a, b in zip(change, ends, strict=True) if states[a] != ON
    ]


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
