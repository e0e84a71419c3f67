"""Mutants as run-time choices in a copy of the sources: read from tests/mutants/*.txt, drawn at random, written into the code.

A list has, for each source file (`== FILE`), entries: one line that says what is wrong, then an indented snippet of the source, as it
stands there but for white space, with the place of the mutant marked. `@(old @> new)@` exchanges an expression, `@{old @> new}@`
statements. A snippet with its old text must be found exactly once. A line `= REASON` behind a snippet says that no test can tell
the mutant from the original. Lines that begin with # are comments.
"""
import hashlib
import pathlib
import random
import re

HEADER = """// Which mutant is chosen (BNC_MUTANT=N), and which are reached (BNC_MUTANT_REACH=FILE: their numbers are appended).
#pragma once
#include <atomic>
#include <cstdio>
#include <cstdlib>
namespace bnc {
class Mutants {
 public:
  Mutants() {
    if (const char* number = std::getenv("BNC_MUTANT")) chosen_ = std::atoi(number);
    file_ = std::getenv("BNC_MUTANT_REACH");
    name_ = std::getenv("LIT_CURRENT_TESTCASE");
  }
  ~Mutants() {
    std::FILE* out = file_ ? std::fopen(file_, "a") : nullptr;
    if (!out) return;
    for (int n = 0; n < most; ++n)
      if (reached_[n]) std::fprintf(out, "%d %s\\n", n, name_ ? name_ : "");
    std::fclose(out);
  }
  bool is(int n) {
    if (file_) reached_[n].store(true, std::memory_order_relaxed);
    return n == chosen_;
  }
 private:
  static constexpr int most = 1 << 14;
  int chosen_ = 0;
  const char *file_ = nullptr, *name_ = nullptr;
  std::atomic<bool> reached_[most] = {};
};
inline bool mutant(int n) {
  static Mutants all;
  return all.is(n);
}
}  // namespace bnc
"""
MARK = re.compile(r"@([({])(.*?)@>(.*?)[)}]@", re.S)


class ListError(Exception):
    pass


class Mutant:
    def __init__(self, file, kind, old, new, what, group):
        self.file, self.kind, self.old, self.new, self.what, self.group = file, kind, old.strip(), new.strip(), what, group
        self.before = self.after = ""
        self.equivalent = ""          # the reason, where it is
        self.span = None              # of the old text in the file
        self.number = 0

    def key(self):
        text = " ".join(" ".join((self.file, self.before, self.kind, self.old, "@>", self.new, self.after)).split())
        return hashlib.sha1(text.encode()).hexdigest()[:16]


def spaced(text):
    """A pattern of the code, wherever its lines are broken."""
    words = (re.sub(r"(\\[(\[{]|[{])|(?=\\\.|\\->)", lambda bracket: bracket[0] + r"\s*", re.escape(word)) for word in text.split())
    return r"\s+".join(words)


def read_lists(folder):
    mutants = []
    for path in sorted(pathlib.Path(folder).glob("*.txt")):
        file, what, snippet = None, None, []

        def finish():
            if not what:
                return
            code = "\n".join(line for line in snippet if not line.startswith("= "))
            marks = list(MARK.finditer(code))
            if len(marks) != 1:
                raise ListError(f"{path.name}: `{what}` marks {len(marks)} places")
            mark = marks[0]
            mutant = Mutant(file, mark[1], mark[2], mark[3], what, path.stem)
            mutant.before, mutant.after = code[:mark.start()], code[mark.end():]
            mutant.equivalent = " ".join(line[2:] for line in snippet if line.startswith("= "))
            mutants.append(mutant)

        for line in path.read_text().splitlines() + ["== end"]:
            if line.startswith("#"):
                continue
            if line.startswith("  "):
                snippet.append(line.strip())
            elif line.strip():
                finish()
                what, snippet = None, []
                if line.startswith("== "):
                    file = line[3:].strip()
                else:
                    what = line.strip()
    return mutants


def locate(mutants, root):
    """Finds each mutant's place; returns what does not match exactly once."""
    problems, texts = [], {}
    for mutant in mutants:
        path = root / mutant.file
        if not path.exists():
            problems.append(f"{mutant.file}: no such file (`{mutant.what}`)")
            continue
        text = texts.setdefault(mutant.file, path.read_text())
        pattern = r"\s*".join((spaced(mutant.before), "(" + spaced(mutant.old) + ")", spaced(mutant.after)))
        found = list(re.finditer(pattern, text))
        if len(found) != 1:
            problems.append(f"{mutant.file}: `{mutant.what}` matches {len(found)} times")
            continue
        mutant.span = found[0].span(1)
    return problems


