#!/usr/bin/env bash
# Installs what building, running and testing need and what is not there yet. Every check looks at the
# machine itself, not at a stamp file, so it may be run at any time; with nothing to do it takes a moment.
#
#   packaging/setup.sh [test]
#
# Installs Debian packages (as root or through sudo) and puts ONNX Runtime into
# ${XDG_DATA_HOME:-~/.local/share}/floutage/lib, where the program looks for it.
set -eu -o pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
lacks() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Build time: a linker, GStreamer's headers. Run time: GStreamer's plugin sets; ffmpeg looks at results.
packages=(
    gcc
    libc6-dev
    pkg-config
    libgstreamer1.0-dev
    libgstreamer-plugins-base1.0-dev
    libgstrtspserver-1.0-dev
    gstreamer1.0-tools
    gstreamer1.0-plugins-base
    gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly
    gstreamer1.0-libav
    gstreamer1.0-rtsp
    glib-networking
    ffmpeg
    fonts-dejavu-core
)
# With the argument "test": a foreign face detector, a cluster of the tests' own, a checker of units, a reader of plates.
if [[ ${1:-} == test ]]; then
    packages+=(
        gstreamer1.0-opencv
        opencv-data
        munge
        slurm-client
        slurmctld
        slurmd
        systemd
        tesseract-ocr
        tesseract-ocr-eng
    )
fi

check_rust() {
    local wanted version
    command -v cargo >/dev/null && cargo --version >/dev/null 2>&1 ||
        lacks "Rust is missing: install it from https://rustup.rs, then run this again"
    wanted=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' Cargo.toml)
    version=$(cargo --version | cut -d' ' -f2)
    [[ $(printf '%s\n' "$wanted" "${version%%-*}" | sort -V | head -n1) == "$wanted" ]] ||
        lacks "Rust $version is too old, $wanted is needed: run 'rustup update', or install Rust from https://rustup.rs"
}

# Prints those of the packages given that are not installed, in one line.
missing_packages() {
    local package installed missing=()
    # dpkg-query fails when it does not know one of them.
    installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null) || true
    for package in "$@"; do
        grep -qx "ii *$package" <<<"$installed" || missing+=("$package")
    done
    echo "${missing[*]}"
}

install_packages() {
    local missing as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        # Not Debian or a descendant: accept whatever provides the same.
        command -v pkg-config >/dev/null &&
            pkg-config --atleast-version=1.22 gstreamer-1.0 gstreamer-video-1.0 &&
            command -v ffmpeg >/dev/null && command -v gst-inspect-1.0 >/dev/null && return
        lacks "this system has no apt-get; install what these Debian packages hold: $*"
    fi
    missing=$(missing_packages "$@")
    [[ $missing ]] || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            lacks "packages are missing and there is no sudo; as root, run: apt-get install $missing"
        as_root=(sudo)
    fi
    say "installing packages: $missing"
    "${as_root[@]}" apt-get update -qq ||
        lacks "'apt-get update' failed; mend the package sources or the network, then run this again"
    # shellcheck disable=SC2086  # one word per package
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        lacks "apt-get could not install: $missing"
    missing=$(missing_packages "$@")
    [[ ! $missing ]] || lacks "still missing after apt-get install: $missing"
}

# Prints the version of the ONNX Runtime library $1, or fails if it cannot be loaded.
runtime_version() {
    python3 - "$1" 2>/dev/null <<'PYTHON'
import ctypes, sys

class ApiBase(ctypes.Structure):
    _fields_ = [("get_api", ctypes.c_void_p), ("version", ctypes.CFUNCTYPE(ctypes.c_char_p))]

library = ctypes.CDLL(sys.argv[1])
library.OrtGetApiBase.restype = ctypes.POINTER(ApiBase)
print(library.OrtGetApiBase().contents.version().decode())
PYTHON
}

install_runtime() {
    local wanted folder library temporary wheel file
    wanted=$(sed -nE 's/^onnxruntime==([0-9.]+).*/\1/p' packaging/onnxruntime.txt)
    # A relative XDG_DATA_HOME is to be ignored, says its specification.
    folder=${XDG_DATA_HOME:-}
    [[ $folder == /* ]] || folder=${HOME:?is not set}/.local/share
    folder+=/floutage/lib
    library=$folder/libonnxruntime.so
    [[ $(runtime_version "$library") == "$wanted" ]] && return
    if [[ -n ${ORT_DYLIB_PATH:-} ]]; then
        # A folder is allowed, too.
        [[ -d $ORT_DYLIB_PATH ]] || runtime_version "$ORT_DYLIB_PATH" >/dev/null ||
            lacks "ORT_DYLIB_PATH=$ORT_DYLIB_PATH is not an ONNX Runtime library: correct it or unset it"
        return 0
    fi
    python3 -m pip --version >/dev/null 2>&1 ||
        lacks "Python's pip is missing: install the package python3-pip, then run this again"
    say "fetching ONNX Runtime $wanted"
    mkdir -p "$folder"
    # Beside its destination, so that the last step is a rename.
    temporary=$(mktemp -d "$folder/.setup-XXXXXX")
    # shellcheck disable=SC2064  # the folder's name as it is now
    trap "rm -rf '$temporary'" EXIT
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --python-version 3.11 --require-hashes -r packaging/onnxruntime.txt --dest "$temporary" ||
        lacks "pip could not fetch ONNX Runtime $wanted (network? a processor other than x86-64 or ARM64?); get a libonnxruntime.so of your own and name it in ORT_DYLIB_PATH"
    wheel=$(echo "$temporary"/*.whl)
    python3 -m zipfile -e "$wheel" "$temporary"
    file=libonnxruntime.so.$wanted
    [[ $(runtime_version "$temporary/onnxruntime/capi/$file") == "$wanted" ]] ||
        lacks "the fetched ONNX Runtime cannot be loaded on this machine (it needs glibc 2.28 or newer)"
    chmod 755 "$temporary/onnxruntime/capi/$file"
    ln -s "$file" "$temporary/libonnxruntime.so"
    mv "$temporary/onnxruntime/LICENSE" "$folder/onnxruntime-LICENSE"
    mv "$temporary/onnxruntime/ThirdPartyNotices.txt" "$folder/onnxruntime-ThirdPartyNotices.txt"
    mv -f "$temporary/onnxruntime/capi/$file" "$folder/$file"
    mv -fT "$temporary/libonnxruntime.so" "$library"
    find "$folder" -maxdepth 1 -name 'libonnxruntime.so.*' ! -name "$file" -delete
    say "ONNX Runtime $wanted is in $folder"
}

check_rust
command -v python3 >/dev/null || packages+=(python3)
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
install_packages "${packages[@]}"
install_runtime
