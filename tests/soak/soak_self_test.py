"""Shows that each check of a soak can fail: the facts of a good run pass all, and each with one
thing changed fails the check that it is about, and no other."""

import copy

from soak_checks import CHECKS, judge

RECORDS, STRANGE = 1000000, 2000


def sink(name, lost):
    return {"name": name, "records": RECORDS, "sent": RECORDS - 50 * (name[0] != "a"),
            "lost": dict.fromkeys(lost, 0) | ({"refused": 50} if name[0] != "a" else {})}


def stream(first, after, records, options):
    return {"source": "192.0.2.2:40000", "first": first, "next": after, "records": records,
            "options": options, "packets": records * 10, "gaps": 0, "missing": 0,
            "unread_sets": 0, "problems": []}


def good():
    """Two million packets, one restart of each collector, a disk that was full, a link that was
    down, and a collector that came twice."""
    destination = ("queue_full", "refused", "stopped")
    return {
        "seconds": 300, "status": 1, "refusals": 4, "stop_s": 0.4, "failures": [],
        # Each time that it came its queue was touched a little further at the first look.
        "calm": [{"t": 10.0 * i, "warm_up": i < 5, "phase": "one more" if i % 3 else "as begun",
                  "settled": i % 3 != 1,
                  "anonymous": 105000 + 4 * (i % 2) + (0, 240 * i, 6144)[i % 3] if i >= 5
                  else 20000 * i,
                  "pss": 240000 + 9 * (i % 4) if i >= 5 else 30000 * i,
                  "archive_fds": 1 + i % 2, "fds": (22 if i % 3 else 19) + (i == 9),
                  "threads": 13 if i % 3 else 12}
                 for i in range(25)],
        "sources": [
            {"port": "vb1", "sent": 1400000, "octets": 14 * 10**7, "refused": 0, "flaps": 0,
             "strange": 1400, "taken": 1400000, "sender_dropped": 0, "dropped": 0},
            {"port": "vdev", "sent": 600000, "octets": 6 * 10**7, "refused": 5000, "flaps": 1,
             "strange": 600, "taken": 600000, "sender_dropped": 5000, "dropped": 0}],
        "ledger": {
            "balanced": True, "received": {"packets": 2000000, "bytes": 2 * 10**8},
            "metered": {"packets": 2000000 - STRANGE - 100},
            "metered_octets": 19 * 10**7, "record_octets": 19 * 10**7,
            "record_packets": 2000000 - STRANGE - 100,
            "not_metered": {"own_export": {"packets": 0}, "not_ip": {"packets": STRANGE},
                            "port_missed": {"packets": 100}},
            "ports": [{"name": "vb1", "packets": 1400000, "missed": 0, "errors": 0, "no_mbuf": 0},
                      {"name": "vdev", "packets": 599900, "missed": 100, "errors": 0,
                       "no_mbuf": 0}],
            "records": RECORDS, "records_lost": 0, "cached_flows": 0,
            "records_by_end": {"idle": 400000, "active": 600000},
            "sinks": [sink("192.0.2.1:2055", destination),
                      sink("ipfix://192.0.2.1:4739", destination),
                      sink("archive /x", ("archive_full", "write_error")),
                      {"name": "192.0.2.1:2056", "records": 15000, "absent": RECORDS - 15000,
                       "sent": 15000, "lost": {"queue_full": 0}},
                      {"name": "former collectors", "records": 20000, "absent": 0,
                       "sent": 20000, "lost": {"queue_full": 0}}]},
        "receiver": [[stream(0, 500010, 500000, 10)], [stream(510012, RECORDS + 20, 490000, 8)]],
        "receiver_restarts": 1, "receiver_dropped": 0,
        "nfcapd": {"flows": RECORDS - 7050, "packets": 1, "sequence_errors": 0, "bad": 0},
        "nfcapd_restarts": 1, "nfcapd_dropped": 0, "nfcapd_may_lack": 9000,
        "more": [[stream(0, 900, 20000, 9), stream(0, 700, 15000, 9)]], "more_dropped": 0,
        "more_name": "192.0.2.1:2056", "times_added": 2,
        "archive": {"files": {"a": [600000, 1997000], "b": [400000, 900]}, "parts": [],
                    "too_old": [], "verify_status": 0, "verify": ""},
        "log": [("info", "metering"), ("warning", "port vb1: link down"),
                ("warning", "collector 192.0.2.1:2055: nobody listens there; start it"),
                ("warning", "collector ipfix://192.0.2.1:4739: nobody listens there; start it"),
                ("warning", "archive /x: cannot write f: No space left on device; records wait "
                            "in memory, and it is tried again"),
                ("notice", "archive /x: writing again; 0 records were lost meanwhile")],
        "unread_log": [], "reloads": {"applied": 4},
        "troubles": {"reload": 4, "link_held": 1, "nfcapd_restart": 1, "receiver_restart": 1,
                     "disk_full": 1, "link_under_traffic": 1},
        "scrapes": {"n": 290, "failures": [], "slowest_s": 0.1, "backwards": []},
        "top": {"status": 0, "silence_s": 4, "failures": [], "tail": b""},
    }


