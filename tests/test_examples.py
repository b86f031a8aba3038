"""The notebooks under `examples/` run from top to bottom, one after the other in one kernel that forgets in between."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kernel():
    """A client whose kernel stays: what a notebook imports need not be imported again by the next."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=600,
        startup_timeout=600,
        resources={"metadata": {"path": str(EXAMPLES)}},
    )
    path = os.pathsep.join(filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]))
    with client.setup_kernel(cwd=str(EXAMPLES), env=os.environ | {"PYTHONPATH": path}):
        yield client


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_something(path, kernel):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # committed without what it printed
    kernel.nb = notebook
    kernel.execute_cell(nbformat.v4.new_code_cell("%reset -f"), 0)
    shown = 0
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            kernel.execute_cell(cell, number)  # raises CellExecutionError
            shown += bool(cell.outputs)
    assert shown >= 2


def test_there_are_five_of_them():
    assert len(NOTEBOOKS) >= 5
