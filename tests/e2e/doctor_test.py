#!/usr/bin/python3
"""`weir doctor` on this machine and in network namespaces, with everything in the way of a live
run that can be put there."""

import ctypes
import json
import os
import subprocess

from collect import need, tap

HUGEPAGES = "/proc/sys/vm/nr_hugepages"


def doctor(*arguments, status=None, before=()):
    done = subprocess.run([*before, tap.WEIR, "doctor", *arguments], capture_output=True,
                          text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    if status is not None:
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert done.stderr == "" or done.returncode == 2, done.stderr
    return done


def checks(*arguments, **options):
    """The lines by check, of --json; the last of a name wins."""
    report = json.loads(doctor("--json", *arguments, **options).stdout)
    return report["possible"], {c["check"]: c for c in report["checks"]}


def refuses(check, words, remedy, *arguments, **options):
    """A live run is not possible, for this reason, with this remedy; in text and in JSON."""
    possible, found = checks(*arguments, status=1, **options)
    assert not possible
    line = found[check]
    assert line["verdict"] == "no" and words in line["found"], line
    assert line["remedy"] == remedy, line
    text = doctor(*arguments, status=1, **options).stdout
    assert f"{check}: {line['found']}: {remedy}\n" in text, text
    assert any(l.startswith("NO  ") and l.endswith(remedy) for l in text.splitlines()), text


def root():
    if os.geteuid() != 0:
        raise tap.Skip("not root")


class Namespace:
    """A network namespace with a veth pair, v0 and v1, for the time of a `with`."""

    def __init__(self, name, up=True):
        self.name = f"weir-test-doctor-{name}-{os.getpid()}"
        self.up = up

    def __enter__(self):
        root()
        done = subprocess.run([need("ip"), "netns", "add", self.name], capture_output=True,
                              check=False)
        if done.returncode != 0:
            raise tap.Skip("no network namespaces: " + done.stderr.decode().strip())
        self.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        if self.up:
            for name in ("v0", "v1"):
                self.run("ip", "link", "set", "dev", name, "up")
        return self

    @property
    def inside(self):
        return (need("ip"), "netns", "exec", self.name)

    def run(self, *command):
        return subprocess.run([*self.inside, *command], capture_output=True, check=True,
                              text=True, timeout=20)

    def mend(self, command):
        """Runs a remedy as it stands."""
        self.run("sh", "-ec", command)

    def __exit__(self, *_):
        subprocess.run([need("ip"), "netns", "del", self.name], check=False)


class Hugepages:
    """So many hugepages, and afterwards as many as before."""

    def __init__(self, n):
        root()
        self.n = n

    @staticmethod
    def set(n):
        with open(HUGEPAGES, "w", encoding="ascii") as file:
            file.write(str(n))

    def __enter__(self):
        try:
            with open(HUGEPAGES, encoding="ascii") as file:
                self.before = int(file.read())
            if self.before != 0:
                raise tap.Skip("hugepages are set aside already, perhaps for another program")
            self.set(self.n)
        except OSError as error:
            raise tap.Skip(f"hugepages cannot be set: {error}") from error
        with open(HUGEPAGES, encoding="ascii") as file:
            if int(file.read()) != self.n:
                self.set(self.before)
                raise tap.Skip("the kernel does not give the hugepages, or not back")

    def __exit__(self, *_):
        self.set(self.before)


def test_usage():
    assert "--port" in doctor("--help", status=0).stdout
    for arguments in (("--prot", "eth1"), ("eth1",), ("--port",), ("--port", ""),
                      ("--port", "af_xdp:"), ("--cache-entries", "3")):
        done = doctor(*arguments, status=2)
        assert done.stdout == "" and done.stderr.startswith("weir doctor: "), done
        assert done.stderr.count("\n") == 1


def test_help_fits_a_screen():
    lines = doctor("--help", status=0).stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, lines


def test_text_and_json_say_the_same():
    report = json.loads(doctor("--json").stdout)
    lines = doctor().stdout.splitlines()
    assert len(lines) == len(report["checks"])
    for line, check in zip(lines, report["checks"]):
        assert line.startswith({"ok": "ok  ", "hint": "--  ", "no": "NO  "}[check["verdict"]])
        assert check["check"] in line
        assert check["verdict"] != "no" or check["remedy"]


def test_it_changes_nothing_of_an_interface():
    with Namespace("look") as namespace:
        before = namespace.run("ip", "-details", "link").stdout
        doctor("--port", "af_xdp:v0", "--port", "v1", before=namespace.inside, status=0)
        assert namespace.run("ip", "-details", "link").stdout == before


def test_an_interface_that_is_not_there():
    refuses("interface", "no interface 'weir-none0'",
            "ip -brief link   # shows those that there are", "--port", "weir-none0")


def test_an_interface_that_is_down_and_mended():
    with Namespace("down", up=False) as namespace:
        remedy = "ip link set dev v0 up"
        for port in ("v0", "af_packet:v0", "af_xdp:v0", "vdev:net_af_packet0,iface=v0"):
            refuses("link", "down", remedy, "--port", port, before=namespace.inside)
        namespace.mend(remedy)
        namespace.mend("ip link set dev v1 up")
        possible, found = checks("--port", "v0", before=namespace.inside, status=0)
        assert possible and found["link"]["verdict"] == "ok"


def test_a_link_without_its_other_end_is_a_hint():
    with Namespace("half", up=False) as namespace:
        namespace.run("ip", "link", "set", "dev", "v0", "up")
        possible, found = checks("--port", "v0", before=namespace.inside, status=0)
        assert possible and found["link"]["verdict"] == "hint"
        assert "carrier" in found["link"]["found"]


def test_interfaces_are_those_of_the_namespace():
    """Also where /sys still shows those of another."""
    with Namespace("list") as namespace:
        inside = (need("nsenter"), f"--net=/run/netns/{namespace.name}")
        done = doctor(before=inside)
        assert "--  v0: port: " in done.stdout and "eth0: port" not in done.stdout, done.stdout
        _, found = checks("--port", "v0", before=inside, status=0)
        assert found["mtu"]["found"] == "1500 octets"


def test_offloads_are_seen_and_the_remedy_turns_them_off():
    ethtool = need("ethtool")
    with Namespace("gro") as namespace:
        namespace.run(ethtool, "-K", "v0", "gro", "on")
        lines = doctor("--port", "v0", before=namespace.inside, status=0).stdout.splitlines()
        line = next(l for l in lines if "gro on" in l)
        assert line.startswith("--  v0: offloads: "), line
        namespace.mend(line.rsplit(": ", 1)[1])
        text = doctor("--port", "v0", before=namespace.inside, status=0).stdout
        assert "ok  v0: offloads: gro and lro are off" in text, text


def test_jumbo_frames_and_af_xdp():
    with Namespace("mtu") as namespace:
        for name in ("v0", "v1"):
            namespace.run("ip", "link", "set", "dev", name, "mtu", "9000")
        refuses("mtu", "9000", "ip link set dev v0 mtu 3498   # or: weir run --port af_packet:v0",
                "--port", "af_xdp:v0", before=namespace.inside)
        checks("--port", "af_packet:v0", before=namespace.inside, status=0)
        namespace.mend("ip link set dev v0 mtu 3498   # or: weir run --port af_packet:v0")
        checks("--port", "af_xdp:v0", before=namespace.inside, status=0)


def xdp_program_on(namespace, interface):
    """A process of its own that holds an XDP program on the interface until it is ended."""
    script = f"""
import ctypes, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
BPF = 321
def bpf(command, attr):
    buffer = ctypes.create_string_buffer(attr, 128)
    fd = libc.syscall(BPF, command, buffer, 128)
    if fd < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return fd
# r0 = XDP_PASS; exit
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xb7, 0, 0, 2, 0x95, 0, 0, 0), 16)
name = ctypes.create_string_buffer(b"GPL")
program = bpf(5, struct.pack("=IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(name)))
# BPF_LINK_CREATE with BPF_XDP, generic mode.
bpf(28, struct.pack("=IIII", program, socket.if_nametoindex("{interface}"), 37, 2))
print("there", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([*namespace.inside, "python3", "-c", script], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    if process.stdout.readline() != "there\n":
        raise tap.Skip("no XDP program can be attached: " + process.communicate()[1].strip())
    return process


def test_a_port_in_use():
    with Namespace("use") as namespace:
        # A packet socket is no conflict: each gets every packet.
        holder = subprocess.Popen(
            [*namespace.inside, "python3", "-c",
             "import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768);"
             "s.bind(('v0', 3)); print('there', flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout.readline() == "there\n"
            for port in ("v0", "af_packet:v0", "af_xdp:v0"):
                _, found = checks("--port", port, before=namespace.inside, status=0)
                assert found["use"]["verdict"] == "ok", found["use"]
                assert found["use"]["found"].startswith("1 packet socket of others")
        finally:
            holder.communicate("", timeout=20)
        # An XDP program is one, for af_xdp.
        holder = xdp_program_on(namespace, "v0")
        try:
            remedy = "ip link set dev v0 xdp off   # after stopping that program"
            refuses("use", "another program has its XDP program", remedy, "--port", "af_xdp:v0",
                    before=namespace.inside)
            _, found = checks("--port", "af_packet:v0", before=namespace.inside, status=0)
            assert found["use"]["verdict"] == "hint"
        finally:
            holder.communicate("", timeout=20)
        checks("--port", "af_xdp:v0", before=namespace.inside, status=0)


def test_no_hugepages_and_the_remedy_gets_them():
    with Hugepages(0):
        possible, found = checks("--hugepages", status=1)
        assert found["hugepages"]["verdict"] == "no"
        remedy = found["hugepages"]["remedy"]
        assert remedy.startswith("sysctl vm.nr_hugepages="), remedy
        # Welcome, where not asked for.
        possible, found = checks(status=0)
        assert possible and found["hugepages"]["verdict"] == "hint"
        subprocess.run(["sh", "-ec", remedy], check=True, capture_output=True)
        possible, found = checks("--hugepages")
        assert possible and found["hugepages"]["verdict"] == "ok", found["hugepages"]


def test_hugepages_that_another_program_took():
    with Hugepages(4):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                              ctypes.c_int, ctypes.c_long]
        libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        size = 4 * 2 << 20
        # PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE
        memory = libc.mmap(None, size, 3, 0x2 | 0x20 | 0x40000 | 0x8000, -1, 0)
        assert memory != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
        try:
            _, found = checks("--hugepages", status=1)
        finally:
            libc.munmap(memory, size)
        assert found["hugepages"]["found"].startswith("exhausted: 0 of 8 MiB free"), found
        asked = int(found["hugepages"]["remedy"].split("=")[1])
        assert asked >= 4 + 100, asked


def test_a_driver_that_nobody_knows():
    done = doctor("--port", "vdev:net_nothing0", status=1)
    assert "NO  vdev:net_nothing0: driver: libdpdk has no driver 'net_nothing'" in done.stdout
    for device in ("net_ring0", "net_null0", "net_pcap0,rx_pcap=x", "net_virtio_user0", "net_tap0"):
        _, found = checks("--port", f"vdev:{device}", status=0)
        assert found["driver"]["verdict"] == "ok", found["driver"]


def test_cores_that_do_not_exist():
    allowed = sorted(os.sched_getaffinity(0))
    possible, found = checks("--cores", f"{allowed[0]},1000", status=1)
    assert not possible and "core 1000 does not exist" in found["cores"]["found"], found
    assert found["cores"]["remedy"].startswith(f"weir run --cores {allowed[0]}"), found
    checks("--cores", str(allowed[0]), status=0)
    if len(allowed) > 1:
        possible, found = checks("--cores", str(allowed[1]), status=1,
                                 before=(need("taskset"), "-c", str(allowed[0])))
        assert not possible and "is not given to this process" in found["cores"]["found"], found
        assert found["cores"]["remedy"] == f"weir run --cores {allowed[0]} ..."


def test_without_root():
    root()
    nobody = (need("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups",
              "--bounding-set=-all", "--inh-caps=-all")
    with Namespace("nobody") as namespace:
        for port, capabilities in (
                ("v0", "cap_net_admin,cap_net_raw"),
                ("af_xdp:v0", "cap_net_admin,cap_net_raw,cap_ipc_lock,cap_sys_admin,"
                              "cap_dac_override,cap_bpf")):
            remedy = f"sudo setcap {capabilities}=ep {os.path.realpath(tap.WEIR)}"
            refuses("privileges", "neither root nor a program", remedy, "--port", port,
                    before=(*namespace.inside, *nobody))
    # A virtual port needs no one's leave.
    checks("--port", "vdev:net_ring0", before=nobody, status=0)


def test_some_capabilities_are_enough():
    root()
    with Namespace("caps") as namespace:
        some = (need("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups",
                "--inh-caps=-all,+net_raw,+net_admin", "--ambient-caps=-all,+net_raw,+net_admin")
        possible, found = checks("--port", "af_packet:v0", before=(*namespace.inside, *some),
                                 status=0)
        assert possible and found["privileges"]["found"] == "cap_net_admin,cap_net_raw", found


def test_pci_devices_of_this_machine():
    devices = "/sys/bus/pci/devices"
    names = sorted(os.listdir(devices)) if os.path.isdir(devices) else []
    refuses("device", "no such PCI device",
            "dpdk-devbind.py --status-dev net   # shows those that there are",
            "--port", "ffff:ff:1f.7")
    for name in names:
        with open(f"{devices}/{name}/class", encoding="ascii") as file:
            network = int(file.read(), 16) >> 16 == 2
        if not network:
            refuses("device", "no network device",
                    "dpdk-devbind.py --status-dev net   # shows those that there are",
                    "--port", name)


if __name__ == "__main__":
    tap.run_module(dict(globals()))
