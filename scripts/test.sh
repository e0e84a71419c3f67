#!/usr/bin/env bash
# Builds bnc and runs every test; exit 0 only if all passed. Installs what is missing first.
# The unit tests run under the address and undefined-behaviour sanitizers; with BNC_SANITIZE=0 without, which is faster.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-dependencies
jobs=$(nproc)
sanitized=
if [ "${BNC_SANITIZE:-1}" != 0 ]; then
  sanitized=$PWD/build-sanitize
  cmake --preset sanitize
  cmake --build --preset sanitize --parallel "$jobs" --target bnc_unit_tests
fi
cmake --preset release -DBNC_TESTS=ON -DBNC_PYTHON_MODULE=ON -DBNC_SANITIZED_BUILD="$sanitized"
cmake --build --preset release --parallel "$jobs"
ctest --test-dir build --output-on-failure --parallel "$jobs"
