#!/usr/bin/env bash
# Installs the newest package of target/debian in a clean Debian 12 root and runs the program there; the root is removed
# afterwards.
#
#   packaging/test-deb.sh
#
# Needs root, the network, and mmdebstrap (installed if missing).
set -eu -o pipefail
cd "$(dirname "$0")/.."

((EUID == 0)) || {
    echo "test-deb: run this as root: it makes a root file system" >&2
    exit 1
}
package=$(ls -t target/debian/floutage_*.deb | head -n1)
command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null

root=$(mktemp -d /tmp/floutage-debian-XXXXXX)
clean_up() {
    umount "$root/proc" 2>/dev/null || true
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT
mmdebstrap --quiet --mode=root --variant=minbase bookworm "$root"
mount -t proc proc "$root/proc"
cp "$package" "$root/tmp/floutage.deb"
cp /etc/resolv.conf "$root/etc/resolv.conf"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends /tmp/floutage.deb gstreamer1.0-tools >/dev/null

echo "== floutage doctor in a clean Debian"
inside floutage doctor
inside getent passwd floutage >/dev/null
inside test -f /usr/lib/systemd/system/floutage.service -o -f /lib/systemd/system/floutage.service
inside test -s /usr/share/man/man1/floutage.1.gz
inside bash -n /usr/share/bash-completion/completions/floutage
# The program redacts there.
cp fixtures/scene/before-after.jpg "$root/tmp/picture.jpg"
inside floutage redact /tmp/picture.jpg -o /tmp/redacted.jpg --quiet
inside test -s /tmp/redacted.jpg
inside env GST_PLUGIN_PATH=/usr/lib/floutage gst-inspect-1.0 floutagebin >/dev/null
inside apt-get purge -y -qq floutage >/dev/null
inside test ! -e /usr/lib/floutage
echo "test-deb: ok, $package"
