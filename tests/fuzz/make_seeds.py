#!/usr/bin/env python3
"""Makes the seed corpus: `python3 tests/fuzz/make_seeds.py`. Needs ffmpeg for a JPEG and a WebP.

Outputs of every head in their right shapes (see src/heads.rs for their format), the project's own files and small changes of them,
small pictures, requests, and what processes say to each other. Seeds of `container` and `record` were made by the program itself.
"""

import json
import struct
import subprocess
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).parent.parent.parent
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
    own = (ROOT / "models/models.toml").read_text()
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



def gateway_toml():
    save("gateway_toml", "whole", (ROOT / "packaging/floutage.toml").read_bytes())
    camera = '[[camera]]\nname = "door"\nsource = "file:///a.mp4"\n'
    for name, text in (
        ("one", camera),
        ("two", camera + '\n[[camera]]\nname = "yard"\nsource = "rtsp://192.0.2.1/s"\nuser = "u"\npassword-env = "P"\n'),
        ("inline", 'camera = [{name = "door", source = "v4l2:///dev/video0", zones = [[[0, 0], [1, 0], [1, 1]]]}]\n'),
        ("sections", camera + "[camera.redact]\nface-margin = 0.5\n[camera.detect]\nface-threshold = 0.2\n[camera.sub]\nwidth = 640\n"),
        ("users", '[rtsp]\nlisten = "0.0.0.0:8554"\nusers = [{name = "r", password-env = "P", cameras = ["door"]}]\n' + camera),
        ("push", camera + '[[camera.push]]\nurl = "srt://127.0.0.1:9000"\n'),
        ("schedule", camera + '[camera.record]\ndirectory = "/r"\nschedule = ["mo-fr 08:00-18:00"]\nretention = {age = "30d", size = "2GB"}\n'),
        ("wrong", camera + "zones = [[[0, 0]]]\nmin-fps = 90\n"),
        ("none", "[redact]\nstyle = \"fill\"\n"),
    ):
        save("gateway_toml", name, text.encode())


def batch():
    settings = '[settings]\nstyle = "fill"\nzone = ["0,0 0.2,0 0.2,0.1"]\nstrict = true\n'
    for name, text in (
        ("whole", 'inputs = ["a/", "b/*.mkv"]\nlists = ["l.txt"]\nmanifests = ["m.csv"]\noutput = "out"\njobs = 2\nretries = 2\n' + settings),
        ("objects", 'inputs = ["s3://a/b"]\noutput = "s3://c"\njournal = "j"\nendpoint = "http://127.0.0.1:9"\nchanged = "report"\n'),
        ("auto", 'jobs = "auto"\n'),
        ("wrong", "retries = 101\njobs = 0\n"),
        ("no-text", '\xff'),
    ):
        save("job", name, text.encode("latin-1"))
    for name, data in (
        ("whole", b"input,output,style,strict\na.mp4,x/a.mp4,fill,true\nb.mp4,,,\n"),
        ("spaces", b"\xef\xbb\xbf input , output\r\n a.mp4 , b.mp4 \r\n"),
        ("quoted", b'input,zone\n"a,b\n.mp4","0,0 1,0 1,1"\n'),
        ("out", b"input,output\na,../b\n"),
        ("not-utf8", b"input\n\xff\xfe.mp4\n\\xff.mp4\n"),
        ("list", b"a.mp4\r\n\n  \n/b/c.mkv\n"),
    ):
        save("manifest", name, data)
    item = {"input": "a", "output": "b", "arguments": [], "settings": {"style": "fill"}, "model_hash": "m", "models": "m", "size": 1, "duration_s": 1.5}
    for name, plan in (
        ("two", {"version": 1, "shards": 2, "files": [[0, item], [1, item]]}),
        ("none", {"version": 1, "shards": 1, "files": []}),
        ("later", {"version": 2, "shards": 1, "files": []}),
        ("outside", {"version": 1, "shards": 1, "files": [[7, item]]}),
    ):
        save("plan", name, json.dumps(plan).encode())


