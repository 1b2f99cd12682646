#!/usr/bin/python3
"""What --fields chooses is what arrives, in every protocol, and no record is lost of it."""

import os
import struct
import subprocess
import tempfile

from collect import own, printed, tap
from decode_test import Listening, of_type

CAPTURE = own("mixed.pcap.gz")
MACS = "\x02\0\0\0\0\x02\x02\0\0\0\0\x01".encode("latin1")


def sent(scheme, fields, *arguments, capture=CAPTURE):
    """What weir decode says of a replay, and the flow records of it."""
    with Listening() as decoder:
        done = subprocess.run(
            [tap.WEIR, "replay", f"--collector={scheme}{decoder.destination}",
             f"--fields={fields}", "--ledger=none", *arguments, capture],
            capture_output=True, text=True, timeout=60, check=False,
        )
        assert done.returncode == 0, done.stderr
        objects = decoder.stop(n_records=len(printed(capture)))
    problems = of_type(objects, "problem")
    assert not problems, problems[:2]
    return objects, of_type(objects, "record")


def sums(records):
    return (len(records), sum(r["bytes"] for r in records), sum(r["packets"] for r in records))


def test_every_profile_tells_every_record():
    expected = sums(printed(CAPTURE))
    for scheme in ("netflow9://", "ipfix://"):
        for fields in ("standard", "standard+qinq", "standard+mpls", "minimal", "standard,-mac,+dscp",
                       "8,12,7,11,4,1,2,22,21"):
            _, records = sent(scheme, fields)
            assert sums(records) == expected, (scheme, fields, sums(records), expected)


def test_what_is_left_out_is_not_there_and_what_is_added_is():
    _, standard = sent("netflow9://", "standard")
    _, less = sent("netflow9://", "standard,-mac,+qinq")
    assert set(standard[0]) - set(less[0]), set(standard[0])
    assert set(less[0]) - set(standard[0]), set(less[0])
    for record in less:
        assert not any("mac" in name.lower() for name in record), record


def test_version_5_tells_ipv4_and_counts_the_rest():
    records = printed(CAPTURE)
    v4 = [r for r in records if ":" not in r["src_addr"]]
    assert 0 < len(v4) < len(records)
    with Listening() as decoder:
        done = subprocess.run(
            [tap.WEIR, "replay", f"--collector=netflow5://{decoder.destination}",
             "--ledger=json", CAPTURE], capture_output=True, text=True, timeout=60, check=False,
        )
        got = of_type(decoder.stop(n_records=len(v4)), "record")
    assert sums(got) == sums(v4), (sums(got), sums(v4))
    assert '"untold":%d' % (len(records) - len(v4)) in done.stdout.replace(" ", ""), done.stdout


def mpls_capture(path, stacks):
    """A UDP packet behind each stack of labels."""
    ip = bytes.fromhex("4500001c000040004011") + b"\0\0" + bytes([192, 0, 2, 1, 192, 0, 2, 2])
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for n, stack in enumerate(stacks):
            udp = struct.pack("!HHHH", 1000 + n, 53, 8, 0)
            labels = b"".join(
                struct.pack("!I", label << 12 | (i == len(stack) - 1) << 8 | 64)
                for i, label in enumerate(stack)
            )
            frame = MACS + (b"\x88\x47" if stack else b"\x08\x00") + labels + ip + udp
            file.write(struct.pack("<IIII", 1795000000 + n, 0, len(frame), len(frame)) + frame)


def test_the_top_label_of_mpls_is_told():
    stacks = [[16001], [16002, 17], [], [1048575, 3, 4]]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mpls.pcap")
        mpls_capture(path, stacks)
        for scheme in ("netflow9://", "ipfix://"):
            _, records = sent(scheme, "standard+mpls", capture=path)
            labels = {r["src_port"]: r["mplsTopLabelStackSection"] for r in records}
            expected = {}
            for n, stack in enumerate(stacks):
                section = stack[0] << 4 | (len(stack) == 1) if stack else 0
                expected[1000 + n] = "0x%06x" % section
            assert labels == expected, (labels, expected)


def test_interfaces_and_counts_are_told_as_options():
    for scheme in ("netflow9://", "ipfix://"):
        objects, records = sent(scheme, "standard", "--template-interval=1s")
        options = of_type(objects, "options")
        names = {o["interfaceName"] for o in options if "interfaceName" in o}
        assert names == {"mixed.pcap.gz"}, options
        assert {o["ingressInterface"] for o in options if "interfaceName" in o} == \
            {r["in_if"] if "in_if" in r else r["ingressInterface"] for r in records}
        told = [o for o in options if "exportedFlowRecordTotalCount" in o]
        counts = [o["exportedFlowRecordTotalCount"] for o in told]
        assert counts[0] == 0 and counts == sorted(counts), counts
        assert counts[-1] <= len(records), counts
        assert all(o["samplingInterval"] == 1 for o in options if "samplingInterval" in o)
        assert any("ignoredPacketTotalCount" in o for o in options)
        assert any("notSentFlowTotalCount" in o for o in options)


def test_wrong_fields_are_named():
    for fields, word in (("standrad", "standard"), ("8,12,8", "already"), ("8,12", "sourceTransportPort")):
        done = subprocess.run([tap.WEIR, "replay", f"--fields={fields}", CAPTURE],
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 2 and done.stdout == "", done
        assert fields in done.stderr and word in done.stderr, done.stderr


if __name__ == "__main__":
    tap.run_module(globals())
