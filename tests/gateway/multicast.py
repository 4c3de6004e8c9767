#!/usr/bin/env python3
"""Stores the RTP packets that leave this machine's loopback interface by multicast: FOLDER/ADDRESS-PORT.rtp, each packet behind its
length (RFC 4571). Ends with its standard input. Needs the right to see raw packets; exits with 77 without it.

A client proper cannot be used: GStreamer's server does not share its port, so that none on the same machine can bind it.
"""

import select
import socket
import struct
import sys
from pathlib import Path

IP = 0x0800
OUTGOING = 4

folder = Path(sys.argv[1])
try:
    seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IP))
except PermissionError:
    sys.exit(77)
seen.bind(("lo", IP))
print("ready", flush=True)
files = {}
while True:
    ready, _, _ = select.select([seen, sys.stdin], [], [])
    if sys.stdin in ready:
        break
    packet, (_, _, direction, *_) = seen.recvfrom(65536)
    head = (packet[0] & 15) * 4
    address = socket.inet_ntoa(packet[16:20])
    # On this interface each packet is seen twice; even ports are those of RTP.
    if direction == OUTGOING or packet[9] != socket.IPPROTO_UDP or not address.startswith("239."):
        continue
    _, port, length, _ = struct.unpack_from(">4H", packet, head)
    if port % 2 == 0:
        name = f"{address}-{port}.rtp"
        if name not in files:
            files[name] = open(folder / name, "wb", buffering=0)
        files[name].write(struct.pack(">H", length - 8) + packet[head + 8 : head + length])