def leak(facts):
    for look in facts["calm"]:
        look["anonymous"] += int(look["t"] * 20)


def change(*path, to):
    def mutate(facts):
        at = facts
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = to(at[path[-1]]) if callable(to) else to
    return mutate


def more(n):
    return lambda v: v + n


PACKETS = "every packet on the line was received or missed"
REASONS = "received is metered and reasons"
CARRY = "records carry the metered packets"
SINKS = "each sink sent or counts every record"
OWN = "own collector has every record but those of its absence"
NFCAPD = "nfcapd has every record but those of its absence"
COMES = "a collector that comes and goes has whole streams"
ARCHIVE = "the archive has every record"
STATUS = "the exit status says whether something was lost"
LOGGED = "what happened was logged"
NOTHING = "nothing unexpected was logged"
SCRAPES = "every scrape was answered"
TOP = "weir top went on through it all"
LEDGER = ("ledger", "sinks")

# What is changed, and the check that has to see it.
MUTANTS = [
    (leak, "memory is flat"),
    (lambda f: f.update(calm=f["calm"][:8]), "memory is flat"),
    (lambda f: [look.update(fds=look["fds"] + 1) for look in f["calm"][15:]],
     "descriptors are as many at equal phases"),
    (lambda f: [look.update(archive_fds=3) for look in f["calm"][15:]],
     "descriptors are as many at equal phases"),
    (change("calm", 24, "threads", to=more(-1)), "threads are as many at equal phases"),
    (change("sources", 0, "sender_dropped", to=1), PACKETS),
    (change("sources", 1, "dropped", to=1), PACKETS),
    (lambda f: f["sources"][0].update(taken=1400001, sent=1400001, octets=14 * 10**7 + 60),
     PACKETS),
    (lambda f: (change("sources", 1, "sent", to=more(2001))(f),
                change("sources", 1, "taken", to=more(2001))(f)), PACKETS),
    (change("ledger", "received", "packets", to=more(1)), REASONS),
    (change("ledger", "balanced", to=False), REASONS),
    (change("ledger", "not_metered", "own_export", "packets", to=1), REASONS),
    (change("sources", 0, "strange", to=more(-1)), REASONS),
    (change("sources", 0, "octets", to=more(10**6)), REASONS),
    (change("sources", 0, "octets", to=more(-1)), REASONS),
    (change("ledger", "record_packets", to=more(-1)), CARRY),
    (change("ledger", "record_octets", to=more(-1)), CARRY),
    (change("ledger", "cached_flows", to=1), CARRY),
    (change("ledger", "records_by_end", "idle", to=more(1)), CARRY),
    (change(*LEDGER, 2, "lost", "archive_full", to=1), SINKS),
    (lambda f: (change(*LEDGER, 2, "records", to=more(-1))(f),
                change(*LEDGER, 2, "lost", "write_error", to=-1)(f)), SINKS),
    (change(*LEDGER, 3, "absent", to=more(1)), SINKS),
    (change(*LEDGER, 4, "records", to=more(1)), SINKS),
    (lambda f: (change(*LEDGER, 2, "records", to=more(-1))(f),
                change(*LEDGER, 2, "sent", to=more(-1))(f),
                change(*LEDGER, 2, "absent", to=1)(f),
                change("archive", "files", "a", 0, to=more(-1))(f)), SINKS),
    (change("receiver", 1, 0, "records", to=more(-300)), OWN),
    (change("receiver", 1, 0, "records", to=more(11000)), OWN),
    (change("receiver", 0, 0, "missing", to=24), OWN),
    (change("receiver", 0, 0, "problems", to=["a version"]), OWN),
    (change("receiver", to=[]), OWN),
    (change("nfcapd", "flows", to=more(-3000)), NFCAPD),
    (change("nfcapd", "flows", to=RECORDS + 1), NFCAPD),
    (change("nfcapd", "sequence_errors", to=1), NFCAPD),
    (change("nfcapd", "bad", to=1), NFCAPD),
    (change("more", 0, 1, "first", to=3), COMES),
    (change("more", 0, 1, "missing", to=1), COMES),
    (change("more", 0, 1, "records", to=more(-1)), COMES),
    (change("times_added", to=3), COMES),
    (change("archive", "files", "a", 0, to=more(-1)), ARCHIVE),
    (change("archive", "files", "a", 1, to=more(-1)), ARCHIVE),
    (change("archive", "verify_status", to=1), ARCHIVE),
    (change("archive", "parts", to=["x.part"]), ARCHIVE),
    (change("archive", "too_old", to=["x.parquet"]), ARCHIVE),
    (change("status", to=0), STATUS),
    (lambda f: f.update(status=-9), STATUS),
    (change("stop_s", to=5.5), "the stop took no longer than it may"),
    (lambda f: f["log"].append(("warning", "port vb1: the device is gone")), NOTHING),
    (lambda f: f["unread_log"].append("==1==ERROR: AddressSanitizer"), NOTHING),
    (lambda f: f["log"].append(("warning", "port vb1: link down")), LOGGED),
    (lambda f: f["log"].pop(), LOGGED),
    (lambda f: f["log"].pop(4), LOGGED),
    (change("reloads", to={"applied": 4, "refused": 1}), LOGGED),
    (lambda f: f["log"].pop(2), LOGGED),
    (change("failures", to=["disk_full: waited in vain"]), "every trouble ended as it should"),
    (change("scrapes", "failures", to=["at 3 s: timed out"]), SCRAPES),
    (change("scrapes", "n", to=50), SCRAPES),
    (change("scrapes", "slowest_s", to=6), SCRAPES),
    (change("scrapes", "backwards", to=["weir_packets_total: 5, then 4"]), "no counter went back"),
    (change("top", "status", to=1), TOP),
    (change("top", "silence_s", to=13), TOP),
    (change("top", "failures", to=["at 3 s"]), TOP),
]


def failed_of(facts):
    return [name for name, wrong in judge(facts) if wrong]


def main():
    """Returns the exit status."""
    wrong = [f"the good run fails: {failed_of(good())}"] if failed_of(good()) else []
    for number, (mutate, name) in enumerate(MUTANTS):
        facts = copy.deepcopy(good())
        mutate(facts)
        failed = failed_of(facts)
        if failed != [name]:
            wrong.append(f"mutant {number}, of '{name}', fails {failed}")
    unseen = CHECKS.keys() - {name for _, name in MUTANTS}
    if unseen:
        wrong.append(f"no mutant of {sorted(unseen)}")
    print("1..1")
    print(f"{'not ok' if wrong else 'ok'} 1 - each of {len(CHECKS)} checks fails where it has to, "
          f"{len(MUTANTS)} mutants")
    for line in wrong:
        print(f"# {line}")
    return 1 if wrong else 0
