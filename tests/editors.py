#!/usr/bin/env python3
"""What editors highlight: the TextMate grammar of tools/editors, followed over networks; in Vim too, where that is installed.

That the lists of words are complete: scripts/generate_docs.py --check, and "docs/language.md lists every keyword" of the unit tests.
"""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EDITORS = ROOT / "tools/editors"
NETWORK = """\
block layer(x, units) { return relu(dense(x, units)) }  # two ops
network net(x: f32[N, 4]) {
  state count: f32[] = zeros
  if x.shape[-1] >= 0..3 and true { x = layer(x, units=0.5e-3) }
}
train net { optimizer = sgd(rate=inf) }
"""
# Line, word, TextMate scope, Vim group.
EXPECTED = [
    (1, "block", "keyword.declaration.bn", "bnDeclaration"), (1, "layer", "entity.name.type.bn", "bnCall"),
    (1, "return", "keyword.control.bn", "bnControl"), (1, "relu", "support.function.activations.bn", "bnOpActivations"),
    (1, "dense", "support.function.linear-layers.bn", "bnOpLinearLayers"), (1, "# two ops", "comment.line.number-sign.bn", "bnComment"),
    (2, "network", "keyword.declaration.bn", "bnDeclaration"), (2, "net(", "entity.name.type.bn", "bnCall"), (2, "f32", "storage.type.bn", "bnType"),
    (2, "4", "constant.numeric.bn", "bnNumber"), (3, "state", "keyword.other.bn", "bnStatement"), (4, "if", "keyword.control.bn", "bnControl"),
    (4, "0..", "constant.numeric.bn", "bnNumber"), (4, ">=", "keyword.operator.bn", ""), (4, "and", "keyword.operator.word.bn", "bnOperator"),
    (4, "true", "constant.language.bn", "bnConstant"), (4, "layer", "entity.name.function.bn", "bnCall"),
    (4, "units", "variable.parameter.bn", "bnArgument"), (4, "0.5e-3", "constant.numeric.bn", "bnNumber"),
    (5, "}", "", ""), (6, "train", "keyword.declaration.bn", "bnDeclaration"), (6, "optimizer", "variable.parameter.bn", "bnArgument"),
    (6, "sgd", "entity.name.function.bn", "bnCall"), (6, "inf", "constant.language.bn", "bnConstant"),
]


def scopes(grammar, line):
    """The scope of each character: as editors do it, the rule that fits first, of several the one that stands first."""
    found, at = [""] * len(line), 0
    while at < len(line):
        matches = [(match.start(), number, match) for number, rule in enumerate(grammar["patterns"]) if (match := re.compile(rule["match"]).search(line, at))]
        if not matches:
            break
        _, number, match = min(matches, key=lambda entry: entry[:2])
        rule = grammar["patterns"][number]
        parts = [(0, rule["name"])] if "name" in rule else [(int(group), capture["name"]) for group, capture in rule["captures"].items()]
        for group, name in parts:
            found[match.start(group):match.end(group)] = [name] * (match.end(group) - match.start(group))
        assert match.end() > at, f"an empty match of {rule}"
        at = match.end()
    return found


def check_textmate():
    grammar = json.loads((EDITORS / "vscode/syntaxes/bn.tmLanguage.json").read_text())
    lines = NETWORK.splitlines()
    for number, word, scope, _ in EXPECTED:
        line = lines[number - 1]
        assert scopes(grammar, line)[line.index(word)] == scope, (number, word, scopes(grammar, line)[line.index(word)])
    # No name or number of the examples is left without a scope.
    for path in sorted((ROOT / "examples").glob("*.bn")):
        for line in path.read_text().splitlines():
            bare = [c for c, scope in zip(line, scopes(grammar, line)) if not scope and (c.isalnum() or c == "_")]
            assert not bare, f"{path.name}: {line}: {bare}"
    for name in ("package.json", "language-configuration.json"):
        json.loads((EDITORS / "vscode" / name).read_text())
    package = json.loads((EDITORS / "vscode/package.json").read_text())["contributes"]
    assert package["grammars"][0]["scopeName"] == grammar["scopeName"] and (EDITORS / "vscode" / package["grammars"][0]["path"]).exists()


def check_vim():
    vim = shutil.which("vim")
    if not vim:
        print("Vim is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "net.bn").write_text(NETWORK)
        lines = NETWORK.splitlines()
        places = [[number, lines[number - 1].index(word) + 1] for number, word, _, _ in EXPECTED]
        script = pathlib.Path(folder) / "script.vim"
        script.write_text(f"set nocompatible\nset runtimepath^={EDITORS}/vim\nfiletype plugin on\nsyntax on\nedit {folder}/net.bn\nlet groups = []\n"
                          f"for place in {places}\n  call add(groups, synIDattr(synID(place[0], place[1], 1), 'name'))\nendfor\n"
                          f"call writefile(groups + [&commentstring], '{folder}/groups')\nqall!\n")
        result = subprocess.run([vim, "-es", "-u", "NONE", "-S", script], stdin=subprocess.DEVNULL, timeout=60, check=False)
        groups = pathlib.Path(folder) / "groups"
        if not groups.exists():
            print(f"this Vim runs no scripts (exit code {result.returncode})")   # vim.tiny has no expressions
            return
        *found, comment = groups.read_text().splitlines()
    for (number, word, _, group), name in zip(EXPECTED, found):
        assert name == group, (number, word, name)
    assert comment == "# %s"


if __name__ == "__main__":
    check_textmate()
    check_vim()
    print("editors highlight what they should")
