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

# The manual: a page a command, which man finds and reads without a warning.
for command in $("$work/prefix/bin/bnc" --list-commands); do
  page=$work/prefix/share/man/man1/bnc-$command.1
  test -s "$page" || { echo "no manual of bnc $command" >&2; exit 1; }
  if command -v groff >/dev/null; then
    warnings=$(groff -man -ww -z "$page" 2>&1)
    test -z "$warnings" || { echo "$warnings" >&2; exit 1; }
  fi
done
command -v man >/dev/null || { echo "no man: apt-get install man-db" >&2; exit 1; }
found=$(MANPATH=$work/prefix/share/man MANPAGER=cat MANWIDTH=100 man bnc-train)
for word in BNC-TRAIN --data --epochs 'EXIT STATUS'; do
  grep -q -e "$word" <<<"$found" || { echo "man bnc-train does not say $word" >&2; exit 1; }
done

# Completion in bash, as bash-completion loads it.
answer=$(bash -c '. "$1"; COMP_WORDS=(bnc compile --emit gr); COMP_CWORD=3; _bnc; echo "${COMPREPLY[*]}"' bash \
  "$work/prefix/share/bash-completion/completions/bnc")
test "$answer" = graph || { echo "bash completes --emit gr to: $answer" >&2; exit 1; }
grep -q '^#compdef bnc' "$work/prefix/share/zsh/site-functions/_bnc"
grep -q '^complete -c bnc' "$work/prefix/share/fish/vendor_completions.d/bnc.fish"

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
