#!/usr/bin/env bash
# Installs what the tests of the web page need and what is not there yet: Chromium, Node.js, and the driver between them.
# With nothing to do it takes a moment.
#
#   packaging/browser.sh
#
# The driver goes into target/browser; nothing of it is part of the product.
set -eu -o pipefail
cd "$(dirname "$0")/.."

driver=1.65.1

say() { printf 'browser: %s\n' "$*"; }

packages=()
command -v chromium >/dev/null || [[ -n ${FLOUTAGE_CHROMIUM:-} ]] || packages+=(chromium)
command -v node >/dev/null || packages+=(nodejs)
installed=$(sed -nE 's/^  "version": "([0-9.]+)",$/\1/p' target/browser/node_modules/playwright-core/package.json 2>/dev/null) || true
[[ $installed == "$driver" ]] || command -v npm >/dev/null || packages+=(npm)

if ((${#packages[@]})); then
    as_root=()
    ((EUID == 0)) || as_root=(sudo)
    say "installing packages: ${packages[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
if [[ $installed != "$driver" ]]; then
    say "fetching playwright-core $driver"
    mkdir -p target/browser
    npm install --silent --no-audit --no-fund --no-save --prefix target/browser "playwright-core@$driver"
fi
