// Thrift, compact protocol, writing: the structs of Parquet's metadata into a byte buffer
// (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md). Fields are written in
// ascending order of their ids, each by one call; a value of a list has no id.
//
// Pure: no clock, no file. Errors: those of the buffer, remembered there.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "byte_buffer.h"

enum thrift_type { // of a field or of a list's values
	THRIFT_TRUE = 1,
	THRIFT_FALSE = 2,
	THRIFT_I16 = 4,
	THRIFT_I32 = 5,
	THRIFT_I64 = 6,
	THRIFT_BINARY = 8,
	THRIFT_LIST = 9,
	THRIFT_STRUCT = 12,
};

enum {
	THRIFT_DEPTH = 8, // structs within structs
};

struct thrift_writer {
	struct byte_buffer *out;
	int16_t last[THRIFT_DEPTH]; // the id of the last field, of each open struct
	unsigned depth;
};

// Begins the outermost struct, which thrift_end() ends.
void thrift_begin(struct thrift_writer *thrift, struct byte_buffer *out);
void thrift_end(struct thrift_writer *thrift);

void thrift_bool(struct thrift_writer *thrift, int16_t id, bool value);
void thrift_i16(struct thrift_writer *thrift, int16_t id, int16_t value);
void thrift_i32(struct thrift_writer *thrift, int16_t id, int32_t value);
void thrift_i64(struct thrift_writer *thrift, int16_t id, int64_t value);
void thrift_binary(struct thrift_writer *thrift, int16_t id, const void *bytes, size_t n);
void thrift_text(struct thrift_writer *thrift, int16_t id, const char *text);

// A field that is a struct; thrift_end() ends it.
void thrift_struct(struct thrift_writer *thrift, int16_t id);

// A field that is a struct without fields: a choice in a union.
void thrift_empty(struct thrift_writer *thrift, int16_t id);

// A field that is a list of `n` values, which follow.
void thrift_list(struct thrift_writer *thrift, int16_t id, enum thrift_type type, uint32_t n);

// The values of a list. A struct among them is ended by thrift_end().
void thrift_value_i32(struct thrift_writer *thrift, int32_t value);
void thrift_value_text(struct thrift_writer *thrift, const char *text);
void thrift_value_struct(struct thrift_writer *thrift);
