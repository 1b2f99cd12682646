// Public captures against the flows that others worked out of them: $WEIR_CAPTURES holds the
// captures, MANIFEST.tsv and expected/. Only the reader and the
// packet parser are under test. Skipped where the folder is missing.

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "capture_file.h"
#include "packet.h"

#define LOG2_FLOWS 15
#define LINE_BYTES 1024
#define N_COLUMNS_MAX 32
#define N_FILES_MAX 256

struct flow {
	struct flow_key key; // without VLAN, as the expected flows
	uint64_t packets, octets;
	int64_t first_ms, last_ms;
	uint8_t tcp_flags, tos;
};

static struct flow flows[1 << LOG2_FLOWS];
static char lines[1 << LOG2_FLOWS][192];

// One line of totals.tsv with what MANIFEST.tsv adds.
struct capture {
	char *test_name;
	char name[128], status[32];
	uint64_t packets, libpcap_records, ip4, ip6, nonip, mal_t, mal_v, mal_h, mal_l;
};

static const char *folder;

// Opens `folder`/`path`; `path` is a printf format with one name in it.
static FILE *open_in_folder(const char *format, const char *name) {
	char path[LINE_BYTES];
	int n = snprintf(path, sizeof(path), "%s/", folder);

	snprintf(path + n, sizeof(path) - (size_t)n, format, name);
	return fopen(path, "r");
}

// A file of tab-separated values with a header line.
struct table {
	FILE *file;
	char header[LINE_BYTES], row[LINE_BYTES];
	char *names[N_COLUMNS_MAX], *values[N_COLUMNS_MAX];
	unsigned n_columns;
};

static unsigned split(char *line, char **out) {
	unsigned n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (char *at; n < N_COLUMNS_MAX && (at = strsep(&line, "\t")) != NULL;)
		out[n++] = at;
	return n;
}

static bool table_open(struct table *table, const char *path) {
	table->file = open_in_folder("%s", path);
	if (table->file == NULL)
		return false;
	assert_non_null(fgets(table->header, sizeof(table->header), table->file));
	table->n_columns = split(table->header, table->names);
	return true;
}

static bool table_next(struct table *table) {
	if (fgets(table->row, sizeof(table->row), table->file) == NULL) {
		fclose(table->file);
		return false;
	}
	assert_int_equal(split(table->row, table->values), table->n_columns);
	return true;
}

static const char *text_of(const struct table *table, const char *column) {
	for (unsigned i = 0; i < table->n_columns; i++)
		if (strcmp(table->names[i], column) == 0)
			return table->values[i];
	fail_msg("no column %s", column);
	return "";
}

static uint64_t number_of(const struct table *table, const char *column) {
	return strtoull(text_of(table, column), NULL, 10);
}

static struct flow *flow_of(const struct flow_key *key) {
	uint64_t i = flow_key_hash(key, &flow_secret_fixed) >> (64 - LOG2_FLOWS);

	while (flows[i].packets > 0 && !flow_key_equal(&flows[i].key, key))
		i = (i + 1) & ((1 << LOG2_FLOWS) - 1);
	flows[i].key = *key;
	return &flows[i];
}

static void add(const struct packet *packet, int64_t ms) {
	struct flow_key key = packet->key;
	struct flow *flow;

	key.vlan_id = 0;
	flow = flow_of(&key);
	if (flow->packets++ == 0) {
		flow->first_ms = flow->last_ms = ms;
		flow->tos = packet->tos;
	}
	flow->octets += packet->octets;
	flow->tcp_flags |= packet->tcp_flags;
	if (ms < flow->first_ms)
		flow->first_ms = ms;
	if (ms > flow->last_ms)
		flow->last_ms = ms;
}

static void line_of(char *line, size_t size, const struct flow *flow) {
	const struct flow_key *key = &flow->key;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	bool v4 = key->family == FLOW_IPV4;

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? key->src4 : key->src6, src, sizeof(src));
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? key->dst4 : key->dst6, dst, sizeof(dst));
	snprintf(
		line,
		size,
		"%s,%s,%u,%u,%u,%lu,%lu,%ld,%ld,%u,%u",
		src,
		dst,
		key->proto,
		ntohs(key->src_port),
		ntohs(key->dst_port),
		flow->packets,
		flow->octets,
		flow->first_ms,
		flow->last_ms,
		flow->tcp_flags,
		flow->tos
	);
}

