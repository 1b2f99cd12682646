"""What must hold of a soak. Each check reads the facts of a run, a dictionary that soak_facts.py and
the self-test make, and returns what is wrong, or nothing. No check knows a process or a clock."""

import re
import statistics

# Memory after the warm-up: growth by the line of least squares, from the first calm look to the
# last, however long that was, with a level of its own for each phase: a collector more is a queue
# more, of 6 MiB. Pages that weir shares with each weir top come and go: pss is less exact.
MOST_GROWTH_KIB = {"anonymous": 2048, "pss": 8192}
LEAST_CALM = 6            # looks, for a line to say anything
STOP_S = 5
# What a link that goes down under traffic may swallow unseen: the kernel's backlog, twice.
UNSEEN_A_FLAP = 2000
MOST_OCTETS = 590  # of a frame
# Options data, of which the sequence of a lost datagram does not say how many there were.
OPTIONS_A_RESTART = 100
TOP_SILENCE_S = 12  # who asks at the socket amiss may have 10 s
SCRAPE_S = 5

FORMER = "former collectors"  # of which the ledger keeps the sum

# Lines of warnings and errors that the troubles explain.
EXPECTED = {
    "reload": (r"\S+/config:\d+: cache\.idle_timeout: soon: not a duration",
               r"reload: refused; everything is as it was",
               r"threads\.workers: 2 -> 3: needs a restart"),
    "link_held": (r"port vb1: link down",),
    "nfcapd_restart": (r"collector 192\.0\.2\.1:2055: nobody listens there",),
    "receiver_restart": (r"collector ipfix://192\.0\.2\.1:4739: nobody listens there",),
    "disk_full": (r"archive \S+: cannot .*: No space left on device(;.*|$)",),
}


def slope(groups):
    """By least squares, the same for all groups of points, whose levels may differ."""
    spread = covariance = 0
    for points in groups:
        t_mean = statistics.fmean(t for t, _ in points)
        v_mean = statistics.fmean(v for _, v in points)
        spread += sum((t - t_mean) ** 2 for t, _ in points)
        covariance += sum((t - t_mean) * (v - v_mean) for t, v in points)
    return covariance / spread if spread else 0


def calm(facts):
    return [look for look in facts["calm"] if not look["warm_up"]]


def settled(facts):
    """Looks while every queue that there is has once been full of records."""
    return [look for look in calm(facts) if look["settled"]]


def growth(facts, name):
    """By the line, from the first settled look to the last."""
    looks = settled(facts)
    span = looks[-1]["t"] - looks[0]["t"]
    phases = {}
    for look in looks:
        phases.setdefault(look["phase"], []).append((look["t"], look[name]))
    return slope(phases.values()) * span


def check_memory_is_flat(facts):
    if len(settled(facts)) < LEAST_CALM:
        return f"{len(settled(facts))} calm looks after the warm-up, {LEAST_CALM} are needed"
    for name, most in MOST_GROWTH_KIB.items():
        grew = growth(facts, name)
        if grew > most:
            return f"{name} grew by {grew:.0f} KiB, at most {most:.0f} are allowed"
    return None


def equal_at_equal_phases(facts, name):
    """In calm, with the same config, whatever happened before."""
    seen = {}
    for look in calm(facts):
        seen.setdefault(look["phase"], set()).add(look[name])
    wrong = {phase: sorted(numbers) for phase, numbers in seen.items() if len(numbers) > 1}
    return f"{name} by phase: {wrong}" if wrong else None


