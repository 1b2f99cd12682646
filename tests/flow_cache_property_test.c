// Properties of the flow cache that hold whatever the traffic is. Every pick of flows with
// every course of time (flow_traffic.h) runs through a small cache, aged as a replay does it;
// what came out is then laid beside every packet that went in.

#include "flow_cache_fixture.h"
#include "flow_cache_internal.h"
#include "flow_traffic.h"
#include "random.h"

#define ACTIVE_NS (10 * NS_PER_S)
#define IDLE_NS (3 * NS_PER_S)
#define CLOCK_STEP_NS (250 * NS_PER_MS)

#define FIN_OR_RST (TCP_FIN | TCP_RST)

enum {
	GAP_STEPS = 1024,
};

#define NONE UINT32_MAX

// A packet that went in.
struct sent {
	struct packet packet;
	uint64_t clock; // ticks, when it was counted at the latest
	uint32_t next;  // of the same flow
};

// A run, and what went in and came out.
struct run {
	struct fixture *fixture;
	struct flow_traffic traffic;
	uint32_t n_sent, n_ids;
	struct sent *sent;
	uint32_t *first, *last; // packets of a flow, by its id
	uint64_t *clocks;       // ticks, at which a record came out at the latest
	size_t n_clocks;
	time_ns_t aged_ns;
};

static void stamp_records(struct run *run) {
	const struct fixture *fixture = run->fixture;
	run->clocks = realloc(run->clocks, (fixture->n_room + 1) * sizeof(run->clocks[0]));
	assert_non_null(run->clocks);
	while (run->n_clocks < fixture->n_records)
		run->clocks[run->n_clocks++] = ticks_of_ns(flow_cache_now(fixture->cache));
}

static void append(struct run *run, uint32_t i, uint32_t id, const struct packet *packet) {
	run->sent[i] = (struct sent){.packet = *packet, .next = NONE};
	if (run->first[id] == NONE)
		run->first[id] = i;
	else
		run->sent[run->last[id]].next = i;
	run->last[id] = i;
}

// Moves the clock on to `t` through whatever silence lies between, and ages, as a replay does
// before a packet of that time.
static void step_clock(struct run *run, time_ns_t t) {
	struct flow_cache *cache = run->fixture->cache;
	time_ns_t step = RTE_MAX(CLOCK_STEP_NS, (t - run->aged_ns) / GAP_STEPS);

	flow_cache_drain(cache);
	while (run->aged_ns < t) {
		stamp_records(run);
		run->aged_ns = RTE_MIN(run->aged_ns + step, t);
		flow_cache_advance(cache, run->aged_ns);
		flow_cache_age(cache, flow_cache_blocks(cache));
	}
	stamp_records(run);
}

static struct run *run_traffic(
	uint32_t n_flows,
	enum pick pick,
	enum course course,
	uint32_t n,
	const struct flow_secret *s
) {
	struct run *run = calloc(1, sizeof(*run));
	assert_non_null(run);
	run->fixture = fixture_new_with(NULL, n_flows, ACTIVE_NS, IDLE_NS, s);
	flow_traffic_init(&run->traffic, pick, course, run->fixture->cache);
	flow_cache_restart(run->fixture->cache, run->traffic.now_ns);
	run->aged_ns = run->traffic.now_ns;
	run->n_sent = n;
	run->n_ids = run->traffic.next_id + n + TRAFFIC_MOST_IDS;
	run->sent = calloc(n, sizeof(run->sent[0]));
	run->first = malloc(run->n_ids * sizeof(run->first[0]));
	run->last = malloc(run->n_ids * sizeof(run->last[0]));
	assert_true(run->sent != NULL && run->first != NULL && run->last != NULL);
	memset(run->first, 0xff, run->n_ids * sizeof(run->first[0]));

	for (uint32_t i = 0; i < n; i++) {
		uint32_t id;
		struct packet packet = flow_traffic_next(&run->traffic, &id);
		if (run->traffic.now_ns - run->aged_ns >= CLOCK_STEP_NS)
			step_clock(run, run->traffic.now_ns);
		append(run, i, id, &packet);
		push(run->fixture, &packet);
		run->sent[i].clock = ticks_of_ns(run->traffic.now_ns);
		stamp_records(run);
	}
	flow_cache_flush(run->fixture->cache);
	stamp_records(run);
	return run;
}

