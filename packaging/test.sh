#!/usr/bin/env bash
# Everything that has to hold before a change is done: format, lints, tests, documentation.
#
#   packaging/test.sh
#
# Tests run under cargo-nextest where it is installed, else under `cargo test`.
set -eu -o pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

packaging/setup.sh test
packaging/browser.sh
packaging/test-venv.sh
for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 || {
        echo "test: cargo $component is missing: run 'rustup component add rustfmt clippy'" >&2
        exit 1
    }
done

# pycocotools counts beside us in tests/evaluate_reference.rs. Beside the build, and only when it is not there yet.
metrics=target/metrics-python
cmp -s packaging/metrics.txt $metrics/installed.txt || {
    rm -rf $metrics
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action ignore \
        --only-binary :all: --target $metrics -r packaging/metrics.txt &&
        cp packaging/metrics.txt $metrics/installed.txt ||
        echo "test: pycocotools could not be fetched; the test that needs it is skipped" >&2
}

mkdir -p target
log=$(mktemp target/test-log-XXXXXX)
# Tests append here what they could not check on this machine; runners hide what passing tests print.
FLOUTAGE_SKIP_LOG=$PWD/$(mktemp target/test-skips-XXXXXX)
export FLOUTAGE_SKIP_LOG
trap 'rm -f "$log" "$FLOUTAGE_SKIP_LOG"' EXIT

step "format"
cargo fmt --check

step "lints"
cargo clippy --all-targets --features c2pa --locked --quiet -- -D warnings

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --config-file packaging/nextest.toml --features c2pa --locked --no-fail-fast 2>&1 | tee "$log"
else
    cargo test --locked --features c2pa --no-fail-fast --lib --bins --tests 2>&1 | tee "$log"
fi

step "tests without content credentials"
cargo test --locked --test c2pa 2>&1 | tee -a "$log"

step "documentation: examples"
cargo test --locked --doc 2>&1 | tee -a "$log"

step "documentation: pages"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --locked --quiet

step "result"
sort -u "$FLOUTAGE_SKIP_LOG"
# The closing lines of the test runners.
grep -E '^ *Summary \[|^test result:' "$log"
