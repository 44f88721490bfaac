#!/usr/bin/env bash
# Builds the fuzz targets and runs each. Usage: tests/fuzz/run.sh [SECONDS [TARGET...]]
# Tells of each its inputs, crashes and memory; fails if one crashes, hangs or grows. What was found lies in artifacts/.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
shift || true
all=(cassette component config identification known_hosts request schema sftp_reply ssh_config uri)
targets=("${@:-${all[@]}}")
# Of the process; Rust code alone is held to less, by each target itself.
rss_limit_mb=1024
growth_mb=256

bins=()
for target in "${targets[@]}"; do bins+=(--bin "$target"); done
# At two levels of optimization below a release's: it builds in half the time and runs nearly as fast.
RUSTC_WRAPPER=$PWD/rustc.sh CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo build --release --locked "${bins[@]}"
built=${CARGO_TARGET_DIR:-target}/release

failed=0
printf '%-16s %12s %8s %14s %12s\n' target inputs crashes 'MB at start' 'MB at end'
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "artifacts/$target"
  case $target in
    cassette) seeds=(../../plugins/*/cassettes) ;;
    # The tests have built them.
    component) seeds=(../../target/fixtures/components) ;;
    *) seeds=("seeds/$target") ;;
  esac
  for seed in "${seeds[@]}"; do [ -d "$seed" ] || { echo "no seeds in $seed: run the tests before" >&2; exit 1; }; done
  log=artifacts/$target/log
  crashes=0
  "$built/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=$rss_limit_mb -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" "corpus/$target" "${seeds[@]}" >"$log" 2>&1 || crashes=1
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # Of the first line with all seeds in, and of the last one.
  start=$(sed -n 's/.*INITED.* rss: \([0-9]*\)Mb.*/\1/p' "$log" | head -n 1)
  end=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  printf '%-16s %12s %8s %14s %12s\n' "$target" "${inputs:-?}" "$crashes" "${start:-?}" "${end:-?}"
  if [ "$crashes" != 0 ] || [ -z "$start" ] || [ -z "$end" ]; then
    echo "$target: see tests/fuzz/$log" >&2
    failed=1
  elif [ $((end - start)) -gt $growth_mb ]; then
    echo "$target grew by $((end - start)) MB" >&2
    failed=1
  fi
done
exit $failed
