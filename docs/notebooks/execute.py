"""Runs the notebooks: `python docs/notebooks/execute.py [NAMES] [--smoke]`.

Outputs are written back into the notebooks; with --smoke nothing is, and the cell tagged
"parameters" gets the small values that its metadata hold as "smoke". tests/test_notebooks.py does
that. Needs the extra `notebooks`.
"""

import pathlib
import sys
import tempfile

import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).resolve().parent
_SECONDS_FOR_A_CELL = 3600


def execute(path, smoke=False):
    """Run a notebook in an empty folder and return it with its outputs.

    Args:
        path: of the notebook.
        smoke: take the small values of the cell of parameters.
    """
    notebook = nbformat.read(path, as_version=4)
    sources = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        if smoke and "smoke" in cell.metadata:
            cell.source += f"\n{cell.metadata['smoke']}"
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=_SECONDS_FOR_A_CELL, kernel_name="python3", resources=resources
        ).execute()
    for cell, source in zip(notebook.cells, sources, strict=True):
        cell.source = source
        cell.metadata.pop("execution", None)  # times of day
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_kept(output)]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data.pop("image/jpeg", None)  # Pillow gives both
    return notebook


def _is_kept(output):
    """Whether an output says the same on another machine: no lines of its log, no times of bars."""
    if output.output_type == "stream":
        return output.name == "stdout"
    return output.output_type != "display_data" or set(output.data) != {"text/plain"}


def main(arguments):
    """Run the notebooks that are named, or all."""
    smoke = "--smoke" in arguments
    names = [argument for argument in arguments if argument != "--smoke"]
    for path in sorted(FOLDER.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        notebook = execute(path, smoke)
        if not smoke:
            nbformat.write(notebook, path)
        print(f"{path.name}: ran", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
