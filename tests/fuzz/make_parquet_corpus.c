// Writes the seed corpora of parquet_reader_fuzz and parquet_decode_fuzz:
//
//   make_parquet_corpus tests/fuzz/corpus
//
// The same files come out of every run.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parquet_encode.h"
#include "parquet_maker.h"
#include "parquet_writer.h"

static const char *folder;

static void put_file(const char *corpus, const char *name, const struct byte_buffer *bytes) {
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%s", folder, corpus, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes->bytes, 1, bytes->n, file) != bytes->n
	    || fclose(file) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static void put_made(const char *name, const struct made_file *made) {
	struct byte_buffer bytes = {0};

	parquet_make(&bytes, made);
	put_file("parquet_reader", name, &bytes);
	byte_buffer_done(&bytes);
}

// By hand: without checksums and compression, so that what a fuzzer changes is met.
static void put_all_made(void) {
	static const int codings[] = {0, 5, 8, 9};
	static const uint8_t none[5];
	char name[32];

	for (unsigned version = 1; version <= 2; version++)
		for (unsigned i = 0; i < 4; i++) {
			struct made_file made = made_example();
			made.version = version;
			made.codec = 0;
			made.crc = false;
			made.n_groups = 1;
			for (unsigned j = 1; j < made.n_columns; j++)
				made.columns[j].coding = codings[(i + j) % 4];
			snprintf(name, sizeof(name), "version_%u_%u", version, i);
			put_made(name, &made);
		}
	struct made_file made = made_example();
	put_made("zstd", &made);
	made.version = 2;
	put_made("zstd_version_2", &made);
	made.columns[4].valid = none;
	made.columns[4].n_null = 5;
	put_made("all_null", &made);
	made = made_example();
	made.codec = 2;
	put_made("gzip", &made);
	made = made_example();
	made.columns[0].twice = true;
	put_made("text_twice", &made);
	made = made_example();
	made.more_rows = 1;
	put_made("rows_do_not_add_up", &made);
}

// weir's own, all columns.
static void put_written(void) {
	struct flow_record records[3] = {
		{.first_ticks = 28720000000000,
		 .last_ticks = 28720000000016,
		 .packets = 1,
		 .octets = 40},
		{.first_ticks = 28720000000001,
		 .last_ticks = 28720000000001,
		 .packets = 9,
		 .octets = 99},
		{.first_ticks = 28720000000002,
		 .last_ticks = 28720000000003,
		 .packets = 2,
		 .octets = 80},
	};
	struct byte_buffer bytes = {0};
	struct parquet_bytes data, note;
	struct parquet_writer *writer = parquet_writer_new(&(struct parquet_writer_config
	){.level = 1, .source = {.sampling_rate = 1, .sampler_address = "192.0.2.9"}});

	for (unsigned i = 0; i < 3; i++) {
		records[i].key.family = i == 1 ? FLOW_IPV6 : FLOW_IPV4;
		records[i].key.proto = i == 1 ? 6 : 1;
		records[i].key.src4[0] = 10;
		records[i].key.dst4[3] = (uint8_t)i;
		records[i].in_if = 7;
	}
	byte_buffer_put(&bytes, PARQUET_MAGIC, PARQUET_MAGIC_BYTES);
	if (writer == NULL
	    || parquet_writer_row_group(writer, records, 3, bytes.n, &data, &note) < 0)
		abort();
	byte_buffer_put(&bytes, data.bytes, data.n);
	if (parquet_writer_footer(writer, NULL, 0, bytes.n, &data) < 0)
		abort();
	byte_buffer_put(&bytes, data.bytes, data.n);
	put_file("parquet_reader", "weir", &bytes);
	bytes.n -= 20;
	put_file("parquet_reader", "cut", &bytes);
	bytes.n = 0;
	put_file("parquet_reader", "empty", &bytes);
	byte_buffer_done(&bytes);
	parquet_writer_free(writer);
}

static void put_values(
	const char *name,
	uint8_t target,
	uint16_t n,
	uint8_t parameter,
	const struct byte_buffer *values
) {
	struct byte_buffer bytes = {0};

	byte_buffer_put8(&bytes, target);
	byte_buffer_put8(&bytes, (uint8_t)(n >> 8));
	byte_buffer_put8(&bytes, (uint8_t)n);
	byte_buffer_put8(&bytes, parameter);
	byte_buffer_put(&bytes, values->bytes, values->n);
	put_file("parquet_decode", name, &bytes);
	byte_buffer_done(&bytes);
}

// The numbers of the targets as in parquet_decode_fuzz.c.
static void put_decode(void) {
	struct byte_buffer bytes = {0};
	uint32_t small[200];
	int64_t wide[200];
	static const uint8_t thrift[] = {
		0x15, 0x05, 0x11, 0x28, 2,    'a',  'b', 0x29, 0x2c, 0x15, 0x02, 0x00, 0x15,
		0x04, 0x00, 0x1b, 1,    0x58, 0x02, 1,   'v',  0x1c, 0x1c, 0x15, 0x02, 0x00,
		0x00, 0x17, 1,    2,    3,    4,    5,   6,    7,    8,    0x00,
	};

	for (unsigned i = 0; i < 200; i++) {
		small[i] = i < 100 ? i * 7 % 8 : 5;
		wide[i] = (int64_t)(i * i * UINT64_C(0x9e3779b97f4a7c15));
	}
	byte_buffer_put(&bytes, thrift, sizeof(thrift));
	put_values("thrift", 0, 0, 0, &bytes);
	byte_buffer_reset(&bytes);
	parquet_encode_hybrid(&bytes, small, 200, 3);
	put_values("hybrid", 1, 200, 3, &bytes);
	for (unsigned i = 0; i < 200; i++)
		small[i] &= 1;
	byte_buffer_reset(&bytes);
	parquet_encode_hybrid(&bytes, small, 200, 1);
	put_values("levels", 2, 200, 0, &bytes);
	byte_buffer_reset(&bytes);
	byte_buffer_put8(&bytes, 1);
	parquet_encode_hybrid(&bytes, small, 200, 1);
	put_values("indexes", 6, 200, 2, &bytes);
	put_values("indexed", 7, 200, 2, &bytes);
	byte_buffer_reset(&bytes);
	parquet_encode_plain(&bytes, wide, 20, 8);
	put_values("plain", 3, 20, 1, &bytes);
	put_values("split", 4, 20, 1, &bytes);
	put_values("split_narrow", 4, 40, 0, &bytes);
	byte_buffer_reset(&bytes);
	parquet_encode_delta(&bytes, wide, 200, 1);
	put_values("delta_wide", 5, 200, 1, &bytes);
	for (unsigned i = 0; i < 200; i++)
		wide[i] = i % 7;
	byte_buffer_reset(&bytes);
	parquet_encode_delta(&bytes, wide, 200, 1);
	put_values("delta", 5, 200, 0, &bytes);
	byte_buffer_reset(&bytes);
	for (unsigned i = 0; i < 3; i++) {
		byte_buffer_put32(&bytes, i);
		byte_buffer_put(&bytes, "abc", i);
	}
	put_values("texts", 8, 3, 0, &bytes);
	byte_buffer_done(&bytes);
}

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: make_parquet_corpus FOLDER\n");
		return 2;
	}
	folder = argv[1];
	put_all_made();
	put_written();
	put_decode();
	return EXIT_SUCCESS;
}