static int compare_lines(const void *a, const void *b) {
	return strcmp(a, b);
}

// The flows seen, sorted by octet as the expected ones are. Returns how many.
static unsigned sorted_lines(void) {
	unsigned n = 0;

	for (unsigned i = 0; i < 1 << LOG2_FLOWS; i++)
		if (flows[i].packets > 0)
			line_of(lines[n++], sizeof(lines[0]), &flows[i]);
	qsort(lines, n, sizeof(lines[0]), compare_lines);
	return n;
}

// Where a meter counts length 0 as the rest of the frame, the captures come out differently;
// expected/tso/ has those.
static FILE *open_expected(const char *name) {
	char header[LINE_BYTES];
	FILE *file = open_in_folder("expected/tso/%s.csv", name);

	if (file == NULL)
		file = open_in_folder("expected/%s.csv", name);
	assert_non_null(file);
	assert_non_null(fgets(header, sizeof(header), file));
	return file;
}

static void assert_expected_flows(const struct capture *capture) {
	FILE *file = open_expected(capture->name);
	unsigned n = sorted_lines(), i = 0;
	char line[LINE_BYTES];

	for (; fgets(line, sizeof(line), file) != NULL; i++) {
		line[strcspn(line, "\r\n")] = '\0';
		assert_true(i < n);
		assert_string_equal(lines[i], line);
	}
	assert_int_equal(i, n);
	fclose(file);
}

// Where libpcap stops early: each flow seen is an expected one, and no more of it than there is.
static void assert_part_of_expected_flows(const struct capture *capture) {
	unsigned n = sorted_lines();

	for (unsigned i = 0; i < n; i++) {
		FILE *file = open_expected(capture->name);
		char line[LINE_BYTES];
		size_t key_bytes = 0;
		bool found = false;

		for (unsigned commas = 0; commas < 5; key_bytes++)
			commas += lines[i][key_bytes] == ',';
		while (!found && fgets(line, sizeof(line), file) != NULL)
			found = strncmp(lines[i], line, key_bytes) == 0;
		fclose(file);
		assert_true(found);

		uint64_t seen[4], all[4];
		const char *format = "%lu,%lu,%lu,%lu";
		assert_int_equal(
			sscanf(lines[i] + key_bytes, format, &seen[0], &seen[1], &seen[2], &seen[3]
			),
			4
		);
		assert_int_equal(
			sscanf(line + key_bytes, format, &all[0], &all[1], &all[2], &all[3]), 4
		);
		assert_true(seen[0] <= all[0] && seen[1] <= all[1]);
		assert_true(seen[2] >= all[2] && seen[3] <= all[3]);
	}
}

// Parses every record of the file, counting verdicts and metered families.
static uint64_t
meter(const struct capture *capture, uint64_t *verdicts, uint64_t *ip4, uint64_t *ip6) {
	char error[CAPTURE_ERROR_BYTES], *path;
	uint64_t n = 0;
	int rc;

	assert_true(asprintf(&path, "%s/%s", folder, capture->name) > 0);
	struct capture_file *file = capture_file_open(path, &(struct capture_file_config){}, error);
	free(path);
	if (file == NULL) {
		// libpcap wants to know the interface before the first packet.
		if (capture->libpcap_records != 0)
			fail_msg("%s", error);
		return 0;
	}
	memset(flows, 0, sizeof(flows));
	for (struct frame frame; (rc = capture_file_read(file, &frame, 1)) == 1; n++) {
		struct packet packet;
		enum packet_verdict verdict = packet_parse(
			&packet,
			capture_file_link(file),
			frame.data,
			frame.captured_bytes,
			frame.wire_bytes
		);

		verdicts[verdict]++;
		if (verdict != PACKET_METERED)
			continue;
		*(packet.key.family == FLOW_IPV4 ? ip4 : ip6) += 1;
		add(&packet, frame.time_ns / NS_PER_MS);
	}
	// A file that libpcap reads to its end says so, unless it is known to be broken.
	if (capture->libpcap_records == capture->packets)
		assert_int_equal(rc == 0, strcmp(capture->status, "ok") == 0);
	else
		assert_true(rc < 0);
	capture_file_close(file);
	return n;
}

