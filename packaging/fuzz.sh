#!/usr/bin/env bash
# Runs every fuzz target for some seconds. New inputs and crashes stay out of the repository (target/fuzz-corpus,
# tests/fuzz/artifacts); the seed corpus in tests/fuzz/corpus is what `make test` replays.
#
#   packaging/fuzz.sh SECONDS
set -eu -o pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
cargo fuzz --version >/dev/null 2>&1 || {
    echo "fuzz: cargo-fuzz is missing: run 'cargo install cargo-fuzz' (it also needs a C++ compiler, package g++)" >&2
    exit 1
}
targets=$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' tests/fuzz/Cargo.toml)
for target in $targets; do
    echo "== $target, $seconds s"
    mkdir -p "target/fuzz-corpus/$target"
    # No sanitizer: they need a nightly compiler. Panics, overflows and too much memory are found without.
    cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none --debug-assertions "$target" "target/fuzz-corpus/$target" "tests/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -verbosity=0 -print_final_stats=1
done
