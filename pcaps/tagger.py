#!/usr/bin/python3
"""VLAN interfaces in user space, for kernels without 802.1Q: `record` starts one on each side.

    tagger.py TRUNK NAME=TPID:VID[,TPID:VID...] ...

makes a TAP interface for each NAME. What the kernel sends there leaves through the interface
TRUNK with the given tags, outermost first; what comes in on TRUNK with exactly these tags is
received on NAME. Everything else is left alone. Prints "ready" and runs until it is killed;
the interfaces go with it. Needs root and /dev/net/tun.
"""

import fcntl
import os
import selectors
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_AUXDATA = 8
# struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid
AUXDATA = struct.Struct("=IIIHHHH")
TP_STATUS_VLAN_VALID = 1 << 4
MAC_OCTETS = 12
FRAME_OCTETS_MAX = 65536


def tags_of(text):
    """The octets of "TPID:VID,...", the TPID in hexadecimal: "88a8:200,8100:300"."""
    pairs = (tag.split(":") for tag in text.split(","))
    return b"".join(struct.pack("!HH", int(tpid, 16), int(vid)) for tpid, vid in pairs)


def open_tap(name):
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def receive(trunk):
    """The next frame as it was on the wire, or None if it was one of our own going out."""
    room = socket.CMSG_SPACE(AUXDATA.size)
    frame, control, _, address = trunk.recvmsg(FRAME_OCTETS_MAX, room)
    if address[2] == socket.PACKET_OUTGOING:
        return None
    for level, kind, data in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, tpid = AUXDATA.unpack(data[: AUXDATA.size])
            # The kernel has taken the outermost tag off and tells it beside the frame.
            if status & TP_STATUS_VLAN_VALID:
                tag = struct.pack("!HH", tpid, tci)
                return frame[:MAC_OCTETS] + tag + frame[MAC_OCTETS:]
    return frame


def main():
    trunk = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    trunk.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    trunk.bind((sys.argv[1], ETH_P_ALL))
    selector = selectors.DefaultSelector()
    selector.register(trunk, selectors.EVENT_READ)
    taps = {}
    for argument in sys.argv[2:]:
        name, _, tags = argument.partition("=")
        tags = tags_of(tags)
        taps[tags] = open_tap(name)
        selector.register(taps[tags], selectors.EVENT_READ, tags)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.data is not None:
                frame = os.read(key.fd, FRAME_OCTETS_MAX)
                trunk.send(frame[:MAC_OCTETS] + key.data + frame[MAC_OCTETS:])
                continue
            frame = receive(trunk)
            for tags, tap in taps.items():
                end = MAC_OCTETS + len(tags)
                # A tag behind the last one would make it someone else's VLAN.
                if frame is None or frame[MAC_OCTETS:end] != tags:
                    continue
                if frame[end : end + 2] not in (b"\x81\x00", b"\x88\xa8"):
                    os.write(tap, frame[:MAC_OCTETS] + frame[end:])


if __name__ == "__main__":
    main()
