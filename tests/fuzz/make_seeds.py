#!/usr/bin/env python3
"""Makes the seed corpus: `python3 tests/fuzz/make_seeds.py`. Needs ffmpeg for a JPEG and a WebP.

Outputs of every head in their right shapes, the project's own models.toml and small changes of it, small
pictures. See src/heads.rs for the format of the first.
"""

import struct
import subprocess
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
NAMES = (
    "boxes scores cls_8 cls_16 cls_32 obj_8 obj_16 obj_32 bbox_8 bbox_16 bbox_32 kps_8 kps_16 kps_32 output0 "
    "537 538 539 540 score_8 score_16 score_32 dets ?"
).split()
HEADS = "boxes yunet ultraface scrfd centerface yolo".split()
SCORES = ("scores", "537", "output0")
TAME = bytes([122, 121, 230, 220, 125, 130, 236, 235])  # corners in order, shares about .5 and .9
WILD = bytes([130, 248, 124, 249, 250, 136, 251, 253, 254, 255, 240, 0])
LARGE = bytes([240, 241, 243, 245, 130, 134])


def save(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def outputs(head, width, height, batch, columns):
    """Names and shapes as models with this head have them."""
    at = lambda stride: (width // stride) * (height // stride)
    strides = (8, 16, 32)
    if head == "boxes":
        n = sum(map(at, strides))
        return [("boxes", (batch, n, 4)), ("scores", (batch, n, columns))]
    if head == "yunet":
        kinds = (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
        return [(f"{kind}_{s}", (batch, at(s), size)) for kind, size in kinds for s in strides]
    if head == "ultraface":
        n = 3 * at(8) + 2 * sum(map(at, (16, 32)))
        return [("scores", (batch, n, 2)), ("boxes", (batch, n, 4))]
    if head == "scrfd":
        kinds = (("score", 1), ("bbox", 4), ("kps", 10))
        return [(f"{kind}_{s}", (batch, at(s) * 2, size)) for kind, size in kinds for s in strides]
    if head == "centerface":
        return [(str(537 + i), (batch, c, height // 4, width // 4)) for i, c in enumerate((1, 2, 2, 10))]
    return [("output0", (batch, 4 + columns, sum(map(at, strides))))]


def heads():
    for number, head in enumerate(HEADS):
        one_class = head not in ("boxes", "yolo")
        for name, values in (("tame", TAME), ("wild", WILD), ("large", LARGE)):
            for batch in (1, 2):
                columns = 1 if one_class else 2
                # Units of 32 pixels, counted from 1.
                data = bytes([number, 1, 0, batch - 1, columns - 1])
                listed = outputs(head, 64, 32, batch, columns)
                data += bytes([len(listed)])
                for output, shape in listed:
                    shares = 2 if output in SCORES or output[:3] in ("cls", "obj", "sco") else 0
                    data += bytes([NAMES.index(output), shares, len(shape)]) + struct.pack(f"<{len(shape)}H", *shape)
                save("heads", f"{head}-{name}-{batch}", data + values)
    save("heads", "nothing", b"")
    save("heads", "huge", bytes([0, 3, 3, 0, 1, 2, 0, 0, 3]) + b"\xff" * 6 + bytes([1, 0, 3]) + b"\xff" * 6)


def models_toml():
    own = (Path(__file__).parent.parent / "models/models.toml").read_text()
    model = own[own.index("\n[[model]]") + 1 :].split("\n\n")[0]
    save("models_toml", "one", model.encode())
    save("models_toml", "twice", (model + "\n\n" + model).encode())
    for name, old, new in (
        ("path", 'file = "', 'file = "../'),
        ("nan", "face = 0.40", "face = nan"),
        ("negative", "multiple = 32", "multiple = -32"),
        ("unknown", "head =", "colour = 1\nhead ="),
        ("table", 'classes = ["face", "plate"]', "classes = {}"),
    ):
        assert old in model, old
        save("models_toml", name, model.replace(old, new).encode())
    save("models_toml", "no-text", b"\xff\xfe[[model]]")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, colour_type, channels, pixel):
    rows = (b"\0" + pixel * min(width, 64)) * min(height, 64)
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def pictures():
    save("picture", "grey.png", png(17, 33, 0, 1, b"\x80"))
    save("picture", "rgba.png", png(5, 3, 6, 4, b"\xff\x00\xff\x80"))
    save("picture", "one.png", png(1, 1, 2, 3, b"\x01\x02\x03"))
    for extension in ("jpg", "webp"):
        command = "ffmpeg -v error -f lavfi -i testsrc=s=24x18 -frames:v 1 -q:v 5 -bitexact -y".split()
        subprocess.run([*command, CORPUS / "picture" / f"small.{extension}"], check=True)
    save("picture", "cut.png", png(17, 33, 2, 3, b"\x01\x02\x03")[:60])
    save("picture", "says-it-is-huge.png", png(2**31 - 1, 2**31 - 1, 2, 3, b"\x01\x02\x03"))


if __name__ == "__main__":
    heads()
    models_toml()
    pictures()
