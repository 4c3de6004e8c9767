#!/usr/bin/env bash
# Redacts one clip and says where the result is.
#
#   packaging/demo.sh CLIP
set -eu -o pipefail
clip=${1:-}
if [[ -z $clip ]]; then
    echo "demo: no sample clip here; name one: make demo CLIP=path/to/video.mp4" >&2
    exit 1
fi
if [[ ! -f $clip ]]; then
    echo "demo: $clip: no such file; name a video or picture: make demo CLIP=path/to/video.mp4" >&2
    exit 1
fi
clip=$(realpath -- "$clip")
cd "$(dirname "$0")/.."

packaging/setup.sh
echo "demo: building the program (the first time takes some minutes)"
cargo build --release --locked --quiet

# Not always ./target: cargo's configuration and CARGO_TARGET_DIR can say otherwise.
target=$(cargo metadata --format-version 1 --no-deps --locked | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
mkdir -p "$target/demo"
name=$(basename -- "$clip")
case ${name##*.} in
    jpg | jpeg | png | webp | JPG | JPEG | PNG | WEBP) extension=${name##*.} ;;
    *) extension=mp4 ;;
esac
output=$target/demo/${name%.*}-redacted.$extension
echo "demo: floutage redact $clip -o $output"
echo
"$target/release/floutage" redact "$clip" -o "$output" --overwrite
echo
echo "demo: faces and licence plates found in $clip are redacted."
echo "demo: the result is $output"
if [[ $extension == mp4 ]]; then
    still=${output%.*}.png
    if ffmpeg -loglevel error -nostdin -y -i "$output" -vf thumbnail -frames:v 1 "$still"; then
        echo "demo: one picture of it is $still"
    fi
fi
echo "demo: your own video: make demo CLIP=path/to/video.mp4, or $target/release/floutage redact --help"
