"""What each collector makes of the datagrams it is given, in the words of records.py. A field
that a collector does not tell of is left out of its records, or of those that lack it."""

import datetime
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from records import Nfcapd, addr, icmp_of, mac, need, ports_of, times_of, until, write_pcap

PORT = 2055
BUSY_S = 60  # nfacctd takes seconds to begin, on a machine that does much else
IPFIXDUMP_NAMES = {
    "protocolIdentifier": "proto", "tcpControlBits": "tcp_flags", "ipClassOfService": "tos",
    "packetDeltaCount": "packets", "octetDeltaCount": "bytes", "flowEndReason": "end_reason",
    "flowDirection": "direction", "ingressInterface": "in_if", "egressInterface": "out_if",
    "minimumTTL": "ttl_min", "maximumTTL": "ttl_max", "vlanId": "vlan",
    "sourceTransportPort": "src_port", "destinationTransportPort": "dst_port",
}
TSHARK_NAMES = {
    "cflow.protocol": "proto", "cflow.srcport": "src_port", "cflow.dstport": "dst_port",
    "cflow.tcpflags": "tcp_flags", "cflow.tos": "tos", "cflow.packets": "packets",
    "cflow.octets": "bytes", "cflow.flow_end_reason": "end_reason",
    "cflow.direction": "direction", "cflow.inputint": "in_if", "cflow.outputint": "out_if",
    "cflow.ttl_min": "ttl_min", "cflow.ttl_max": "ttl_max", "cflow.vlanid": "vlan",
}
PMACCT_NAMES = {
    "tos": "tos", "packets": "packets", "bytes": "bytes", "tcp_flags": "tcp_flags",
    "iface_in": "in_if", "iface_out": "out_if", "vlan": "vlan", "sampling_rate": "sampling",
    "export_proto_sysid": "source_id", "flow_end_reason": "end_reason", "ttl_min": "ttl_min",
    "ttl_max": "ttl_max", "flow_direction": "direction",
}
PMACCT_PRIMITIVES = {  # its name for what pmacct has no word for: element, octets
    "flow_end_reason": (136, 1), "ttl_min": (52, 1), "ttl_max": (53, 1), "icmp4": (32, 2),
    "icmp6": (139, 2), "flow_direction": (61, 1), "first": (22, 4), "last": (21, 4),
}
PROTOCOLS = {}


def number(text):
    return int(text, 0) if isinstance(text, str) else int(text)


