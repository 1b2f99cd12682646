#include "thrift_write.h"

#include <assert.h>

void thrift_begin(struct thrift_writer *thrift, struct byte_buffer *out) {
	*thrift = (struct thrift_writer){.out = out};
}

void thrift_end(struct thrift_writer *thrift) {
	byte_buffer_put8(thrift->out, 0); // stop field
	if (thrift->depth > 0)
		thrift->depth--;
}

static void begin_field(struct thrift_writer *thrift, int16_t id, enum thrift_type type) {
	int16_t *last = &thrift->last[thrift->depth];

	assert(id > *last);
	if (id - *last <= 15) {
		byte_buffer_put8(thrift->out, (uint8_t)((id - *last) << 4 | (int)type));
	} else {
		byte_buffer_put8(thrift->out, (uint8_t)type);
		byte_buffer_put_zigzag(thrift->out, id);
	}
	*last = id;
}

static void enter(struct thrift_writer *thrift) {
	assert(thrift->depth + 1 < THRIFT_DEPTH);
	thrift->last[++thrift->depth] = 0;
}

void thrift_bool(struct thrift_writer *thrift, int16_t id, bool value) {
	begin_field(thrift, id, value ? THRIFT_TRUE : THRIFT_FALSE); // the type is the value
}

void thrift_i16(struct thrift_writer *thrift, int16_t id, int16_t value) {
	begin_field(thrift, id, THRIFT_I16);
	byte_buffer_put_zigzag(thrift->out, value);
}

void thrift_i32(struct thrift_writer *thrift, int16_t id, int32_t value) {
	begin_field(thrift, id, THRIFT_I32);
	byte_buffer_put_zigzag(thrift->out, value);
}

void thrift_i64(struct thrift_writer *thrift, int16_t id, int64_t value) {
	begin_field(thrift, id, THRIFT_I64);
	byte_buffer_put_zigzag(thrift->out, value);
}

void thrift_binary(struct thrift_writer *thrift, int16_t id, const void *bytes, size_t n) {
	begin_field(thrift, id, THRIFT_BINARY);
	byte_buffer_put_varint(thrift->out, n);
	byte_buffer_put(thrift->out, bytes, n);
}

void thrift_text(struct thrift_writer *thrift, int16_t id, const char *text) {
	thrift_binary(thrift, id, text, strlen(text));
}

void thrift_struct(struct thrift_writer *thrift, int16_t id) {
	begin_field(thrift, id, THRIFT_STRUCT);
	enter(thrift);
}

void thrift_empty(struct thrift_writer *thrift, int16_t id) {
	thrift_struct(thrift, id);
	thrift_end(thrift);
}

void thrift_list(struct thrift_writer *thrift, int16_t id, enum thrift_type type, uint32_t n) {
	begin_field(thrift, id, THRIFT_LIST);
	if (n < 15) {
		byte_buffer_put8(thrift->out, (uint8_t)(n << 4 | type));
	} else {
		byte_buffer_put8(thrift->out, (uint8_t)(0xf0 | type));
		byte_buffer_put_varint(thrift->out, n);
	}
}

void thrift_value_i32(struct thrift_writer *thrift, int32_t value) {
	byte_buffer_put_zigzag(thrift->out, value);
}

void thrift_value_text(struct thrift_writer *thrift, const char *text) {
	byte_buffer_put_varint(thrift->out, strlen(text));
	byte_buffer_put(thrift->out, text, strlen(text));
}

void thrift_value_struct(struct thrift_writer *thrift) {
	enter(thrift);
}
