#!/usr/bin/env bash
# Installs a build into a folder of its own, builds examples/cpp against it with find_package(bnc), and runs it and the
# installed command.   usage: install.sh CMAKE BUILD_FOLDER SOURCE_FOLDER
set -euo pipefail
cmake=$1 build=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
"$work/prefix/bin/bnc" --version
cmp "$source/LICENSE" "$work/prefix/share/doc/bnc/LICENSE"
"$cmake" -S "$source/examples/cpp" -B "$work/example" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release
"$cmake" --build "$work/example"
"$work/example/moons"

# A version that is not there is refused.
mkdir "$work/other"
printf 'cmake_minimum_required(VERSION 3.25)\nproject(other LANGUAGES CXX)\nfind_package(bnc 99 REQUIRED)\n' >"$work/other/CMakeLists.txt"
if "$cmake" -S "$work/other" -B "$work/other/build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null 2>&1; then
  echo "find_package(bnc 99) succeeded" >&2
  exit 1
fi