# --- drawn at random -------------------------------------------------------------------------------------------------

OPERAND = r"(?:-?[\w.]+(?:->\w+)*|\w+(?:(?:\.|->|::)\w+)*\((?:[^()]|\([^()]*\))*\))"
EXCHANGED = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
             "&&": "||", "||": "&&"}
OPERATION = rf"({OPERAND}) (\+|-|\*|/|%|<|<=|>|>=|==|!=|&&|\|\|) ({OPERAND})"
# Between signs that bind less than any operator.
BINARY = re.compile(rf"(?:(?<=, )|(?<=\? )|(?<= : )|(?<= = )|(?<=[-+*]= )|(?<=[(\[])|(?<=return )){OPERATION}(?=[,;)\]]| [?:])")
CONDITION = re.compile(r"(?<=\bif \()((?:[^();]|\((?:[^();]|\([^()]*\))*\))*)(?=\) )")


def code_only(text):
    """The text with comments and string literals blanked out, of the same length."""
    return re.sub(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"', lambda found: " " * len(found[0]), text)


def draw(root, files, count, seed):
    """`count` exchanged operators and negated conditions, drawn evenly from all places in the files."""
    places = []
    for file in sorted(files):
        text = (root / file).read_text()
        code = code_only(text)
        for found in BINARY.finditer(code):
            left, right, operator = text[slice(*found.span(1))], text[slice(*found.span(3))], found[2]
            places.append((file, found.span(), f"{left} {EXCHANGED[operator]} {right}", f"`{operator}` becomes `{EXCHANGED[operator]}`"))
        for found in CONDITION.finditer(code):
            if " = " not in found[0] and found[0].strip():
                places.append((file, found.span(1), f"!({text[slice(*found.span(1))]})", "a condition is negated"))
    mutants = []
    for file, span, new, what in random.Random(seed).sample(places, min(count, len(places))):
        text = (root / file).read_text()
        old = text[slice(*span)]
        mutant = Mutant(file, "(", old, new, f"{what}: {' '.join(old.split())}", "drawn")
        line = text.rfind("\n", 0, span[0])
        mutant.before, mutant.span = text[line + 1:span[0]], span
        mutants.append(mutant)
    return mutants


# --- written into the code -------------------------------------------------------------------------------------------

def rewritten(text, mutants):
    """The text with a choice at each mutant's place; places may lie within one another."""
    def render(begin, end, inside):
        out, at, rest = [], begin, sorted(inside, key=lambda m: (m.span[0], -m.span[1], m.number))
        while rest:
            first = rest[0]
            alike = [m for m in rest if m.span == first.span and m.kind == first.kind]
            within = [m for m in rest if m not in alike and m.span[0] < first.span[1]]
            for m in within:
                if m.span[1] > first.span[1] or m.span == first.span:
                    raise ListError(f"{m.file}: `{m.what}` and `{first.what}` overlap")
            old = render(*first.span, within)
            for m in alike:
                if m.kind == "(":
                    old = f"(::bnc::mutant({m.number}) ? ({m.new}) : ({old}))"
                else:
                    old = f"if (::bnc::mutant({m.number})) {{ {m.new} }} else {{ {old} }}"
            out += [text[at:first.span[0]], old]
            at = first.span[1]
            rest = [m for m in rest if m not in alike and m not in within]
        return "".join(out) + text[at:end]

    return '#include "mutant.h"\n#line 1\n' + render(0, len(text), mutants)


def write_tree(root, tree, files, mutants):
    """Copies `files` with the mutants in them to `tree`; leaves alone what does not change, so that little is built again."""
    by_file = {}
    for mutant in mutants:
        by_file.setdefault(mutant.file, []).append(mutant)
    wanted = {"mutant.h": HEADER.encode()}
    for file in files:
        wanted[file] = (root / file).read_bytes()
        if file in by_file:
            wanted[file] = rewritten(wanted[file].decode(), by_file[file]).encode()
        if file == "tests/golden/lit.cfg.py":   # lit hands few variables on
            wanted[file] += b'\nconfig.environment.update({k: v for k, v in os.environ.items() if k.startswith("BNC_MUTANT")})\n'
    for file, content in wanted.items():
        path = tree / file
        if path.exists() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod((root / file).stat().st_mode if (root / file).exists() else 0o644)
    for path in tree.rglob("*"):
        name = path.relative_to(tree)
        if path.is_file() and name.parts[0] != "build" and str(name) not in wanted and "__pycache__" not in name.parts:
            path.unlink()
