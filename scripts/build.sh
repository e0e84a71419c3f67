#!/usr/bin/env bash
# Builds build/bnc and build/libbnc.so, Release. Installs what is missing first.
#   scripts/build.sh [CMAKE_OPTION ...]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-dependencies --build
cmake --preset release -DBNC_TESTS=OFF "$@"
cmake --build --preset release --parallel "$(nproc)" --target bnc bnc_command
echo "built: build/bnc, build/libbnc.so"