static void capture_gives_its_expected_flows(void **state) {
	const struct capture *capture = *state;
	uint64_t verdicts[PACKET_VERDICT_COUNT] = {}, ip4 = 0, ip6 = 0, n;

	n = meter(capture, verdicts, &ip4, &ip6);
	assert_int_equal(n, capture->libpcap_records);
	if (n < capture->packets) {
		print_message(
			"# %s: libpcap delivers %lu of %lu packets (its interfaces differ in link "
			"type or snaplen), so only these are compared\n",
			capture->name,
			n,
			capture->packets
		);
		assert_part_of_expected_flows(capture);
		return;
	}
	assert_int_equal(verdicts[PACKET_NOT_IP] + verdicts[PACKET_LINK_TRUNCATED], capture->nonip);
	assert_int_equal(verdicts[PACKET_IP_TRUNCATED], capture->mal_t);
	assert_int_equal(verdicts[PACKET_IP_VERSION], capture->mal_v);
	assert_int_equal(verdicts[PACKET_IP_HEADER_LEN], capture->mal_h);
	assert_int_equal(verdicts[PACKET_IP_TOTAL_LEN], capture->mal_l);
	assert_int_equal(ip4, capture->ip4);
	assert_int_equal(ip6, capture->ip6);
	assert_expected_flows(capture);
}

static struct capture captures[N_FILES_MAX];

// The captures whose link type is decoded. Returns how many, 0 where there is no folder.
static unsigned load_captures(void) {
	struct table table;
	unsigned n = 0;

	if (folder == NULL || !table_open(&table, "expected/totals.tsv"))
		return 0;
	while (table_next(&table)) {
		struct capture *capture = &captures[n];
		const char *scope = text_of(&table, "scope");

		if (strcmp(scope, "core") != 0 && strcmp(scope, "ext") != 0)
			continue;
		assert_true(n + 1 < N_FILES_MAX);
		snprintf(capture->name, sizeof(capture->name), "%s", text_of(&table, "file"));
		snprintf(capture->status, sizeof(capture->status), "%s", text_of(&table, "status"));
		capture->packets = number_of(&table, "packets");
		// mal_Z, IPv4 total length 0, is metered here.
		capture->ip4 = number_of(&table, "ip4") + number_of(&table, "mal_Z");
		capture->ip6 = number_of(&table, "ip6");
		capture->nonip = number_of(&table, "nonip");
		capture->mal_t = number_of(&table, "mal_T");
		capture->mal_v = number_of(&table, "mal_V");
		capture->mal_h = number_of(&table, "mal_H");
		capture->mal_l = number_of(&table, "mal_L");
		if (asprintf(&capture->test_name, "%s_gives_its_expected_flows", capture->name) < 0)
			abort();
		n++;
	}
	if (!table_open(&table, "MANIFEST.tsv"))
		return 0;
	while (table_next(&table))
		for (unsigned i = 0; i < n; i++)
			if (strcmp(captures[i].name, text_of(&table, "file")) == 0)
				captures[i].libpcap_records = number_of(&table, "libpcap_records");
	return n;
}

int main(void) {
	static struct CMUnitTest tests[N_FILES_MAX];
	unsigned n;
	int rc;

	folder = getenv("WEIR_CAPTURES");
	n = load_captures();
	for (unsigned i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){
			.name = captures[i].test_name,
			.test_func = capture_gives_its_expected_flows,
			.initial_state = &captures[i],
		};
	if (n == 0) {
		// By hand: cmocka's own way to skip is read as a failure.
		printf("1..0 # SKIP no captures in %s\n",
		       folder != NULL ? folder : "WEIR_CAPTURES");
		return 0;
	}
	rc = _cmocka_run_group_tests("packet_corpus", tests, n, NULL, NULL);
	for (unsigned i = 0; i < N_FILES_MAX; i++)
		free(captures[i].test_name);
	return rc;
}
