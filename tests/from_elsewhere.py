#!/usr/bin/env python3
"""The gallery examples/from_elsewhere: its models through `bnc import`, `explain`, `verify` and `compile`, and its notebook.

usage: from_elsewhere.py BNC      Exit code 77 where onnx is missing; what else is missing skips a part, which is told.
Each network that `bnc import` writes must be the one that is kept beside the script; --update writes them anew.
"""
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import ROOT, SKIPPED, call, succeed

GALLERY = ROOT / "examples" / "from_elsewhere"


def has(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return not missing, " and ".join(missing)


def check_commands(bnc, folder, update):
    """What is wrong, a line each."""
    wrong = []
    compares, missing = has("onnxruntime")
    if not compares:
        print(f"skipped: the comparison with ONNX Runtime, since {sys.executable} has no {missing}")
    maker = subprocess.run([sys.executable, GALLERY / "make_models.py", "-o", folder, *["--check"] * compares], capture_output=True, text=True)
    if maker.returncode != 0:
        return [f"make_models.py: {maker.stderr}"]
    for model in sorted(folder.glob("*.onnx")):
        network, weights, kept = model.with_suffix(".bn"), model.with_suffix(".safetensors"), GALLERY / f"{model.stem}.bn"
        check = ["--check", model.with_suffix(".npz"), "--bound", "1e-5"] * compares
        steps = [("import", model, "-o", network, "--weights", weights, *check), ("explain", network, "--weights", weights, "--require-folded"),
                 ("verify", network, "--weights", weights),
                 ("compile", network, "--weights", weights, "-o", model.with_suffix(".o"), "--header", model.with_suffix(".h"))]
        for words in steps:
            result = call(bnc, *words)
            if result.returncode != 0:
                wrong.append(f"{model.stem}: bnc {words[0]}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
        if not network.exists():
            continue
        if update:
            kept.write_text(network.read_text())
        if not kept.exists() or kept.read_text() != network.read_text():
            wrong.append(f"{kept}: `bnc import` writes another network (tests/from_elsewhere.py BNC --update keeps it):\n{network.read_text()}")
        if succeed(bnc, "fmt", network).stdout not in ("", network.read_text()):
            wrong.append(f"{model.stem}: the network is not in canonical layout")
        print(f"{model.stem}: imported, explained, verified, compiled")
    return wrong


def run_cells(notebook):
    """Runs the code cells in order, as Jupyter would; where they fail, the error names the cell."""
    names = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(notebook.read_text())["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number} of {notebook.name}", "exec"), names)


def check_notebook(bnc):
    package = pathlib.Path(bnc).resolve().parent / "python"
    if not list(package.glob("bnc/_native*.so")):
        print(f"skipped: the notebook, since {package} holds no package (CMake option BNC_PYTHON_MODULE)")
        return []
    found, missing = has("onnxruntime")
    if not found:
        print(f"skipped: the notebook, since {sys.executable} has no {missing}")
        return []
    notebook, before = GALLERY / "from_elsewhere.ipynb", os.getcwd()
    sys.path[:0] = [str(package), str(GALLERY)]
    os.chdir(GALLERY)
    output = io.StringIO()
    try:
        if has("nbclient", "nbformat", "ipykernel")[0]:
            import nbclient
            import nbformat
            os.environ["PYTHONPATH"] = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
            nbclient.NotebookClient(nbformat.read(notebook, as_version=4)).execute()
        else:
            with contextlib.redirect_stdout(output):
                run_cells(notebook)
    except Exception as error:   # whatever a cell raises
        return [f"{notebook.name}: {type(error).__name__}: {error}\n{output.getvalue()}"]
    finally:
        os.chdir(before)
    print(output.getvalue() + f"{notebook.name}: every cell ran")
    return []


def main():
    found, missing = has("onnx", "numpy")
    if not found:
        print(f"skipped: {sys.executable} has no {missing}")
        return SKIPPED
    bnc = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        wrong = check_commands(bnc, pathlib.Path(folder), "--update" in sys.argv[2:])
    wrong += check_notebook(bnc)
    for each in wrong:
        print("WRONG", each)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
