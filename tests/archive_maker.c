#include "archive_maker.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_files.h"
#include "clock.h"
#include "parquet_writer.h"
#include "wire.h"

static void fail(const char *what) {
	perror(what);
	abort();
}

void made_archive_begin(struct made_archive *archive, uint64_t seed) {
	const char *tmp = getenv("TMPDIR");

	*archive = (struct made_archive){
		.random = {seed},
		.source = {.sampling_rate = 1, .sampler_address = "192.0.2.1"},
	};
	snprintf(
		archive->dir,
		sizeof(archive->dir),
		"%s/weir-archive-XXXXXX",
		tmp != NULL && strlen(tmp) < 64 ? tmp : "/tmp"
	);
	if (mkdtemp(archive->dir) == NULL)
		fail(archive->dir);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

void made_archive_end(struct made_archive *archive) {
	if (nftw(archive->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		fail(archive->dir);
	free(archive->records);
	archive->records = NULL;
}

static void put_address(struct random *random, bool ipv6, uint8_t *octets) {
	uint32_t host = random_below(random, 40);

	if (!ipv6) {
		static const uint32_t networks[] = {
			0x0a000000,
			0x0a010000,
			0xc0a80100,
			0xac100f00,
			0x08080800,
		};
		wire_put32(octets, networks[host % 5] + host);
		return;
	}
	// Some of them within 2001:db8::/32, some link-local, some of the kind that has zeros
	// first.
	wire_put64(
		octets,
		host % 3 == 0   ? UINT64_C(0x20010db800000000)
		: host % 3 == 1 ? UINT64_C(0xfe80000000000000)
				: 0
	);
	wire_put64(octets + 8, host);
}

struct flow_record made_record(struct random *random, int64_t from_ns) {
	static const uint8_t protos[] = {1, 6, 6, 6, 17, 17, 47};
	static const uint16_t ports[] = {22, 53, 80, 443, 443, 8080, 40000, 65535};
	struct flow_record record = {.in_if = 2, .end = FLOW_END_IDLE};
	struct flow_key *key = &record.key;
	bool ipv6 = random_below(random, 4) == 0;

	key->family = ipv6 ? FLOW_IPV6 : FLOW_IPV4;
	key->proto = protos[random_below(random, sizeof(protos))];
	if (ipv6 && key->proto == 1)
		key->proto = 58;
	put_address(random, ipv6, ipv6 ? key->src6 : key->src4);
	put_address(random, ipv6, ipv6 ? key->dst6 : key->dst4);
	key->src_port = rte_cpu_to_be_16(ports[random_below(random, 8)]);
	key->dst_port = rte_cpu_to_be_16(ports[random_below(random, 8)]);
	if (key->proto == 1 || key->proto == 58)
		key->dst_port = rte_cpu_to_be_16((uint16_t)(random_below(random, 3) * 256 + 1));
	key->vlan_id = (uint16_t)random_below(random, 3);
	record.src_mac[5] = (uint8_t)random_below(random, 4);
	record.dst_mac[5] = (uint8_t)random_below(random, 4);
	record.packets = 1 + random_below(random, 20);
	record.octets = record.packets * (40 + random_below(random, 100));
	record.tcp_flags = key->proto == 6 ? 0x1b : 0;
	record.ttl_min = record.ttl_max = (uint8_t)(60 + random_below(random, 5));
	record.first_ticks = ticks_of_ns(from_ns) + random_below(random, 3600 * TICKS_PER_S);
	record.last_ticks = record.first_ticks + random_below(random, 60 * TICKS_PER_S);
	record.end = (uint8_t)(1 + random_below(random, FLOW_END_COUNT - 1));
	return record;
}

static void put(FILE *file, const void *bytes, size_t n) {
	if (fwrite(bytes, 1, n, file) != n)
		fail("fwrite");
}

static void make_folders(const char *path) {
	char folder[MADE_PATH_BYTES];

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *at = folder + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
		*at = '\0';
		mkdir(folder, 0755);
	}
}

void made_file(
	const char *path,
	const struct flow_source *source,
	const struct flow_record *records,
	uint32_t n,
	uint32_t group_rows,
	uint64_t columns
) {
	struct flow_record *scratch = calloc(group_rows, sizeof(*scratch));
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config){
		.level = 1,
		.columns = columns,
		.sort = true,
		.source = *source,
	});
	uint64_t offset = PARQUET_MAGIC_BYTES;
	struct parquet_bytes data, note;

	make_folders(path);
	FILE *file = fopen(path, "w");
	if (file == NULL || writer == NULL || scratch == NULL)
		fail(path);
	put(file, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	for (uint32_t from = 0; from < n; from += group_rows) {
		uint32_t n_rows = n - from < group_rows ? n - from : group_rows;
		memcpy(scratch, records + from, n_rows * sizeof(*scratch));
		if (parquet_writer_row_group(writer, scratch, n_rows, offset, &data, &note) != 0)
			fail("parquet_writer_row_group");
		put(file, data.bytes, data.n);
		offset += data.n;
	}
	if (parquet_writer_footer(writer, NULL, 0, offset, &data) != 0)
		fail("parquet_writer_footer");
	put(file, data.bytes, data.n);
	if (fclose(file) != 0)
		fail(path);
	parquet_writer_free(writer);
	free(scratch);
}

void made_archive_add(
	struct made_archive *archive,
	const char *sensor,
	int64_t begin_ns,
	int64_t from_ns,
	uint32_t n,
	uint32_t group_rows,
	uint64_t columns,
	char *path
) {
	char inner[ARCHIVE_NAME_BYTES], whole[MADE_PATH_BYTES];
	struct flow_record *records =
		realloc(archive->records, (archive->n + n) * sizeof(*records));

	if (records == NULL)
		fail("records");
	archive->records = records;
	for (uint32_t i = 0; i < n; i++)
		records[archive->n + i] = made_record(&archive->random, from_ns);
	archive_path(inner, sensor, begin_ns);
	snprintf(whole, sizeof(whole), "%s/%s", archive->dir, inner);
	made_file(whole, &archive->source, records + archive->n, n, group_rows, columns);
	archive->n += n;
	if (path != NULL)
		snprintf(path, MADE_PATH_BYTES, "%s", whole);
}
