"""Every notebook runs on a small simulated shop, without an error or a warning."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FEW_CUSTOMERS = "inform the fit: a prior pulls it to usual values"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_in_silence(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "TIERWISE_NOTEBOOK_CUSTOMERS": "80",
        "TIERWISE_NOTEBOOK_DAYS": "280",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }.items():
        monkeypatch.setenv(name, text)
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute(cwd=str(tmp_path))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    complaints = "".join(output.text for output in outputs if output.get("name") == "stderr").splitlines()
    assert [line for line in complaints if not line.endswith(FEW_CUSTOMERS)] == []
    assert [output for output in outputs if "image/png" in output.get("data", {})]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_kept_without_outputs_and_defines_nothing_but_features(file: Path) -> None:
    cells = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    defined = [
        node
        for cell in cells
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
    ]
    parameters = {ast.unparse(node.args) for node in defined if isinstance(node, ast.FunctionDef)}
    assert parameters <= {"days", "lines"}
    assert all(isinstance(node, ast.FunctionDef) and len(node.body) == 1 for node in defined)
