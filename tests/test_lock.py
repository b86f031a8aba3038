"""requirements.lock: exact versions that requirements.txt allows, with the hashes of their files, and nothing more."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LINE = re.compile(
    r"([a-z0-9-]+)==([0-9][0-9a-z.]*)( ; [^\\]+)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?|#.*"
)


def entries(text):
    """name: requirement and number of hashes. Raises ValueError for a line of another form, as of an address."""
    found = {}
    for line in text.splitlines():
        if not LINE.fullmatch(line):
            raise ValueError(line)
        if line[0] not in " #":
            requirement = Requirement(line.rstrip("\\").strip())
            found[requirement.name] = [requirement, 0]
        elif "--hash" in line:
            found[requirement.name][1] += 1
    return found


@pytest.fixture(scope="module")
def locked():
    return entries((ROOT / "requirements.lock").read_text())


def ranges(name):
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def test_every_range_is_kept(locked):
    for wanted in ranges("requirements.txt"):
        (pin,) = locked[canonicalize_name(wanted.name)][0].specifier
        assert pin.operator == "==" and wanted.specifier.contains(pin.version), wanted


def test_every_file_has_a_hash(locked):
    assert len(locked) > 50 and all(count for _, count in locked.values())


@pytest.mark.parametrize("line", ["--index-url https://example.com/simple", "a @ file:///a.whl", "a>=1"])
def test_an_address_would_be_noticed(line):
    with pytest.raises(ValueError):
        entries(line)


def test_what_the_packages_need_in_turn_is_locked_too(locked):
    """By the metadata of what is installed here, for this platform."""
    for name, (pinned, _) in locked.items():
        try:
            needs = importlib.metadata.requires(name) or []
            version = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform, or of GPUs
        if version not in pinned.specifier:
            continue  # another version of the range, which may need other packages
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in locked, f"{name} needs {need}"