def settings():
    for name, text in (
        ("zone", "0,0 0.5,0 0.5,0.25"),
        ("tiles", "2x3"),
        ("tiles-overlap", "640:0.2"),
        ("size", "native"),
        ("number", "640"),
        ("object", "s3://bucket/a/b c.mp4"),
        ("shard", "2/4"),
        ("schedule", "mo-fr 08:00-18:30"),
        ("all-days", "22:00-06:00"),
        ("style", "mosaic"),
    ):
        save("settings", name, text.encode())


def model():
    for name in ("fixed-64", "marker-detector", "many-boxes", "wrong-outputs"):
        save("model", name, (ROOT / f"fixtures/marker-detector/{name}.onnx").read_bytes())
    save("model", "nothing", b"")


def message(head, body=b""):
    head = json.dumps(head).encode()
    return struct.pack("<II", len(head), len(body)) + head + body


def peers():
    counts = {"frames": 9, "failed_closed": 1, "dropped": 0, "regions": {"face": 3}, "inference_seconds": 0.5, "detect_every": 2,
              "latency_seconds": 0.4, "overload": None}
    unit = {"Unit": {"stream": "Full", "time": 7, "key": True, "clock": -3}}
    for name, data in (
        ("format", message({"Format": {"stream": "Sub", "width": 640, "height": 360}})),
        ("unit", message(unit, b"\0\0\0\1\x67picture")),
        ("status", message({"Status": counts})),
        ("several", message("Snapshot", b"\xff\xd8\xff") + message({"Failed": {"problem": "gone", "lasting": False}}) + message("KeyFrame")),
        ("large", struct.pack("<II", 2**32 - 1, 2**32 - 1)),
    ):
        save("wire", name, data)
    for name, data in (
        ("length", struct.pack(">cQI", b"l", 0, 0)),
        ("read", struct.pack(">cQI", b"r", 2**63, 1 << 20)),
        ("write", struct.pack(">cQI", b"w", 8, 4) + b"abcd" + struct.pack(">cQI", b"l", 0, 0)),
        ("large", struct.pack(">cQI", b"w", 0, 2**32 - 1)),
    ):
        save("link", name, data)


def inputs():
    box = lambda kind, body: struct.pack(">I4s", 8 + len(body), kind) + body
    packet = lambda stream, count: struct.pack(">BHB", 0x47, stream, 0x10 | count) + b"\0" * 184
    flv = b"FLV\1\5\0\0\0\x09" + b"\0\0\0\0" + b"\x12\0\0\3" + b"\0" * 7 + b"abc" + struct.pack(">I", 14)
    for name, data in (
        ("mp4", box(b"ftyp", b"isom\0\0\2\0") + box(b"moov", box(b"mvhd", b"\0" * 100)) + box(b"mdat", b"pictures")),
        ("large-box", box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 24) + b"pictures" + box(b"moov", b"")),
        ("ts", b"".join(packet(0x100, n % 16) for n in range(4))),
        ("m2ts", b"".join(b"\0\0\0\0" + packet(0x100, n % 16) for n in range(3))),
        ("ts-lost", packet(0x100, 1) + packet(0x100, 7)),
        ("flv", flv),
        ("avi", b"RIFF\x0c\0\0\0AVI LIST\0\0\0\0"),
        ("mkv", bytes.fromhex("1a45dfa380") + bytes.fromhex("18538067") + b"\x8a" + bytes.fromhex("1f43b67585") + b"\xe7\x81\0\xa3\x80"),
        ("mkv-endless", bytes.fromhex("1a45dfa380") + bytes.fromhex("18538067") + b"\xff" + bytes.fromhex("1f43b675ff") + b"\xe7\x81\0"),
        ("asf", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<Q", 30) + b"\0" * 14),
    ):
        save("input", name, data)


