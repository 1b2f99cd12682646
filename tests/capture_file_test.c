// The capture reader: both byte orders, both resolutions, pcapng, compression; and what is
// said of files that are broken, each written here octet by octet.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_byteorder.h>
#include <zlib.h>
#include <zstd.h>

#include "capture_file.h"

#define SECOND INT64_C(1795000000)

enum {
	MAX_BYTES = 1 << 20,
	GLOBAL_BYTES = 24,
	RECORD_BYTES = 16,
};

struct image {
	uint8_t octets[MAX_BYTES];
	size_t bytes;
	bool big_endian;
};

static char folder[] = "/tmp/weir-capture-XXXXXX";
static char path[64];

static void put16(struct image *image, uint16_t v) {
	v = image->big_endian ? rte_cpu_to_be_16(v) : v;
	memcpy(image->octets + image->bytes, &v, 2);
	image->bytes += 2;
}

static void put32(struct image *image, uint32_t v) {
	v = image->big_endian ? rte_cpu_to_be_32(v) : v;
	memcpy(image->octets + image->bytes, &v, 4);
	image->bytes += 4;
}

static void
begin(struct image *image, uint32_t magic, bool big_endian, uint32_t snaplen, uint32_t link) {
	image->bytes = 0;
	image->big_endian = big_endian;
	put32(image, magic);
	put16(image, 2);
	put16(image, 4);
	put32(image, 0);
	put32(image, 0);
	put32(image, snaplen);
	put32(image, link);
}

static void
put_record(struct image *image, uint32_t s, uint32_t fraction, uint32_t captured, uint32_t wire) {
	put32(image, s);
	put32(image, fraction);
	put32(image, captured);
	put32(image, wire);
	for (uint32_t i = 0; i < captured && image->bytes < MAX_BYTES; i++)
		image->octets[image->bytes++] = (uint8_t)i;
}

