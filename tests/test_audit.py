"""The audit of dependencies fails for a vulnerability, and never for lack of a network."""

import importlib.util
from pathlib import Path

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


def test_what_cannot_be_known_passes_and_is_said():
    assert audit.judge({"dependencies": [UNKNOWN]}) == (
        0,
        "Dependencies could not be audited: the package index here gives no advisories.",
    )
    status, text = audit.judge({"dependencies": [SOUND, UNKNOWN]})
    assert status == 0 and text.startswith("1 packages audited")


def test_no_network_passes(tmp_path, monkeypatch, capsys):
    (tmp_path / "lib" / "python3" / "site-packages").mkdir(parents=True)

    def refused(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(audit.subprocess, "run", refused)
    monkeypatch.setattr(audit.sys, "argv", ["audit.py", str(tmp_path)])
    assert audit.main() == 0 and "could not be audited" in capsys.readouterr().out
