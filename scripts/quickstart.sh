#!/usr/bin/env bash
# From nothing to native code: installs what is missing, builds, trains a batch-normalized network on Fashion-MNIST,
# freezes it, compiles it to an object file, and links that with a C program that classifies the test images.
# BNC_QUICKSTART_STEPS sets the length of the training (default: the train section's), BNC_QUICKSTART_OUT the folder
# (default quickstart). With BNC_BUILD naming a build folder, nothing is installed or built.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${BNC_QUICKSTART_OUT:-quickstart}
length=(${BNC_QUICKSTART_STEPS:+--steps "$BNC_QUICKSTART_STEPS"})
model=examples/mnist_mlp.bn
step() { printf '\n== %s\n' "$*"; }

if [ -z "${BNC_BUILD:-}" ]; then
  step "build"
  scripts/build.sh
fi
bnc=${BNC_BUILD:-build}/bnc
mkdir -p "$out"

step "train $model on Fashion-MNIST"
"$bnc" train "$model" --data fashion-mnist --test fashion-mnist "${length[@]}" --restat --out "$out/run" --overwrite

step "evaluate, with the population statistics of the frozen network"
"$bnc" eval "$model" --weights "$out/run/weights.safetensors" --data fashion-mnist
"$bnc" lint "$model" --weights "$out/run/weights.safetensors" --data fashion-mnist ||
  echo "bnc lint has found what stands above; the weights work all the same"

step "freeze: where the batch norms went"
"$bnc" explain "$model" --weights "$out/run/weights.safetensors" --require-folded

step "compile to an object file with its C header, and link a C program with it"
"$bnc" compile "$model" --weights "$out/run/weights.safetensors" -o "$out/mnist_mlp.o" --header "$out/mnist_mlp.h"
cc -O2 -std=c11 -I"$out" examples/embed/classify.c "$out/mnist_mlp.o" -lm -lz -o "$out/classify"
data=$(dirname "$(dpkg -L dataset-fashion-mnist | grep t10k-images)")
"$out/classify" "$data/t10k-images-idx3-ubyte.gz" "$data/t10k-labels-idx1-ubyte.gz"

step "report: $out/run/report.html"