static void save(const void *octets, size_t bytes) {
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(octets, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

static struct capture_file *open_saved(const struct image *image, bool no_walker) {
	char error[CAPTURE_ERROR_BYTES];
	save(image->octets, image->bytes);
	struct capture_file *file = capture_file_open(
		path, &(struct capture_file_config){.no_walker = no_walker}, error
	);
	if (file == NULL)
		fail_msg("%s", error);
	return file;
}

static int set_up(void **state) {
	*state = malloc(sizeof(struct image));
	return *state == NULL;
}

static int tear_down(void **state) {
	free(*state);
	return 0;
}

static void both_orders_and_resolutions_are_read(void **state) {
	struct image *image = *state;
	struct frame frames[8];
	const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d};

	for (unsigned i = 0; i < 8; i++) {
		bool nano = i & 1, big = i & 2, no_walker = i & 4;
		begin(image, magics[nano], big, 65535, 1);
		put_record(image, SECOND, 999999, 60, 60);
		put_record(image, SECOND + 1, 1, 100, 1500);
		struct capture_file *file = open_saved(image, no_walker);
		assert_int_equal(capture_file_link(file), LINK_ETHERNET);
		assert_int_equal(capture_file_size(file), image->bytes);
		assert_int_equal(capture_file_read(file, frames, 8), 2);
		int64_t unit = nano ? 1 : 1000;
		assert_true(frames[0].time_ns == SECOND * NS_PER_S + 999999 * unit);
		assert_true(frames[1].time_ns == (SECOND + 1) * NS_PER_S + unit);
		assert_int_equal(frames[0].captured_bytes, 60);
		assert_int_equal(frames[1].captured_bytes, 100);
		assert_int_equal(frames[1].wire_bytes, 1500);
		assert_int_equal(frames[1].data[99], 99);
		assert_int_equal(capture_file_read(file, frames, 8), 0);
		assert_int_equal(capture_file_read(file, frames, 8), 0);
		assert_string_equal(capture_file_error(file), "");
		assert_int_equal(capture_file_position(file), image->bytes);
		capture_file_close(file);
	}
}

static void a_fraction_beyond_a_second_is_added_as_it_stands(void **state) {
	struct image *image = *state;
	struct frame frame;

	begin(image, 0xa1b2c3d4, false, 65535, 1);
	put_record(image, UINT32_MAX, UINT32_MAX, 20, 20);
	struct capture_file *file = open_saved(image, false);
	assert_int_equal(capture_file_read(file, &frame, 1), 1);
	assert_true(frame.time_ns == UINT32_MAX * NS_PER_S + UINT32_MAX * NS_PER_US);
	capture_file_close(file);
}

static void records_are_cut_to_the_snaplen(void **state) {
	struct image *image = *state;
	struct frame frames[4];

	begin(image, 0xa1b2c3d4, false, 64, 1);
	put_record(image, SECOND, 0, 200, 300);
	put_record(image, SECOND, 0, 64, 64);
	for (unsigned no_walker = 0; no_walker < 2; no_walker++) {
		struct capture_file *file = open_saved(image, no_walker);
		assert_int_equal(capture_file_read(file, frames, 4), 2);
		assert_int_equal(frames[0].captured_bytes, 64);
		assert_int_equal(frames[0].wire_bytes, 300);
		assert_int_equal(frames[1].captured_bytes, 64);
		capture_file_close(file);
	}
}

// Reads all; returns how many frames and the final result.
static unsigned read_all(struct capture_file *file, int *rc) {
	struct frame frames[7];
	unsigned n = 0;
	while ((*rc = capture_file_read(file, frames, 7)) > 0)
		n += (unsigned)*rc;
	return n;
}

static void a_file_cut_anywhere_gives_what_is_whole_and_says_where(void **state) {
	struct image *image = *state;
	char wanted[64];

	begin(image, 0xa1b2c3d4, false, 65535, 1);
	for (unsigned i = 0; i < 5; i++)
		put_record(image, SECOND, i, 50, 50);
	size_t whole = image->bytes;
	for (size_t bytes = GLOBAL_BYTES; bytes <= whole; bytes++) {
		int rc;
		image->bytes = bytes;
		size_t n = (bytes - GLOBAL_BYTES) / (RECORD_BYTES + 50);
		struct capture_file *file = open_saved(image, false);
		assert_int_equal(read_all(file, &rc), n);
		size_t offset = GLOBAL_BYTES + n * (RECORD_BYTES + 50);
		if (offset == bytes) {
			assert_int_equal(rc, 0);
		} else {
			assert_int_equal(rc, -EBADMSG);
			snprintf(wanted, sizeof(wanted), "cut short at offset %zu", offset);
			assert_non_null(strstr(capture_file_error(file), wanted));
			assert_non_null(strstr(capture_file_error(file), path));
			assert_int_equal(read_all(file, &rc), 0);
			assert_int_equal(rc, -EBADMSG);
		}
		capture_file_close(file);
	}
}

static void an_impossible_record_ends_the_file_with_its_offset(void **state) {
	struct image *image = *state;
	const uint32_t lengths[] = {262145, INT32_MAX, 0x80000000, UINT32_MAX};

	for (unsigned i = 0; i < 4; i++) {
		int rc;
		begin(image, 0xa1b2c3d4, false, 65535, 1);
		put_record(image, SECOND, 0, 50, 50);
		put_record(image, SECOND, 0, lengths[i], 50);
		struct capture_file *file = open_saved(image, false);
		assert_int_equal(read_all(file, &rc), 1);
		assert_int_equal(rc, -EBADMSG);
		assert_non_null(
			strstr(capture_file_error(file), "damaged at offset 90: a record of")
		);
		capture_file_close(file);
	}
}

static void a_record_of_the_largest_size_is_read(void **state) {
	struct image *image = *state;
	int rc;

	begin(image, 0xa1b2c3d4, false, 262144, 1);
	put_record(image, SECOND, 0, 262144, 262144);
	put_record(image, SECOND, 0, 262144, 262144);
	put_record(image, SECOND, 0, 0, 0);
	for (unsigned no_walker = 0; no_walker < 2; no_walker++) {
		struct capture_file *file = open_saved(image, no_walker);
		assert_int_equal(read_all(file, &rc), 3);
		assert_int_equal(rc, 0);
		capture_file_close(file);
	}
}

static void expect_error(const char *named, const char *said) {
	char error[CAPTURE_ERROR_BYTES] = "";
	assert_null(capture_file_open(named, &(struct capture_file_config){}, error));
	if (strstr(error, named) == NULL || strstr(error, said) == NULL
	    || strchr(error, '\n') != NULL)
		fail_msg("wanted %s: %s; got %s", named, said, error);
}

static void what_is_no_capture_is_told_with_its_remedy(void **state) {
	struct image *image = *state;
	expect_error("/no/such/file.pcap", "No such file");
	expect_error("/tmp", "is a directory; name the captures in it");
	save("", 0);
	expect_error(path, "empty; weir reads pcap and pcapng, plain or .gz or .zst");
	save("hello, this is a text file, not a capture at all\n", 49);
	expect_error(path, "not a capture file: unknown file format; weir reads pcap and pcapng");
	save("\xd4\xc3\xb2\xa1\2", 5);
	expect_error(path, "not a capture file: truncated dump file");
	save("\x1f\x8bzzzzzzzzzzzzzzzzzzz", 21);
	expect_error(path, "gzip data is damaged");
	save("\x28\xb5\x2f\xfdzzzzzzzzzzzzzzzzz", 21);
	expect_error(path, "zstd data is damaged");
	begin(image, 0xa1b2c3d4, false, 65535, 127);
	save(image->octets, image->bytes);
	expect_error(path, "link type 127 (IEEE802_11_RADIO) is not one that weir reads");
}

static void compressed_files_are_read(void **state) {
	struct image *image = *state;
	static uint8_t packed[MAX_BYTES];
	char error[CAPTURE_ERROR_BYTES];
	int rc;

	begin(image, 0xa1b2c3d4, false, 65535, 1);
	for (unsigned i = 0; i < 5000; i++)
		put_record(image, SECOND, i, 50, 50);

	for (unsigned zstd = 0; zstd < 2; zstd++) {
		// Two members in one file, as `cat a.gz b.gz` makes them; cut within a record.
		size_t half = image->bytes / 2, bytes = 0;
		for (unsigned part = 0; part < 2; part++) {
			const uint8_t *from = image->octets + (part ? half : 0);
			size_t n = part ? image->bytes - half : half;
			if (zstd) {
				bytes += ZSTD_compress(
					packed + bytes, sizeof(packed) - bytes, from, n, 3
				);
				continue;
			}
			z_stream deflater = {
				.next_in = (uint8_t *)from,
				.avail_in = (unsigned)n,
				.next_out = packed + bytes,
				.avail_out = (unsigned)(sizeof(packed) - bytes)};
			assert_int_equal(
				deflateInit2(&deflater, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK
			);
			assert_int_equal(deflate(&deflater, Z_FINISH), Z_STREAM_END);
			bytes += deflater.total_out;
			deflateEnd(&deflater);
		}
		for (unsigned no_walker = 0; no_walker < 2; no_walker++) {
			save(packed, bytes);
			struct capture_file *file = capture_file_open(
				path, &(struct capture_file_config){.no_walker = no_walker}, error
			);
			assert_non_null(file);
			assert_int_equal(read_all(file, &rc), 5000);
			assert_int_equal(rc, 0);
			assert_int_equal(capture_file_position(file), bytes);
			capture_file_close(file);

			save(packed, bytes - 3);
			file = capture_file_open(
				path, &(struct capture_file_config){.no_walker = no_walker}, error
			);
			assert_non_null(file);
			assert_true(read_all(file, &rc) >= 2499);
			assert_int_equal(rc, -EBADMSG);
			assert_non_null(
				strstr(capture_file_error(file), "data is cut short at offset")
			);
			capture_file_close(file);
		}
	}
}

static void put_block(struct image *image, uint32_t type, const void *body, uint32_t bytes) {
	put32(image, type);
	put32(image, 12 + bytes);
	memcpy(image->octets + image->bytes, body, bytes);
	image->bytes += bytes;
	put32(image, 12 + bytes);
}

// A pcapng file with one Ethernet interface and one packet at `time_us`.
static void make_pcapng(struct image *image, uint64_t time_us) {
	const uint32_t section[] = {0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX};
	const uint32_t interface[] = {1, 65535};
	uint32_t packet[5 + 5] = {0, (uint32_t)(time_us >> 32), (uint32_t)time_us, 20, 60};

	image->bytes = 0;
	image->big_endian = false;
	put_block(image, 0x0a0d0d0a, section, sizeof(section));
	put_block(image, 1, interface, sizeof(interface));
	put_block(image, 6, packet, sizeof(packet));
}

static void pcapng_is_read_and_its_times_kept_in_range(void **state) {
	struct image *image = *state;
	struct frame frame;
	const struct {
		uint64_t time_us;
		int64_t time_ns;
	} cases[] = {
		{(uint64_t)SECOND * 1000000 + 123456, SECOND * NS_PER_S + 123456000},
		{0, 0},
		{UINT64_MAX, TIME_NS_MAX},
	};

	for (unsigned i = 0; i < 3; i++) {
		make_pcapng(image, cases[i].time_us);
		struct capture_file *file = open_saved(image, false);
		assert_int_equal(capture_file_read(file, &frame, 1), 1);
		assert_true(frame.time_ns == cases[i].time_ns);
		assert_int_equal(frame.captured_bytes, 20);
		assert_int_equal(frame.wire_bytes, 60);
		assert_int_equal(capture_file_read(file, &frame, 1), 0);
		capture_file_close(file);
	}
	image->bytes -= 10;
	struct capture_file *file = open_saved(image, false);
	assert_int_equal(capture_file_read(file, &frame, 1), -EBADMSG);
	assert_non_null(strstr(capture_file_error(file), "damaged before offset"));
	capture_file_close(file);
}

static void a_filter_marks_what_does_not_match(void **state) {
	struct image *image = *state;
	struct frame frames[4];
	char error[CAPTURE_ERROR_BYTES];

	begin(image, 0xa1b2c3d4, false, 65535, 1);
	put_record(image, SECOND, 0, 60, 60);
	put_record(image, SECOND, 0, 60, 1200);
	save(image->octets, image->bytes);
	struct capture_file *file = capture_file_open(
		path, &(struct capture_file_config){.filter = "greater 1000"}, error
	);
	assert_non_null(file);
	assert_int_equal(capture_file_read(file, frames, 4), 2);
	assert_int_equal(frames[0].mark, FRAME_FILTERED);
	assert_int_equal(frames[0].captured_bytes, 0);
	assert_int_equal(frames[1].mark, FRAME_PLAIN);
	capture_file_close(file);
	assert_null(capture_file_open(
		path, &(struct capture_file_config){.filter = "tcp prot 80"}, error
	));
	assert_non_null(strstr(error, "filter 'tcp prot 80': "));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_orders_and_resolutions_are_read),
		cmocka_unit_test(a_fraction_beyond_a_second_is_added_as_it_stands),
		cmocka_unit_test(records_are_cut_to_the_snaplen),
		cmocka_unit_test(a_file_cut_anywhere_gives_what_is_whole_and_says_where),
		cmocka_unit_test(an_impossible_record_ends_the_file_with_its_offset),
		cmocka_unit_test(a_record_of_the_largest_size_is_read),
		cmocka_unit_test(what_is_no_capture_is_told_with_its_remedy),
		cmocka_unit_test(compressed_files_are_read),
		cmocka_unit_test(pcapng_is_read_and_its_times_kept_in_range),
		cmocka_unit_test(a_filter_marks_what_does_not_match),
	};
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/capture", folder);
	int rc = cmocka_run_group_tests_name("capture_file", tests, set_up, tear_down);
	unlink(path);
	rmdir(folder);
	return rc;
}
