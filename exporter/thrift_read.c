#include "thrift_read.h"

struct thrift_reader thrift_read_of(const uint8_t *bytes, size_t n) {
	return (struct thrift_reader){.at = bytes, .end = bytes + n, .kind = THRIFT_KIND_STRUCT};
}

void thrift_read_fail(struct thrift_reader *in, const char *error) {
	if (in->error == NULL)
		in->error = error;
}

static uint8_t octet(struct thrift_reader *in) {
	if (in->error != NULL)
		return 0;
	if (in->at == in->end) {
		thrift_read_fail(in, "cut short");
		return 0;
	}
	return *in->at++;
}

// Seven bits an octet, the least first.
static uint64_t varint(struct thrift_reader *in) {
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t next = octet(in);
		// The tenth octet has room for one bit.
		if (shift == 63 && next > 1)
			break;
		value |= (uint64_t)(next & 0x7f) << shift;
		if (next < 0x80)
			return in->error == NULL ? value : 0;
	}
	thrift_read_fail(in, "a number of more than 64 bits");
	return 0;
}

static int64_t zigzag(struct thrift_reader *in) {
	uint64_t value = varint(in);
	return (int64_t)(value >> 1 ^ -(value & 1));
}

static bool expect(struct thrift_reader *in, enum thrift_kind kind) {
	if (in->error == NULL && in->kind != kind)
		thrift_read_fail(in, "a value is of another type than the format says");
	return in->error == NULL;
}

void thrift_read_enter(struct thrift_reader *in) {
	if (!expect(in, THRIFT_KIND_STRUCT))
		return;
	if (in->depth == THRIFT_MAX_DEPTH) {
		thrift_read_fail(in, "nested too deep");
		return;
	}
	in->outer[in->depth++] = in->field;
	in->field = 0;
}

bool thrift_read_next(struct thrift_reader *in) {
	uint8_t head = octet(in);
	int64_t field;

	if (in->error != NULL)
		return false;
	in->kind = head & 0x0f;
	if (in->kind == THRIFT_KIND_STOP) {
		in->kind = THRIFT_KIND_STRUCT; // what may come next in a list of them
		in->field = in->outer[--in->depth];
		return false;
	}
	field = head >> 4 != 0 ? in->field + (head >> 4) : zigzag(in);
	if (field < INT16_MIN || field > INT16_MAX)
		thrift_read_fail(in, "a field id of more than 16 bits");
	if (in->kind > THRIFT_KIND_UUID)
		thrift_read_fail(in, "a value of no known type");
	in->field = (int16_t)field;
	return in->error == NULL;
}

int64_t thrift_read_int(struct thrift_reader *in) {
	if (in->error == NULL && in->kind == THRIFT_KIND_I8)
		return (int8_t)octet(in);
	if (in->kind != THRIFT_KIND_I16 && in->kind != THRIFT_KIND_I32)
		(void)expect(in, THRIFT_KIND_I64);
	return zigzag(in);
}

int32_t thrift_read_int32(struct thrift_reader *in) {
	int64_t value = thrift_read_int(in);

	if (value < INT32_MIN || value > INT32_MAX) {
		thrift_read_fail(in, "a number of more than 32 bits");
		return 0;
	}
	return (int32_t)value;
}

bool thrift_read_bool(struct thrift_reader *in) {
	if (in->kind != THRIFT_KIND_FALSE)
		(void)expect(in, THRIFT_KIND_TRUE);
	return in->error == NULL && in->kind == THRIFT_KIND_TRUE;
}

static const uint8_t *octets(struct thrift_reader *in, uint64_t n) {
	const uint8_t *bytes = in->at;

	if (in->error == NULL && n > (uint64_t)(in->end - in->at))
		thrift_read_fail(in, "cut short");
	if (in->error == NULL)
		in->at += n;
	return bytes;
}

const uint8_t *thrift_read_binary(struct thrift_reader *in, uint32_t *n) {
	uint64_t length = expect(in, THRIFT_KIND_BINARY) ? varint(in) : 0;
	const uint8_t *bytes = octets(in, length);

	if (length > UINT32_MAX)
		thrift_read_fail(in, "a text of more than 4 GiB");
	*n = in->error == NULL ? (uint32_t)length : 0;
	return bytes;
}

// The head of a list. The kind of its elements is then the kind that comes next.
static uint32_t list_head(struct thrift_reader *in) {
	uint8_t head = octet(in);
	uint64_t n = head >> 4;

	if (n == 15)
		n = varint(in);
	in->kind = head & 0x0f;
	if (in->kind == THRIFT_KIND_STOP || in->kind > THRIFT_KIND_UUID)
		thrift_read_fail(in, "a list of no known type");
	// Every element has an octet at least.
	if (n > (uint64_t)(in->end - in->at))
		thrift_read_fail(in, "a list of more elements than octets");
	return in->error == NULL ? (uint32_t)n : 0;
}

uint32_t thrift_read_list(struct thrift_reader *in, enum thrift_kind kind) {
	uint32_t n = 0;

	if (in->kind == THRIFT_KIND_SET)
		in->kind = THRIFT_KIND_LIST;
	if (expect(in, THRIFT_KIND_LIST))
		n = list_head(in);
	// Of an empty list some writers do not say the kind.
	if (n > 0 && !expect(in, kind))
		n = 0;
	return n;
}

static void skip(struct thrift_reader *in, enum thrift_kind kind, bool in_list, unsigned depth);

static void skip_map(struct thrift_reader *in, unsigned depth) {
	uint64_t n = varint(in);
	uint8_t kinds = n > 0 ? octet(in) : 0;

	for (; n > 0 && in->error == NULL; n--) {
		skip(in, kinds >> 4, true, depth);
		skip(in, kinds & 0x0f, true, depth);
	}
}

// Each turn takes an octet at least, or fails; so there is no end to a skip only where there is
// none to the bytes.
static void skip(struct thrift_reader *in, enum thrift_kind kind, bool in_list, unsigned depth) {
	if (depth == THRIFT_MAX_DEPTH)
		thrift_read_fail(in, "nested too deep");
	if (in->error != NULL)
		return;
	switch (kind) {
	case THRIFT_KIND_TRUE:
	case THRIFT_KIND_FALSE:
		if (in_list) // a field has its value in its head
			octet(in);
		return;
	case THRIFT_KIND_I8:
		octet(in);
		return;
	case THRIFT_KIND_I16:
	case THRIFT_KIND_I32:
	case THRIFT_KIND_I64:
		varint(in);
		return;
	case THRIFT_KIND_DOUBLE:
		octets(in, 8);
		return;
	case THRIFT_KIND_BINARY:
		octets(in, varint(in));
		return;
	case THRIFT_KIND_LIST:
	case THRIFT_KIND_SET:
		for (uint32_t n = list_head(in), of = in->kind; n > 0 && in->error == NULL; n--)
			skip(in, of, true, depth + 1);
		return;
	case THRIFT_KIND_MAP:
		skip_map(in, depth + 1);
		return;
	case THRIFT_KIND_STRUCT:
		for (uint8_t head; (head = octet(in)) != THRIFT_KIND_STOP && in->error == NULL;) {
			if (head >> 4 == 0)
				varint(in);
			skip(in, head & 0x0f, false, depth + 1);
		}
		return;
	case THRIFT_KIND_UUID:
		octets(in, 16);
		return;
	default:
		thrift_read_fail(in, "a value of no known type");
	}
}

void thrift_read_skip(struct thrift_reader *in) {
	enum thrift_kind kind = in->kind;

	skip(in, kind, false, in->depth);
	in->kind = kind; // that of the next element, in a list
}
