# Golden tests: `bnc` on a small input, its output checked by FileCheck. RUN lines stand in the file itself.
#   lit -v --param bnc=build/bnc --param output=build/golden tests/golden
import os

import lit.formats

config.name = "golden"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".bn", ".test"]
config.excludes = ["inputs"]
config.test_source_root = os.path.dirname(__file__)

bnc = os.path.abspath(lit_config.params["bnc"])
root = os.path.dirname(os.path.dirname(config.test_source_root))
config.test_exec_root = os.path.abspath(lit_config.params["output"])
tools = lit_config.params.get("tools", "/usr/lib/llvm-22/bin")
config.environment["PATH"] = os.pathsep.join([os.path.dirname(bnc), tools, os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "--dump-input-context=8"
config.substitutions += [("%bnc", bnc), ("%examples", os.path.join(root, "examples"))]

with open("/proc/cpuinfo") as cpuinfo:
    flags = next((line.split() for line in cpuinfo if line.startswith("flags")), [])
config.available_features.update(flag for flag in ("avx2", "avx512f") if flag in flags)
if os.geteuid() == 0:
    config.available_features.add("root")