static void run_free(struct run *run) {
	fixture_free(run->fixture);
	free(run->sent);
	free(run->first);
	free(run->last);
	free(run->clocks);
	free(run);
}

// Every run of a kind that `check` is to see.
static void for_each_run(uint32_t n_flows, bool late_too, void (*check)(const struct run *run)) {
	for (enum pick pick = 0; pick < PICK_COUNT; pick++) {
		for (enum course course = 0; course < COURSE_COUNT; course++) {
			if (course == COURSE_LATE && !late_too)
				continue;
			struct run *run = run_traffic(
				n_flows, pick, course, TEST_ROUNDS(25000), &flow_secret_fixed
			);
			check(run);
			run_free(run);
		}
	}
}

// Whatever fails says in which traffic.
static void require(const struct run *run, size_t record, bool holds, const char *what) {
	if (holds)
		return;
	print_message(
		"# %s packets in %s time: record %zu: %s\n",
		pick_names[run->traffic.pick],
		course_names[run->traffic.course],
		record,
		what
	);
	fail();
}

// The record that the packets from `at` on make, `n` of the flow. `*next` is the one behind.
static struct flow_record sum_of(const struct run *run, uint32_t at, uint64_t n, uint32_t *next) {
	const struct packet *packet = &run->sent[at].packet;
	struct flow_record sum = {
		.key = packet->key,
		.first_ticks = UINT64_MAX,
		.in_if = packet->in_if,
		.inner_vlan_id = packet->inner_vlan_id,
		.tos = packet->tos,
		.ttl_min = UINT8_MAX,
	};

	memcpy(sum.src_mac, packet->src_mac, sizeof(sum.src_mac));
	memcpy(sum.dst_mac, packet->dst_mac, sizeof(sum.dst_mac));
	for (; n > 0 && at != NONE; n--, at = run->sent[at].next) {
		packet = &run->sent[at].packet;
		uint64_t t = ticks_of_ns(packet->time_ns);
		sum.first_ticks = RTE_MIN(sum.first_ticks, t);
		sum.last_ticks = RTE_MAX(sum.last_ticks, t);
		sum.packets++;
		sum.octets += packet->octets;
		sum.tcp_flags |= packet->tcp_flags;
		sum.ttl_min = RTE_MIN(sum.ttl_min, packet->ttl);
		sum.ttl_max = RTE_MAX(sum.ttl_max, packet->ttl);
	}
	*next = at;
	return sum;
}

// Calls `check` with each record, the first of its packets, and the first of the flow's next
// record (NONE = none).
static void for_each_record(
	const struct run *run,
	void (*check)(const struct run *run, size_t record, uint32_t begin, uint32_t next)
) {
	// The packets of a flow are taken in their order by its records in theirs.
	uint32_t *at = malloc(run->n_ids * sizeof(*at)), *end;
	assert_non_null(at);
	memcpy(at, run->first, run->n_ids * sizeof(*at));
	for (size_t i = 0; i < run->fixture->n_records; i++) {
		const struct flow_record *record = &run->fixture->records[i];
		end = &at[id_of(record)];
		require(run, i, *end != NONE, "more packets than the flow had");
		uint32_t begin = *end;
		sum_of(run, begin, record->packets, end);
		check(run, i, begin, *end);
	}
	for (uint32_t id = 0; id < run->n_ids; id++)
		require(run, 0, at[id] == NONE, "fewer packets than the flow had");
	free(at);
}

static void check_sum(const struct run *run, size_t i, uint32_t begin, uint32_t next) {
	struct flow_record got = run->fixture->records[i];
	struct flow_record want = sum_of(run, begin, got.packets, &next);

	want.end = got.end;
	require(run, i, memcmp(&got, &want, sizeof(got)) == 0, "is not the sum of its packets");
}

static void check_sums(const struct run *run) {
	struct flow_cache_stats stats;

	for_each_record(run, check_sum);
	flow_cache_stats(run->fixture->cache, &stats);
	assert_int_equal(stats.packets, run->n_sent);
	assert_int_equal(stats.record_packets, run->n_sent);
	assert_int_equal(stats.record_octets, stats.octets);
	assert_int_equal(stats.flows, 0);
}

