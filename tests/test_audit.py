"""The audit of dependencies fails for a vulnerability, and in CI where it could not run."""

import importlib.util
import re
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"
spec = importlib.util.spec_from_file_location("audit", PATH)
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

FAULTY = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def test_a_known_vulnerability_fails():
    status, text = audit.judge({"dependencies": [SOUND, FAULTY, UNKNOWN]})
    assert status == 1 and "PYSEC-1, mended in 2" in text


@pytest.fixture(
    params=[("", "", 0), ("true", "", 2), ("true", "offline", 0), ("true", "required", 2), ("", "offline", 0)]
)
def status_if_unknown(request, monkeypatch):
    """Exit status by CI and OPENDIFF_AUDIT."""
    ci, switch, status = request.param
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("OPENDIFF_AUDIT", switch)
    return status


def test_what_cannot_be_known_fails_in_ci(status_if_unknown):
    for dependencies in ([], [UNKNOWN], [SOUND, UNKNOWN]):
        status, text = audit.judge({"dependencies": dependencies})
        assert status == status_if_unknown and "could not be audited" in text
    assert audit.judge({"dependencies": [SOUND, SOUND, UNKNOWN]}) == (
        0,
        "2 packages audited, none with a known vulnerability; 1 unknown to the index.",
    )
    assert audit.judge({"dependencies": [FAULTY, UNKNOWN, UNKNOWN]})[0] == 1


def test_no_network_fails_in_ci(status_if_unknown, tmp_path, monkeypatch, capsys):
    (tmp_path / "lib" / "python3" / "site-packages").mkdir(parents=True)

    def refused(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(audit.subprocess, "run", refused)
    monkeypatch.setattr(audit.sys, "argv", ["audit.py", str(tmp_path)])
    assert audit.main() == status_if_unknown and "could not be audited" in capsys.readouterr().out
    monkeypatch.setattr(audit.sys, "argv", ["audit.py", str(tmp_path / "nothing")])
    assert audit.main() == status_if_unknown


def test_the_tool_itself_is_of_one_version():
    assert re.fullmatch(r"pip-audit==[0-9.]+", audit.PIP_AUDIT)
