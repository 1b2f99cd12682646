// Thrift, compact protocol: reads the structs of a Parquet file, which may be damaged or made by
// an enemy. A struct is walked field by field; what is not known is skipped.
//
//   struct thrift_reader in = thrift_read_of(bytes, n);
//   for (thrift_read_enter(&in); thrift_read_next(&in);)
//           if (in.field == 1)
//                   value = thrift_read_int(&in);
//           else
//                   thrift_read_skip(&in);
//
// Errors are kept: after the first, every call returns 0 at once, thrift_read_next() ends its loop,
// and `error` says what was wrong, where `at` stands. Check it when done. No call reads beyond
// `end`, takes more time than the octets it passes, or goes deeper than THRIFT_MAX_DEPTH.
//
// Pure.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	THRIFT_MAX_DEPTH = 16, // Parquet itself needs 6
};

// Of a field, and of the elements of a list.
enum thrift_kind {
	THRIFT_KIND_STOP = 0,
	THRIFT_KIND_TRUE = 1, // in a list: any bool
	THRIFT_KIND_FALSE = 2,
	THRIFT_KIND_I8 = 3,
	THRIFT_KIND_I16 = 4,
	THRIFT_KIND_I32 = 5,
	THRIFT_KIND_I64 = 6,
	THRIFT_KIND_DOUBLE = 7,
	THRIFT_KIND_BINARY = 8,
	THRIFT_KIND_LIST = 9,
	THRIFT_KIND_SET = 10,
	THRIFT_KIND_MAP = 11,
	THRIFT_KIND_STRUCT = 12,
	THRIFT_KIND_UUID = 13,
};

struct thrift_reader {
	const uint8_t *at, *end;
	const char *error;     // NULL = none
	enum thrift_kind kind; // of the value that comes next
	int16_t field;         // its id
	unsigned depth;        // of structs entered
	int16_t outer[THRIFT_MAX_DEPTH];
};

// A reader whose next value is a struct.
struct thrift_reader thrift_read_of(const uint8_t *bytes, size_t n);

// Goes into the struct that comes next; thrift_read_next() then moves to each of its fields, and
// leaves it where it returns false. Every value must be read or skipped before the next move.
void thrift_read_enter(struct thrift_reader *in);
bool thrift_read_next(struct thrift_reader *in);

// The value that comes next, which must be of that kind.
int64_t thrift_read_int(struct thrift_reader *in); // I8 to I64
int32_t thrift_read_int32(struct thrift_reader *in);
bool thrift_read_bool(struct thrift_reader *in);
const uint8_t *
thrift_read_binary(struct thrift_reader *in, uint32_t *n); // not NULL, also where empty

// The elements of the list that comes next, each of which is then the value that comes next. No
// more than there are octets left; still, do not allocate that many of something large.
uint32_t thrift_read_list(struct thrift_reader *in, enum thrift_kind kind);

void thrift_read_skip(struct thrift_reader *in);

// Keeps `error` (of static storage) unless there was one before.
void thrift_read_fail(struct thrift_reader *in, const char *error);