// No packet is lost, counted twice or to another flow, and none is refused. (This is all that
// conservation can mean: the records of a flow part its packets among them, in order.)
static void each_record_is_the_sum_of_the_next_packets_of_its_flow(void **state) {
	(void)state;
	for_each_run(300, true, check_sums);
	for_each_run(17, true, check_sums);
}

static void check_no_overlap(const struct run *run, size_t i, uint32_t begin, uint32_t next) {
	(void)begin;
	if (next != NONE)
		require(run,
			i,
			run->fixture->records[i].last_ticks
				<= ticks_of_ns(run->sent[next].packet.time_ns),
			"lasts beyond the flow's next record");
}

static void check_no_overlaps(const struct run *run) {
	for_each_record(run, check_no_overlap);
}

static void records_of_a_flow_do_not_overlap(void **state) {
	(void)state;
	for_each_run(300, false, check_no_overlaps);
}

static void check_span(const struct run *run, size_t i, uint32_t begin, uint32_t next) {
	const struct flow_record *record = &run->fixture->records[i];
	uint64_t span = record->last_ticks - record->first_ticks;
	(void)begin;
	(void)next;
	require(run, i, span < ticks_of_ns(ACTIVE_NS), "spans the active timeout or more");
}

static void check_spans(const struct run *run) {
	for_each_record(run, check_span);
}

static void no_record_spans_the_active_timeout(void **state) {
	(void)state;
	for_each_run(300, false, check_spans);
}

// FIN and RST shorten the silence that ends a flow, from then on.
static void check_gap(const struct run *run, size_t i, uint32_t begin, uint32_t next) {
	uint8_t flags = 0;
	uint64_t before = ticks_of_ns(run->sent[begin].packet.time_ns);

	for (uint32_t at = begin; at != next; at = run->sent[at].next) {
		const struct packet *packet = &run->sent[at].packet;
		uint64_t t = ticks_of_ns(packet->time_ns);
		time_ns_t idle_ns = (flags & FIN_OR_RST) != 0
					    ? RTE_MIN(FLOW_CACHE_LINGER_NS, IDLE_NS)
					    : IDLE_NS;
		require(run, i, t - before < ticks_of_ns(idle_ns), "has the idle timeout inside");
		require(run,
			i,
			(flags & FIN_OR_RST) == 0 || (packet->tcp_flags & TCP_SYN) == 0,
			"goes on with a SYN behind a FIN or RST");
		flags |= packet->tcp_flags;
		before = t;
	}
}

static void check_gaps(const struct run *run) {
	for_each_record(run, check_gap);
}

static void no_record_has_the_idle_timeout_inside(void **state) {
	(void)state;
	for_each_run(300, false, check_gaps);
}

// By the clock at which a flow had ended, and by that at which its record came out.
static uint64_t ended_at(const struct flow_record *record) {
	time_ns_t idle_ns = (record->tcp_flags & FIN_OR_RST) != 0
				    ? RTE_MIN(FLOW_CACHE_LINGER_NS, IDLE_NS)
				    : IDLE_NS;
	return RTE_MIN(
		record->last_ticks + ticks_of_ns(idle_ns),
		record->first_ticks + ticks_of_ns(ACTIVE_NS)
	);
}

static void check_leaves(const struct run *run, size_t i, uint32_t begin, uint32_t next) {
	const struct flow_record *record = &run->fixture->records[i];
	uint64_t counted = 0;

	// A late packet may belong to a flow that had ended before it came.
	for (uint32_t at = begin; at != next; at = run->sent[at].next)
		counted = RTE_MAX(counted, run->sent[at].clock);
	uint64_t due = RTE_MAX(ended_at(record), counted);
	require(run, i, run->clocks[i] <= due + TICKS_PER_S, "came out late");
}

static void check_leaving(const struct run *run) {
	// Over years the steps of the clock are longer.
	if (run->traffic.course != COURSE_JUMPS)
		for_each_record(run, check_leaves);
}

static void idle_flow_has_left_within_a_second_of_its_timeout(void **state) {
	(void)state;
	for_each_run(300, true, check_leaving);
	for_each_run(20000, true, check_leaving);
}