def requests():
    def http(name, line, headers="", body=""):
        length = f"content-length: {len(body)}\r\n" if body else ""
        save("http", name, f"{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}{length}\r\n{body}".encode())

    cookie, as_json = "cookie: @COOKIE\r\n", "content-type: application/json\r\n"
    camera = "/api/v1/cameras/entrance"
    change = cookie + as_json + "x-csrf-token: @TOKEN\r\nif-match: *\r\n"
    http("page", "GET /", cookie)
    http("stranger", "GET /")
    http("camera", "GET /cameras/car%20park?language=fr", cookie + "accept-language: fr,en;q=0.5\r\n")
    http("cameras", "GET /api/v1/cameras", cookie)
    http("settings", f"GET {camera}/settings", cookie)
    http("change", f"PUT {camera}/settings", change, '{"zones":[[[0,0],[0.5,0],[0.5,0.25]]],"margin":0.5,"confidence_threshold":null}')
    http("recording", f"GET {camera}/recordings/2026-03-01T12-00-00.mp4", cookie + "range: bytes=10-20\r\n")
    http("up", f"GET {camera}/recordings/..%2fsecret.mp4", cookie)
    http("snapshot", f"GET {camera}/snapshot.jpg", cookie)
    http("playlist", f"GET {camera}/hls/index.m3u8", cookie)
    http("metrics", "GET /metrics", "authorization: Bearer x\r\n")
    http("login", "POST /login", "content-type: application/x-www-form-urlencoded\r\n", "name=anne&password=x&next=%2F")
    http("session", "POST /api/v1/session", as_json, '{"name":"anne","password":"x"}')
    chunked = f"PUT {camera}/settings HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{change}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    save("http", "chunked", chunked.encode())
    save("http", "http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")

    def rtsp(name, *lines):
        save("rtsp", name, "".join(f"{line}\r\n" for line in (*lines, "")).encode())

    rtsp("options", "OPTIONS rtsp://127.0.0.1/door RTSP/1.0", "CSeq: 1")
    rtsp("describe", "DESCRIBE rtsp://127.0.0.1/door/sub RTSP/1.0", "CSeq: 2", "Accept: application/sdp")
    rtsp("digest", "DESCRIBE rtsp://127.0.0.1/door RTSP/1.0", "CSeq: 3",
         'Authorization: Digest username="watcher", realm="floutage", nonce="0", uri="rtsp://127.0.0.1/door", response="0"')
    rtsp("setup", "SETUP rtsp://127.0.0.1/door/stream=0 RTSP/1.0", "CSeq: 4", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    rtsp("play", "PLAY rtsp://127.0.0.1/door!sub/ RTSP/1.0", "CSeq: 5", "Session: 1", "Range: npt=0-")
    rtsp("tunnel", "GET /door HTTP/1.0", "x-sessioncookie: a", "Accept: application/x-rtsp-tunnelled")
    save("rtsp", "interleaved", b"$\0\0\4abcd")
    save("rtsp", "body", b"SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\nx")


def truth():
    head = {"images": [{"id": 3, "file_name": "c.png", "width": 10, "height": 10}], "categories": [{"id": 1, "name": "face"}]}
    box = {"image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}
    pictures = json.dumps(head | {"annotations": [box]})
    save("truth", "coco", pictures.encode())
    save("truth", "coco-results", (pictures + "\n---\n" + json.dumps([box | {"score": 0.5}])).encode())
    save("truth", "results", json.dumps([{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]).encode())


def report():
    figures = {"clips": [{"clip": "a.mp4", "leaks": 1}], "totals": {"face": {"recall": 0.5, "leak_rate": [0.1, 0.2, 0.3]}}}
    for name, value in (("figures", figures), ("list", [1, "<script>alert(1)</script>", None]), ("text", "a"), ("deep", [[[[[[]]]]]])):
        save("report", name, json.dumps(value).encode())


if __name__ == "__main__":
    heads()
    models_toml()
    pictures()
    gateway_toml()
    batch()
    settings()
    model()
    peers()
    inputs()
    requests()
    truth()
    report()