def ms_of_text(text):
    """An ISO time in UTC, such as those of nfdump and of ipfixDump."""
    moment = datetime.datetime.fromisoformat(text.replace(" ", "T"))
    return round(moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


def version(package):
    """The version of a Debian package, without Debian's own count."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True)
    return re.split("[-+]", done.stdout.decode())[0]


# nfdump, through nfcapd.


def of_nfdump(r):
    flags = r.get("tcp_flags", "........")
    got = {
        "src_addr": addr(r.get("src4_addr") or r["src6_addr"]),
        "dst_addr": addr(r.get("dst4_addr") or r["dst6_addr"]), "proto": r["proto"],
        "tcp_flags": sum(0x80 >> i for i, c in enumerate(flags) if c != "."),
        "tos": r.get("src_tos"), "packets": r["in_packets"], "bytes": r["in_bytes"],
        "direction": r.get("direction"), "in_if": r.get("input_snmp"),
        "out_if": r.get("output_snmp"), "vlan": r.get("src_vlan"), "src_mac": r.get("in_src_mac"),
        "dst_mac": r.get("in_dst_mac"),
    } | times_of(ms_of_text(r["first"]), ms_of_text(r["last"]))
    if "icmp_type" in r:
        return got | {"icmp_type": r["icmp_type"], "icmp_code": r["icmp_code"]}
    return got | ports_of(r.get("src_port", 0), r.get("dst_port", 0)) | icmp_of(0)


def nfdump(wire, cases, log):
    """Lives while all are replayed to it. `log` is given what nfcapd has to say."""
    with Nfcapd() as collector:
        for case in cases:
            wire.replay(case, [collector.destination])
            until(lambda: collector.socket()[1] == b"0", "nfcapd to read what it was sent")
        got = collector.stop()
    log.append(collector.log)
    return [of_nfdump(r) for r in got]


# nfacctd, of a capture of the datagrams.


def protocol_number(name):
    """Of its name in /etc/protocols, or of the number that stands for it."""
    if not PROTOCOLS:
        with open("/etc/protocols", encoding="utf-8") as file:
            for line in file:
                words = line.split("#")[0].split()
                for word in words[:1] + words[2:]:
                    PROTOCOLS.setdefault(word.lower(), int(words[1]))
    return int(name) if name.isdigit() else PROTOCOLS[name.lower()]


def of_nfacctd(r):
    got = {ours: number(r[theirs]) for theirs, ours in PMACCT_NAMES.items()}
    start, end = (round(float(r[f"timestamp_{which}"]) * 1000) for which in ("start", "end"))
    return got | times_of(start, end) | ports_of(r["port_src"], r["port_dst"]) | {
        "src_addr": addr(r["ip_src"]), "dst_addr": addr(r["ip_dst"]),
        "proto": protocol_number(r["ip_proto"]), "src_mac": r["mac_src"], "dst_mac": r["mac_dst"],
    } | icmp_of(number(r["icmp4"]) or number(r["icmp6"]))


def n_lines(path):
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as file:
        return file.read().count(b"\n")


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def open_pipe(path):
    """To write, once somebody reads."""
    def is_open():
        try:
            found.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        return found

    found = []
    until(is_open, "nfacctd to open its input", BUSY_S)
    os.set_blocking(found[0], True)
    return os.fdopen(found[0], "wb")


def nfacctd_objects(pcap, n, folder):
    """What nfacctd prints of a capture, `n` records if all is well."""
    out, config, primitives, log, pipe = (
        os.path.join(folder, f"nfacctd.{what}") for what in
        ("json", "conf", "primitives", "log", "pipe"))
    os.mkfifo(pipe)
    with open(primitives, "w", encoding="utf-8") as file:
        for name, (element, octets) in PMACCT_PRIMITIVES.items():
            file.write(f"name={name} field_type={element} len={octets} semantics=u_int\n")
    with open(config, "w", encoding="utf-8") as file:
        file.write(
            f"pcap_savefile: {pipe}\npcap_savefile_wait: true\n"
            "plugins: print[p]\nprint_output[p]: json\n"
            f"print_output_file[p]: {out}\nprint_refresh_time[p]: 1\n"
            # A busy machine spreads the records over several refreshes: each must add to the
            # file, and none may be lost between nfacctd's processes.
            "print_output_file_append[p]: true\nplugin_pipe_size[p]: 64000000\n"
            "timestamps_since_epoch: true\n"
            f"aggregate_primitives: {primitives}\n"
            "aggregate[p]: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags,in_iface,"
            "out_iface,vlan,src_mac,dst_mac,timestamp_start,timestamp_end,export_proto_seqno,"
            "export_proto_sysid,sampling_rate," + ",".join(PMACCT_PRIMITIVES) + "\n"
        )
    with open(log, "wb") as file:
        process = subprocess.Popen([need("nfacctd"), "-f", config], stdin=subprocess.DEVNULL,
                                   stdout=file, stderr=file, start_new_session=True)
    try:
        with open(pcap, "rb") as file, open_pipe(pipe) as reader:
            # It begins when it has seen the head. What comes before its plugin is ready is lost:
            # that has looked for work once by then.
            reader.write(file.read(24))
            reader.flush()
            until(lambda: "Purging cache - END" in text_of(log), "nfacctd's plugin", BUSY_S)
            shutil.copyfileobj(file, reader)
        until(lambda: n_lines(out) >= n, "nfacctd's records", BUSY_S)
    except AssertionError as late:
        raise AssertionError(f"{text_of(log)}\n{late}: {n_lines(out)} of {n}")
    finally:
        # While it waits it does not hear SIGTERM. Its plugin is of its session.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
    with open(out, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def nfacctd(datagrams, n):
    with tempfile.TemporaryDirectory(prefix="weir-nfacctd-") as folder:
        pcap = os.path.join(folder, "datagrams.pcap")
        write_pcap(pcap, datagrams, PORT)
        return [of_nfacctd(r) for r in nfacctd_objects(pcap, n, folder)]


# tshark, of a capture of the datagrams.


def flows_of(node):
    """The records below a layer: those among its branches that are called "Flow 1" and so on."""
    for key, inner in node.items():
        if not isinstance(inner, dict):
            continue
        if key.startswith("Flow ") and "FlowSet" not in key:
            yield inner
        else:
            yield from flows_of(inner)


def leaves(node):
    for key, inner in node.items():
        if isinstance(inner, dict):
            yield from leaves(inner)
        else:
            yield key, inner


def of_tshark(flow, boot_ms, sampling, source_id):
    v = dict(leaves(flow))
    v6 = "cflow.srcaddrv6" in v
    got = {ours: number(v[theirs]) for theirs, ours in TSHARK_NAMES.items()}
    got |= {
        "src_addr": addr(v["cflow.srcaddrv6" if v6 else "cflow.srcaddr"]),
        "dst_addr": addr(v["cflow.dstaddrv6" if v6 else "cflow.dstaddr"]),
        "src_mac": v["cflow.srcmac"], "dst_mac": v["cflow.dstmac"], "sampling": sampling,
        "source_id": source_id,
    }
    if "cflow.icmp_type_code_ipv4" in v:
        got |= icmp_of(number(v["cflow.icmp_type_code_ipv4"]))
    elif "cflow.icmp_ipv6_type" in v:
        got |= {"icmp_type": number(v["cflow.icmp_ipv6_type"]),
                "icmp_code": number(v["cflow.icmp_ipv6_code"])}
    if "cflow.timestart" in v:
        return got | times_of(*(boot_ms + round(float(v[f"cflow.time{which}"]) * 1000)
                                for which in ("start", "end")))
    return got | times_of(*(ms_of_tshark(v[f"cflow.abstime{which}"]) for which in ("start", "end")))


def ms_of_tshark(text):
    """Such as "Nov 24, 2026 02:08:29.103000000 UTC"."""
    moment = datetime.datetime.strptime(text.split(".")[0], "%b %d, %Y %H:%M:%S")
    seconds = moment.replace(tzinfo=datetime.timezone.utc).timestamp()
    return round(seconds) * 1000 + int(text.split(".")[1][:3])


def tshark(datagrams, log):
    """`log` is given what tshark finds wrong."""
    with tempfile.TemporaryDirectory(prefix="weir-tshark-") as folder:
        pcap = os.path.join(folder, "datagrams.pcap")
        write_pcap(pcap, datagrams, PORT)
        base = [need("tshark"), "-n", "-r", pcap, "-d", f"udp.port=={PORT},cflow"]
        bad = subprocess.run([*base, "-Y", "_ws.malformed || _ws.expert.severity >= warning"],
                             capture_output=True, check=True)
        done = subprocess.run([*base, "-T", "json", "-J", "cflow", "--no-duplicate-keys"],
                              capture_output=True, check=True)
    log.append(bad.stdout.decode())
    got, sampling = [], {}
    for packet in json.loads(done.stdout):
        layer = packet["_source"]["layers"]["cflow"]
        header = dict(leaves({k: v for k, v in layer.items() if "Set" not in k}))
        source_id = number(header.get("cflow.source_id") or header["cflow.od_id"])
        boot_ms = None
        if "cflow.sysuptime" in header:
            boot_ms = number(header["cflow.unix_secs"]) * 1000 \
                - round(float(header["cflow.sysuptime"]) * 1000)
        for flow in flows_of(layer):
            if "cflow.sampling_interval" in flow:
                sampling[source_id] = number(flow["cflow.sampling_interval"])
            if "cflow.packets" in flow:
                got.append(of_tshark(flow, boot_ms, sampling.get(source_id), source_id))
    return got


# ipfixDump, of files.


def of_ipfixdump(r, sampling):
    v6 = "sourceIPv6Address" in r
    got = {ours: number(r[theirs]) for theirs, ours in IPFIXDUMP_NAMES.items()}
    family = "IPv6" if v6 else "IPv4"
    return got | {
        "src_addr": addr(r[f"source{family}Address"]),
        "dst_addr": addr(r[f"destination{family}Address"]), "src_mac": r["sourceMacAddress"],
        "dst_mac": r["destinationMacAddress"], "sampling": number(sampling["samplingInterval"]),
        "source_id": number(sampling["observationDomainId"]),
    } | icmp_of(number(r[f"icmpTypeCode{family}"])) | times_of(
        ms_of_text(r["flowStartMilliseconds"]), ms_of_text(r["flowEndMilliseconds"]))


def ipfixdump(paths):
    got = []
    for path in paths:
        done = subprocess.run([need("ipfixDump"), "--in", path], capture_output=True, check=True)
        records = []
        for line in done.stdout.decode().splitlines():
            if line.startswith("--- "):
                records.append({})
            found = re.match(r"\t\(\d+\)[ (S)]+(\w+) : (.*)", line)
            if found:
                records[-1][found[1]] = found[2]
        sampling = None
        for r in records:
            if "samplingInterval" in r:
                sampling = r
            elif "octetDeltaCount" in r:
                got.append(of_ipfixdump(r, sampling))
    return got


# node-netflowv9, where tests/interop/run has installed it.


def of_node(r, boot_ms, sampling, source_id):
    v6 = "ipv6_src_addr" in r
    names = {
        "proto": "protocol", "tcp_flags": "tcp_flags", "tos": "src_tos", "packets": "in_pkts",
        "bytes": "in_bytes", "end_reason": "flowEndReason", "direction": "direction",
        "in_if": "input_snmp", "out_if": "output_snmp", "ttl_min": "min_ttl",
        "ttl_max": "max_ttl", "vlan": "src_vlan", "src_port": "l4_src_port",
        "dst_port": "l4_dst_port",
    }
    source, destination = (r[f"ipv{6 if v6 else 4}_{which}_addr"] for which in ("src", "dst"))
    if v6:
        source, destination = (":".join(re.findall("....", text)) for text in (source, destination))
    return {ours: r[theirs] for ours, theirs in names.items()} | {
        "src_addr": addr(source), "dst_addr": addr(destination), "src_mac": mac(r["in_src_mac"]),
        "dst_mac": mac(r["in_dst_mac"]), "sampling": sampling, "source_id": source_id,
    } | icmp_of(r["icmp_type"]) | times_of(boot_ms + r["first_switched"], boot_ms + r["last_switched"])


def node_objects(datagrams):
    """Header and flows of each datagram, as node-netflowv9 has them."""
    lines = "".join(d.hex() + "\n" for d in datagrams)
    done = subprocess.run([need("node"), os.environ["WEIR_NODE_DECODER"]], input=lines.encode(),
                          capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def node(datagrams):
    got, sampling = [], {}
    for header, flows in node_objects(datagrams):
        source_id = header["sourceId"]
        boot_ms = header["seconds"] * 1000 - header["uptime"]
        for r in flows:
            if r.get("isOption"):
                sampling[source_id] = r.get("sampling_interval", sampling.get(source_id))
            else:
                got.append(of_node(r, boot_ms, sampling.get(source_id), source_id))
    return got
