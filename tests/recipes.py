#!/usr/bin/env python3
"""Follows the recipes of docs/adding.md: applies their blocks to a copy of the sources, compiles the files that they change, and runs the tests they name.

usage: recipes.py BNC CXX_COMPILER

Only what is added or changed is compiled, and loaded in front of the built libbnc.so, whose own registries then count no more.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BNC, COMPILER = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
FOLDERS = ["ir", "frontend", "passes", "codegen", "runtime", "tools", "tests", "scripts", "docs"]
GENERIC_TESTS = ["test_ops_definitions", "test_ops_shapes", "test_ops_gradients", "test_ops_generated"]


def blocks():
    """Language, path and text of each block of the recipes that is a file or a change of one."""
    return re.findall(r"^```(cpp|bn|diff) ([\w./-]+)\n(.*?)^```$", (ROOT / "docs/adding.md").read_text(), re.M | re.S)


def changed(text, difference, path):
    """The text with the lines that the difference takes away replaced by those it puts there; it must fit exactly once."""
    lines = difference.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    # The last line may be the beginning of a longer one.
    before, after = before.rstrip("\n"), after.rstrip("\n")
    assert text.count(before) == 1, f"docs/adding.md: {path} holds {text.count(before)} times:\n{before}"
    return text.replace(before, after)


def apply_recipes(tree):
    """Returns the paths of files that are new or changed."""
    touched = []
    for language, name, text in blocks():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert (language == "diff") == path.exists(), f"docs/adding.md: {name} {'is no file yet' if language == 'diff' else 'is there already'}"
        path.write_text(changed(path.read_text(), text, name) if language == "diff" else text)
        if name not in touched:
            touched.append(name)
    return touched


def run(*words, **options):
    result = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"FAILED with exit code {result.returncode}: {' '.join(map(str, words))}\n{result.stdout}")
    return result.stdout


def build(tree, touched, work):
    """A library of the layers' files that changed, and a program of the generic tests with it."""
    library = [name for name in touched if name.endswith(".cpp") and not name.startswith("tests/")]
    tests = [f"tests/unit/{name}.cpp" for name in ["main", "loop_interpreter", *GENERIC_TESTS]]
    tests += [name for name in touched if name.endswith(".cpp") and name not in library]

    def compiled(name):
        output = work / (name.replace("/", "_") + ".o")
        run(COMPILER, "-std=c++20", "-O0", "-w", "-fPIC", "-I", tree, "-I", tree / "runtime/include", "-I", tree / "tests/unit", "-c", tree / name, "-o", output)
        return output

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = dict(zip(library + tests, pool.map(compiled, library + tests)))
    folder = BNC.parent
    libraries = ["-L", folder, "-lbnc", "-lfmt", "-lz", "-pthread", f"-Wl,-rpath,{folder}"]
    changed_library, program = work / "librecipes.so", work / "generic_tests"
    run(COMPILER, "-shared", *(objects[name] for name in library), *libraries, "-o", changed_library)
    run(COMPILER, *(objects[name] for name in tests), changed_library, *libraries, f"-Wl,-rpath,{work}", "-o", program)
    return changed_library, program


def check_commands(tree, bnc, work):
    """What the recipes say of the command, with a command `bnc` that has the op and the pass."""
    (work / "softsign.bn").write_text("network net(x: f32[N, 5]) {\n  return softsign(dense(x, 3))\n}\n\n"
                                      "train net {\n  loss      = mean_squared_error(target)\n  optimizer = sgd(rate=0.1)\n}\n")
    run(bnc, "gradcheck", work / "softsign.bn")
    assert "drop-idle-relu" in run(bnc, "--list-passes")
    golden = tree / "tests/golden/passes/drop-idle-relu"
    run(sys.executable, tree / "tests/golden/refresh.py", bnc, *sorted(golden.glob("*.bn")))
    printed = {path.stem: [line for line in path.read_text().splitlines() if line.startswith("# CHECK")] for path in golden.glob("*.bn")}
    counts = {name: sum("= relu(" in line for line in lines) for name, lines in printed.items()}
    assert counts == {"softmax": 0, "pooled": 1}, printed
    # A network that is compiled goes through the pipeline.
    stages = run(bnc, "compile", golden / "softmax.bn", "--emit", "loops", "--print-changed")
    assert "# after drop-idle-relu" in stages, stages

    run(sys.executable, tree / "scripts/generate_docs.py", bnc)
    run(sys.executable, tree / "scripts/generate_docs.py", bnc, "--check")
    assert "### `softsign`" in (tree / "docs/ops.md").read_text() and "## drop-idle-relu" in (tree / "docs/passes.md").read_text()
    assert "softsign" in (tree / "tools/editors/vim/syntax/bn.vim").read_text()
    run(sys.executable, tree / "scripts/check_layers.py", tree)


def main():
    with tempfile.TemporaryDirectory(prefix="bnc_recipes.") as folder:
        work = pathlib.Path(folder)
        tree = work / "tree"
        for name in FOLDERS:
            shutil.copytree(ROOT / name, tree / name)
        touched = apply_recipes(tree)
        library, program = build(tree, touched, work)

        bnc = work / "bin/bnc"
        bnc.parent.mkdir()
        bnc.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {BNC} "$@"\n')
        bnc.chmod(0o755)
        assert "drop-idle-relu" not in run(BNC, "--list-passes"), "the build has the recipe's pass already"
        check_commands(tree, bnc, work)
        print(run(program).strip().splitlines()[-2:])


if __name__ == "__main__":
    main()
