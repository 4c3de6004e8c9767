#!/usr/bin/env bash
# Makes target/debian/floutage_VERSION_ARCHITECTURE.deb: the program, the GStreamer plugin, ONNX Runtime, the default
# models, manual pages, completions, the systemd unit and an example configuration.
#
#   packaging/deb.sh
set -eu -o pipefail
cd "$(dirname "$0")/.."

wanted=3.8.0

say() { printf 'deb: %s\n' "$*"; }

packaging/setup.sh
# Beside what setup installs: what cargo-deb asks for the libraries' packages.
command -v dpkg-shlibdeps >/dev/null || {
    as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends dpkg-dev >/dev/null
}
if ! cargo deb --version 2>/dev/null | grep -qx "$wanted"; then
    say "building cargo-deb $wanted"
    cargo install --quiet --locked --no-default-features --version "$wanted" --root target/tools cargo-deb
fi
PATH=$PWD/target/tools/bin:$PATH

cargo build --locked --release --features c2pa
program=target/release/floutage

# What the package takes from here: `assets` in Cargo.toml.
stage=target/debian-files
rm -rf "$stage"
mkdir -p "$stage/completions"
"$program" man "$stage/man"
gzip -9n "$stage"/man/*.1
"$program" completions bash >"$stage/completions/floutage"
"$program" completions zsh >"$stage/completions/_floutage"
"$program" completions fish >"$stage/completions/floutage.fish"
cp packaging/floutage.toml "$stage/"

runtime=${XDG_DATA_HOME:-}
[[ $runtime == /* ]] || runtime=$HOME/.local/share
runtime+=/floutage/lib
library=$(readlink -f "${ORT_DYLIB_PATH:-$runtime/libonnxruntime.so}")
cp "$library" "$stage/libonnxruntime.so"
for text in LICENSE ThirdPartyNotices.txt; do
    cp "$(dirname "$library")/onnxruntime-$text" "$stage/"
done

mkdir -p target/debian
cargo deb --no-build --quiet --output target/debian/
say "$(ls -t target/debian/*.deb | head -n1)"
