#!/usr/bin/env bash
# Builds all targets, and gives each the inputs of its corpus once.
set -euo pipefail
cd "$(dirname "$0")"

# Nothing here is unsafe, so the address sanitizer would only cost time. Without it, stable Rust builds the targets.
cargo fuzz build --sanitizer none
for target in $(cargo fuzz list); do
  cargo fuzz run --sanitizer none "$target" "corpus/$target" -- -runs=0
done
