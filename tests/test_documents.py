"""The documents name files, modules and functions that exist, and their links lead somewhere."""

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "checkpoints" / "README.md"])
FOLDERS = r"(?:\.ci|app|benchmarks|checkpoints|docs|examples|plannerbase|opendiff|planning|tests)"
CODE = re.compile(r"`([^`\n]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
class TestDocument:
    def test_its_files_exist(self, document):
        named = [
            word for word in CODE.findall(document.read_text()) if re.fullmatch(rf"{FOLDERS}/[\w./-]*", word)
        ]
        assert [word for word in named if not (ROOT / word).exists()] == []

    def test_its_names_exist(self, document):
        named = CODE.findall(document.read_text())
        unknown = []
        for word in named:
            if re.fullmatch(r"(?:app|plannerbase|opendiff|planning)(?:\.\w+)+", word):
                try:
                    pkgutil.resolve_name(word)
                except (ImportError, AttributeError):
                    unknown.append(word)
        assert unknown == []

    def test_its_links_lead_somewhere(self, document):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
        local = [link for link in links if not re.match(r"[a-z]+:", link)]
        assert [link for link in local if not (document.parent / link).exists()] == []
