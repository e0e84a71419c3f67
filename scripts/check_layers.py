#!/usr/bin/env python3
"""Checks that includes keep to the order of docs/architecture.md: each folder sees only those listed here.

usage: check_layers.py [ROOT]      Prints FILE:LINE for each include that breaks the order; exit 1 if there is one.
"""
import pathlib
import re
import sys

LAYERS = {
    "ir": {"ir"},
    "frontend": {"frontend", "ir"},
    "passes": {"passes", "ir"},
    "codegen": {"codegen", "ir"},
    "runtime": {"runtime", "bnc", "codegen", "passes", "frontend", "ir"},
    "tools": {"tools", "bnc"},
    "python": {"python", "bnc"},
    "tests": {"tests", "bnc", "runtime", "codegen", "passes", "frontend", "ir"},
    "examples": {"bnc"},
}
# Who may see which library, by the first part of its headers' paths.
LIBRARIES = {
    "llvm": {"codegen"},
    "llvm-c": {"codegen"},
    "boost": {"tools", "tests"},
    "nlohmann": {"runtime", "tools", "tests"},
    "onnx": {"frontend"},
    "google": {"frontend"},
    "zlib.h": {"runtime", "tests", "examples"},
    "png.h": {"runtime", "tests"},
    "jpeglib.h": {"runtime", "tests"},
    "jerror.h": {"runtime"},
    "doctest": {"tests"},
    "pybind11": {"python"},
    "fmt": set(LAYERS),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def violations(root):
    for layer, visible in LAYERS.items():
        for path in sorted((root / layer).rglob("*")):
            if path.suffix not in {".h", ".cpp", ".c"}:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                quote, target = match.groups()
                first = target.split("/")[0]
                place = f"{path.relative_to(root)}:{number}"
                if first in LIBRARIES and layer not in LIBRARIES[first]:
                    yield f"{place}: error: {layer}/ must not see {target}"
                elif first in LAYERS | {"bnc": None} and "/" in target and first not in visible:
                    yield f"{place}: error: {layer}/ must not include {target}; it may include {', '.join(sorted(visible))}"
                elif quote == '"' and "/" not in target and layer not in {"examples", "tests"}:
                    yield f"{place}: error: include {target} by its path from the root"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(violations(root))
    print("\n".join(found) if found else "the includes keep to the order of the layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