static void check_reason(const struct run *run, size_t i, uint32_t begin, uint32_t next) {
	const struct flow_record *record = &run->fixture->records[i];
	uint64_t clock = run->clocks[i];
	bool finished = (record->tcp_flags & FIN_OR_RST) != 0;
	bool reused = finished && next != NONE && (run->sent[next].packet.tcp_flags & TCP_SYN) != 0;
	uint64_t active_end = record->first_ticks + ticks_of_ns(ACTIVE_NS);
	(void)begin;

	switch (record->end) {
	case FLOW_END_IDLE:
		require(run, i, clock >= ended_at(record) && !finished, "is not idle");
		break;
	case FLOW_END_ACTIVE:
		require(run, i, clock >= active_end, "is not long active");
		break;
	case FLOW_END_DETECTED:
		require(run, i, finished, "has seen no end");
		require(run, i, reused || clock >= ended_at(record), "lingers yet");
		break;
	case FLOW_END_FORCED:
		require(run, i, next == NONE, "goes on behind the flush");
		break;
	default:
		require(run, i, record->end == FLOW_END_RESOURCES, "has no reason");
	}
}

static void check_reasons(const struct run *run) {
	for_each_record(run, check_reason);
}

static void each_record_has_the_reason_that_it_says(void **state) {
	(void)state;
	for_each_run(300, true, check_reasons);
}

// Packets and octets by flow, as the records have them.
static uint64_t (*totals_of(const struct run *run))[2] {
	uint64_t(*totals)[2] = calloc(run->n_ids, sizeof(*totals));
	assert_non_null(totals);
	for (size_t i = 0; i < run->fixture->n_records; i++) {
		const struct flow_record *record = &run->fixture->records[i];
		totals[id_of(record)][0] += record->packets;
		totals[id_of(record)][1] += record->octets;
	}
	return totals;
}

static void totals_of_flows_do_not_depend_on_the_secret(void **state) {
	struct random random = {11};
	(void)state;

	for (enum pick pick = 0; pick < PICK_COUNT; pick++) {
		// The colliding flows are found by the secret, so they are others.
		if (pick == PICK_COLLIDING)
			continue;
		struct run *want = run_traffic(
			100, pick, COURSE_STEADY, TEST_ROUNDS(20000), &flow_secret_fixed
		);
		uint64_t(*want_totals)[2] = totals_of(want);
		for (unsigned i = 0; i < 5; i++) {
			struct flow_secret secret;
			random_fill(&random, &secret, sizeof(secret));
			struct run *got =
				run_traffic(100, pick, COURSE_STEADY, TEST_ROUNDS(20000), &secret);
			uint64_t(*got_totals)[2] = totals_of(got);
			assert_int_equal(got->n_ids, want->n_ids);
			assert_memory_equal(
				got_totals, want_totals, want->n_ids * sizeof(*want_totals)
			);
			free(got_totals);
			run_free(got);
		}
		free(want_totals);
		run_free(want);
	}
}

static void same_secret_gives_the_same_records_in_the_same_order(void **state) {
	(void)state;
	for (enum pick pick = 0; pick < PICK_COUNT; pick++) {
		struct run *runs[2];
		for (unsigned i = 0; i < 2; i++)
			runs[i] = run_traffic(
				100, pick, COURSE_LATE, TEST_ROUNDS(20000), &flow_secret_fixed
			);
		size_t n = runs[0]->fixture->n_records;
		assert_int_equal(runs[1]->fixture->n_records, n);
		assert_memory_equal(
			runs[1]->fixture->records,
			runs[0]->fixture->records,
			n * sizeof(runs[0]->fixture->records[0])
		);
		run_free(runs[0]);
		run_free(runs[1]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_record_is_the_sum_of_the_next_packets_of_its_flow),
		cmocka_unit_test(records_of_a_flow_do_not_overlap),
		cmocka_unit_test(no_record_spans_the_active_timeout),
		cmocka_unit_test(no_record_has_the_idle_timeout_inside),
		cmocka_unit_test(idle_flow_has_left_within_a_second_of_its_timeout),
		cmocka_unit_test(each_record_has_the_reason_that_it_says),
		cmocka_unit_test(totals_of_flows_do_not_depend_on_the_secret),
		cmocka_unit_test(same_secret_gives_the_same_records_in_the_same_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
