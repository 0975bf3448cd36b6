#!/usr/bin/env bash
# Fuzzes each target, or those named, for so many minutes, one after the other:
#   fuzz/run.sh MINUTES [TARGET]...
# New inputs are kept in fuzz/found/<target>, what fails in fuzz/artifacts/<target>. The corpora stay as they are: what is worth it
# is minimized (cargo fuzz tmin), named after the fault and put there by hand.
set -euo pipefail
cd "$(dirname "$0")"
minutes=${1:?usage: run.sh MINUTES [TARGET]...}
shift
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(cargo fuzz list)

cargo fuzz build --sanitizer none
failed=0
for target in "${targets[@]}"; do
  case $target in
    conditional | range | request_target) longest=256 ;;
    session_ops | push_ops | push_serve) longest=1024 ;;
    framing) longest=8192 ;;
    *) longest=2048 ;;
  esac
  dict=http.dict
  [[ $target == framing ]] && dict=media.dict
  mkdir -p "found/$target"
  cargo fuzz run --sanitizer none "$target" "found/$target" "corpus/$target" -- \
    -max_total_time=$((minutes * 60)) -max_len=$longest -dict=$dict -timeout=10 -print_final_stats=1 ||
    failed=1
done
exit $failed
