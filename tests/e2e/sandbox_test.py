#!/usr/bin/python3
"""DPDK's af_packet and af_xdp in the sandbox: packets, statistics and a clean close."""

import os
import shutil
import subprocess

from collect import need, tap
from doctor_test import Namespace

PROGRAM = os.environ["WEIR_SANDBOX_PORT"]
SENDER = ("import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
          "s.bind(('v1', 0))\nfor _ in range(400): s.send(bytes(60))\n")
# DPDK leaves memory for the kernel to free at its end.
ENVIRONMENT = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
NET_ADMIN, BPF = 1 << 12, 1 << 39


def run(driver, capabilities, xdp):
    with Namespace(f"sandbox-{driver}") as namespace:
        process = subprocess.Popen(
            [*namespace.inside, PROGRAM, "200", f"{capabilities:x}", xdp, "sandbox_port",
             "--no-huge", "-m", "128", "--no-pci", "--no-shconf", "--no-telemetry",
             "--file-prefix", namespace.name, "--log-level", "4", f"--vdev=net_{driver}0,iface=v0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        try:
            line = process.stdout.readline()
            if line != "ready\n":
                raise AssertionError("did not start: " + process.communicate(timeout=20)[1])
            namespace.run("python3", "-c", SENDER)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            # EAL's folder is root's, and the program no longer is.
            shutil.rmtree(f"/run/dpdk/{namespace.name}", ignore_errors=True)
        link = namespace.run("ip", "-details", "link", "show", "dev", "v0").stdout
    assert process.returncode == 0, err
    words = out.split()
    result = dict(zip(words[::2], words[1::2]))
    assert int(result["packets"]) >= 200 and int(result["counted"]) >= 200, out
    assert result["stop"] == result["close"] == result["stats"] == "0", out
    assert result["uid"] != "0" and result["others"] == "0", out
    assert int(result["capabilities"], 16) == capabilities, out
    return link


def test_af_packet_needs_no_capability():
    run("af_packet", 0, "-")


def test_af_xdp_keeps_what_takes_its_program_away():
    link = run("af_xdp", NET_ADMIN | BPF, "xdp")
    assert "xdp" not in link, link


if __name__ == "__main__":
    tap.run_module({n: f for n, f in globals().items() if n.startswith("test_")})