def check_descriptors_are_as_many_at_equal_phases(facts):
    looks = calm(facts)
    # Those of the archive's files depend on what is being closed: a leak shows in the long run.
    half = len(looks) // 2
    before, after = (statistics.median(look["archive_fds"] for look in part)
                     for part in (looks[:half], looks[half:]))
    if after > before:
        return f"of the archive's files {before:.0f} at first, {after:.0f} later"
    # Who asks at a look has a descriptor then, on a busy machine for some of them: of each phase's
    # looks the least are the usual ones, and as many at first as later; what leaks is there in all.
    for phase in {look["phase"] for look in looks}:
        fds = [look["fds"] for look in looks if look["phase"] == phase]
        first, later = fds[:(len(fds) + 1) // 2], fds[len(fds) // 2:]
        if not min(first) == min(later) == statistics.mode(fds):
            return f"{phase}: at least {min(first)} at first, {min(later)} later, " \
                   f"{statistics.mode(fds)} mostly"
    return None


def check_threads_are_as_many_at_equal_phases(facts):
    return equal_at_equal_phases(facts, "threads")


def port_of(facts, source):
    return next(p for p in facts["ledger"]["ports"] if p["name"] == source["port"])


def check_every_packet_on_the_line_was_received_or_missed(facts):
    for source in facts["sources"]:
        offered, taken = source["sent"] + source["refused"], source["taken"]
        if offered != taken + source["sender_dropped"]:
            return f"{source['port']}: {offered} sent, the kernel counts {taken} taken and " \
                   f"{source['sender_dropped']} dropped"
        port = port_of(facts, source)
        received = sum(port[n] for n in ("packets", "missed", "errors", "no_mbuf"))
        unseen = taken - source["dropped"] - received
        if not 0 <= unseen <= UNSEEN_A_FLAP * source["flaps"]:
            return f"{source['port']}: {taken} packets on the line, {received} in the ledger"
    return None


def check_received_is_metered_and_reasons(facts):
    ledger = facts["ledger"]
    reasons = {n: c["packets"] for n, c in ledger["not_metered"].items()}
    received, metered = ledger["received"]["packets"], ledger["metered"]["packets"]
    if not ledger["balanced"] or received != metered + sum(reasons.values()):
        return f"{received} received, {metered} metered, {reasons}"
    lost = sum(p[n] for p in ledger["ports"] for n in ("missed", "errors", "no_mbuf"))
    if received != sum(p["packets"] for p in ledger["ports"]) + lost:
        return f"{received} received, the ports say {ledger['ports']}"
    others = {n: c for n, c in reasons.items() if c and not n.startswith("port_")}
    strange = sum(source["strange"] for source in facts["sources"])
    # Of what the line or a port swallowed some were strange.
    swallowed = sum(s["sent"] for s in facts["sources"]) - received + lost
    if others.keys() - {"not_ip"} or not 0 <= strange - others.get("not_ip", 0) <= swallowed:
        return f"{strange} frames were of no protocol, not metered: {others}"
    octets = sum(source["octets"] for source in facts["sources"])
    if not 0 <= octets - ledger["received"]["bytes"] <= swallowed * MOST_OCTETS:
        return f"{octets} octets sent, {ledger['received']['bytes']} received"
    return None


def check_records_carry_the_metered_packets(facts):
    ledger = facts["ledger"]
    carried, metered = ledger["record_packets"], ledger["metered"]["packets"]
    if carried != metered or ledger["record_octets"] != ledger["metered_octets"]:
        return f"{metered} packets metered, {carried} in records"
    ends = sum(ledger["records_by_end"].values())
    if ends != ledger["records"] or ledger["cached_flows"] != 0:
        return f"{ledger['records']} records, {ends} by reason, {ledger['cached_flows']} left"
    return None


def sink(facts, name):
    return next(s for s in facts["ledger"]["sinks"] if s["name"].startswith(name))


def lost(one):
    return sum(one["lost"].values())


def check_each_sink_sent_or_counts_every_record(facts):
    ledger = facts["ledger"]
    made = ledger["records"] - ledger["records_lost"]
    for one in ledger["sinks"]:
        if one["sent"] + lost(one) != one["records"]:
            return f"{one['name']}: {one['records']} records, {one['sent']} sent, {lost(one)} lost"
        if one["name"] == FORMER:
            continue
        absent = one.get("absent", 0)
        if one["records"] + absent != made:
            return f"{one['name']}: {one['records']} records of {made}, away for {absent}"
        if absent and one["name"] != facts["more_name"]:
            return f"{one['name']}: was away for {absent} records"
    return None


def streams_of(facts, which):
    return [stream for life in facts[which] for stream in life]


def check_own_collector_has_every_record_but_those_of_its_absence(facts):
    """IPFIX: the sequence counts records."""
    one = sink(facts, "ipfix://")
    streams = streams_of(facts, "receiver")
    got = sum(s["records"] for s in streams)
    options = sum(s["options"] for s in streams)
    if not streams or any(len(life) > 1 for life in facts["receiver"]):
        return f"streams in each life: {[len(life) for life in facts['receiver']]}"
    for stream in streams:
        if stream["problems"]:
            return f"stream from {stream['source']}: {stream['problems']}"
        unread = stream["next"] - stream["first"] - sum(
            stream[n] for n in ("records", "options", "missing"))
        if unread < 0 or (unread > 0 and not stream["unread_sets"]):
            return f"by its sequence {unread} records of a stream were in no datagram: {stream}"
    missing = sum(s["missing"] for s in streams)
    if missing and not facts["receiver_dropped"]:
        return f"{missing} records missing in {sum(s['gaps'] for s in streams)} gaps"
    # Between two lives, and in sets whose templates had not come yet.
    absent = streams[-1]["next"] - got - options
    handed = one["sent"] + lost(one) - one["lost"]["queue_full"] - one["lost"]["stopped"]
    lacks = handed - got
    if not 0 <= absent - lacks <= OPTIONS_A_RESTART * facts["receiver_restarts"]:
        return f"{handed} records handed over, {got} arrived, and by the sequence {absent} did not"
    if facts["receiver_restarts"] == 0 and lacks == 0:
        packets = sum(s["packets"] for s in streams)
        if packets != facts["ledger"]["record_packets"]:
            return f"{facts['ledger']['record_packets']} packets in records, {packets} arrived"
    return None


def check_nfcapd_has_every_record_but_those_of_its_absence(facts):
    told, one = facts["nfcapd"], sink(facts, "192.0.2.1:2055")
    lacks = one["sent"] - told["flows"]
    most = facts["nfcapd_may_lack"] + (lacks if facts["nfcapd_dropped"] else 0)
    if not 0 <= lacks <= most:
        return f"{one['sent']} sent, nfcapd has {told['flows']}; {most:.0f} may be lacking"
    if told["bad"] != 0 or told["sequence_errors"] > facts["nfcapd_dropped"]:
        return f"{told}, {facts['nfcapd_dropped']} datagrams dropped at its socket"
    if facts["nfcapd_restarts"] == 0 and told["packets"] != facts["ledger"]["record_packets"]:
        return f"{facts['ledger']['record_packets']} packets in records, {told['packets']} arrived"
    return None


def check_a_collector_that_comes_and_goes_has_whole_streams(facts):
    if "reload" not in facts["troubles"]:
        return None
    streams = streams_of(facts, "more")
    if len(streams) != facts["times_added"]:
        return f"{len(streams)} streams, though it was added {facts['times_added']} times"
    for stream in streams:
        if stream["problems"] or stream["first"] != 0 or stream["unread_sets"] \
                or (stream["missing"] and not facts["more_dropped"]):
            return f"{stream}"
    sent = sum(s["sent"] for s in facts["ledger"]["sinks"]
               if s["name"] in (FORMER, facts["more_name"]))
    got = sum(stream["records"] for stream in streams)
    if sent != got and not facts["more_dropped"]:
        return f"{sent} records sent, {got} arrived"
    return None


def check_the_archive_has_every_record(facts):
    one, archive = sink(facts, "archive "), facts["archive"]
    files, packets = (sum(v[i] for v in archive["files"].values()) for i in (0, 1))
    if files != one["sent"]:
        return f"{one['sent']} archived, {files} in {len(archive['files'])} files"
    metered = facts["ledger"]["metered"]["packets"]
    if one["sent"] == facts["ledger"]["records"] and packets != metered:
        return f"{metered} packets metered, {packets} archived"
    if archive["verify_status"] != 0:
        return f"weir archive verify: {archive['verify']}"
    if archive["parts"]:
        return f"left open: {archive['parts']}"
    if archive["too_old"]:
        return f"older than they may become: {archive['too_old']}"
    return None


def check_the_exit_status_says_whether_something_was_lost(facts):
    losses = sum(map(lost, facts["ledger"]["sinks"]))
    wanted = 1 if losses or facts["refusals"] else 0
    if facts["status"] != wanted:
        return f"{facts['status']} after {losses} records lost, {facts['refusals']:.0f} refusals"
    return None


def check_the_stop_took_no_longer_than_it_may(facts):
    return f"{facts['stop_s']:.1f} s" if facts["stop_s"] > STOP_S else None


def complaints(facts):
    return [text for level, text in facts["log"] if level in ("warning", "error")]


def check_nothing_unexpected_was_logged(facts):
    patterns = [p for name in facts["troubles"] for p in EXPECTED.get(name, ())]
    wrong = [text for text in complaints(facts) if not any(re.match(p, text) for p in patterns)]
    wrong += facts["unread_log"]
    return f"{len(wrong)} lines, such as {wrong[:3]}" if wrong else None


def check_what_happened_was_logged(facts):
    said = complaints(facts)
    happened = facts["troubles"] | facts["reloads"]
    for name, pattern, exact in (("link_held", "link down", True),
                                 ("refused", "reload: refused", True),
                                 ("partly", "needs a restart", True),
                                 ("nfcapd_restart", "2055: nobody listens there", False),
                                 ("receiver_restart", "4739: nobody listens there", False)):
        wanted, n = happened.get(name, 0), sum(pattern in text for text in said)
        if n != wanted if exact else (wanted > 0 and n == 0):
            return f"'{pattern}' {n} times after {wanted} of {name}"
    # Where retention made room meanwhile, a spell is two; each of them ends.
    wanted = happened.get("disk_full", 0)
    full, over = (sum(pattern in text for _, text in facts["log"])
                  for pattern in ("records wait in memory", "writing again"))
    if full < wanted or full != over:
        return f"the disk was full {full} times and not {over} times, after {wanted} spells"
    return None


def check_every_trouble_ended_as_it_should(facts):
    return "; ".join(facts["failures"]) or None


def check_every_scrape_was_answered(facts):
    scrapes = facts["scrapes"]
    if scrapes["failures"] or scrapes["n"] < facts["seconds"] / 3:
        return f"{scrapes['n']} in {facts['seconds']:.0f} s, failures {scrapes['failures'][:3]}"
    if scrapes["slowest_s"] > SCRAPE_S:
        return f"one took {scrapes['slowest_s']:.1f} s"
    return None


def check_no_counter_went_back(facts):
    return "; ".join(facts["scrapes"]["backwards"][:3]) or None


def check_weir_top_went_on_through_it_all(facts):
    top = facts["top"]
    if top["failures"]:
        return f"--once: {top['failures'][:3]}"
    if top["status"] != 0 or top["silence_s"] > TOP_SILENCE_S:
        return f"on a terminal: exit status {top['status']}, silent for {top['silence_s']:.1f} s, " \
               f"last {top['tail']!r}"
    return None


CHECKS = {name[6:].replace("_", " "): function for name, function in list(globals().items())
          if name.startswith("check_")}


def judge(facts):
    """(name, what is wrong or None) of each check."""
    judged = []
    for name, check in CHECKS.items():
        try:
            judged.append((name, check(facts)))
        except (KeyError, IndexError, StopIteration, TypeError, ValueError) as error:
            judged.append((name, f"cannot be told: {error!r}"))
    return judged
