#include "fields.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "fields_table.h"
#include "wire.h"

// The putters, one for each kind of content. Inlined with a constant place and length.
static inline void put_number(uint8_t *out, unsigned bytes, uint64_t value) {
	switch (bytes) {
	case 1:
		*out = (uint8_t)value;
		break;
	case 2:
		wire_put16(out, (uint16_t)value);
		break;
	case 4:
		wire_put32(out, (uint32_t)value);
		break;
	case 8:
		wire_put64(out, value);
		break;
	}
}

static inline uint64_t bounded(int64_t value, int64_t least) {
	return (uint64_t)(value < least ? least : value > UINT32_MAX ? UINT32_MAX : value);
}

// Milliseconds of uptime; what lies before the epoch or beyond 32 bits is held at the edge. A
// LAST_SWITCHED of 0 reads as absent.
static inline uint64_t uptime(uint64_t ticks, int64_t boot_ms, int64_t least) {
	return bounded(ms_of_ticks(ticks) - boot_ms, least);
}

static inline uint64_t seconds(uint64_t ticks) {
	return bounded((int64_t)(ticks / TICKS_PER_S), 0);
}

static inline uint64_t duration(const struct flow_record *r) {
	return bounded(ms_of_ticks(r->last_ticks) - ms_of_ticks(r->first_ticks), 0);
}

static inline uint16_t icmp_type(const struct flow_record *r) {
	bool icmp = r->key.proto == (r->key.family == FLOW_IPV6 ? 58 : 1);
	return icmp ? rte_be_to_cpu_16(r->key.dst_port) : 0;
}

#define NUMBER(value) put_number(out, bytes, (value))
#define OCTETS(from) memcpy(out, (from), bytes)

// Encodes `rows`, a constant where this is inlined: what remains is a straight line.
[[gnu::always_inline]] static inline void
put_rows(uint8_t *out, const struct flow_record *r, int64_t boot_ms, uint64_t rows) {
#define AS_CODE(id, length, families9, families10, put)                                            \
	if (rows & FIELD_BIT(id)) {                                                                \
		enum { bytes = length };                                                           \
		put;                                                                               \
		out += bytes;                                                                      \
	}
	FIELD_TABLE(AS_CODE)
#undef AS_CODE
}

// What a protocol tells of a family.
#define TOLD9_IPV4(id, bytes, families9, families10, put)                                          \
	| ((families9)&FIELD_IPV4 ? FIELD_BIT(id) : 0)
#define TOLD9_IPV6(id, bytes, families9, families10, put)                                          \
	| ((families9)&FIELD_IPV6 ? FIELD_BIT(id) : 0)
#define TOLD10_IPV4(id, bytes, families9, families10, put)                                         \
	| ((families10)&FIELD_IPV4 ? FIELD_BIT(id) : 0)
#define TOLD10_IPV6(id, bytes, families9, families10, put)                                         \
	| ((families10)&FIELD_IPV6 ? FIELD_BIT(id) : 0)
static const uint64_t told[FIELD_PROTOCOLS][2] = {
	[FIELDS_NETFLOW9] = {0 FIELD_TABLE(TOLD9_IPV4), 0 FIELD_TABLE(TOLD9_IPV6)},
	[FIELDS_IPFIX] = {0 FIELD_TABLE(TOLD10_IPV4), 0 FIELD_TABLE(TOLD10_IPV6)},
};

#define AS_FIELD(id, bytes, families9, families10, put) {id, bytes},
static const struct field table[] = {FIELD_TABLE(AS_FIELD)};

static_assert((int)FIELD_ROWS <= (int)FIELDS_MOST, "a layout holds them all, a set 64");

// The rows that are told of those chosen. Folded where the arguments are constants.
static inline uint64_t told_of(uint64_t rows, enum field_protocol protocol, bool ipv6) {
	if (protocol == FIELDS_IPFIX && rows & FIELD_BIT(22))
		rows |= FIELD_BIT(152);
	if (protocol == FIELDS_IPFIX && rows & FIELD_BIT(21))
		rows |= FIELD_BIT(153);
	return rows & told[protocol][ipv6];
}

// The layouts with an encoder of their own. IPFIX tells the inner tag always: whoever reads it
// skips by its length an element that is new to him.
#define SPECIAL(ENCODER)                                                                           \
	ENCODER(standard9, FIELDS_STANDARD, FIELDS_NETFLOW9)                                       \
	ENCODER(absolute9, (FIELDS_STANDARD ^ FIELDS_TIMES), FIELDS_NETFLOW9)                      \
	ENCODER(both9, (FIELDS_STANDARD | FIELDS_TIMES), FIELDS_NETFLOW9)                          \
	ENCODER(qinq9, (FIELDS_STANDARD | FIELDS_QINQ), FIELDS_NETFLOW9)                           \
	ENCODER(mpls9, (FIELDS_STANDARD | FIELDS_MPLS), FIELDS_NETFLOW9)                           \
	ENCODER(minimal9, FIELDS_MINIMAL, FIELDS_NETFLOW9)                                         \
	ENCODER(standard10, (FIELDS_STANDARD | FIELD_BIT(245)), FIELDS_IPFIX)                      \
	ENCODER(qinq10, (FIELDS_STANDARD | FIELDS_QINQ), FIELDS_IPFIX)                             \
	ENCODER(mpls10, (FIELDS_STANDARD | FIELD_BIT(245) | FIELDS_MPLS), FIELDS_IPFIX)            \
	ENCODER(minimal10, FIELDS_MINIMAL, FIELDS_IPFIX)

#define AS_FUNCTIONS(name, rows, protocol)                                                         \
	static void name##_ipv4(                                                                   \
		const struct field_layout *layout,                                                 \
		uint8_t *out,                                                                      \
		const struct flow_record *record,                                                  \
		int64_t boot_ms                                                                    \
	) {                                                                                        \
		(void)layout;                                                                      \
		put_rows(out, record, boot_ms, told_of(rows, protocol, false));                    \
	}                                                                                          \
	static void name##_ipv6(                                                                   \
		const struct field_layout *layout,                                                 \
		uint8_t *out,                                                                      \
		const struct flow_record *record,                                                  \
		int64_t boot_ms                                                                    \
	) {                                                                                        \
		(void)layout;                                                                      \
		put_rows(out, record, boot_ms, told_of(rows, protocol, true));                     \
	}
SPECIAL(AS_FUNCTIONS)

#define AS_ENTRY(name, rows, protocol) {rows, protocol, {name##_ipv4, name##_ipv6}},
static const struct {
	uint64_t rows;
	enum field_protocol protocol;
	field_encode_fn encode[2];
} special[] = {SPECIAL(AS_ENTRY)};

// All that any protocol tells of a family, from which the pieces are taken.
#define IMAGE_ROWS(ipv6) (told[FIELDS_NETFLOW9][ipv6] | told[FIELDS_IPFIX][ipv6])

[[gnu::always_inline]] static inline void
put_pieces(const struct field_layout *layout, uint8_t *out, const uint8_t *image) {
	for (unsigned i = 0; i < layout->n_pieces; i++)
		memcpy(out + layout->pieces[i].to, image + layout->pieces[i].from, 16);
}

static void pieces_ipv4(
	const struct field_layout *layout,
	uint8_t *out,
	const struct flow_record *record,
	int64_t boot_ms
) {
	uint8_t image[FIELDS_MOST_BYTES + FIELDS_SLACK_BYTES];
	put_rows(image, record, boot_ms, IMAGE_ROWS(false));
	put_pieces(layout, out, image);
}

static void pieces_ipv6(
	const struct field_layout *layout,
	uint8_t *out,
	const struct flow_record *record,
	int64_t boot_ms
) {
	uint8_t image[FIELDS_MOST_BYTES + FIELDS_SLACK_BYTES];
	put_rows(image, record, boot_ms, IMAGE_ROWS(true));
	put_pieces(layout, out, image);
}

// Neighbours in the image and in the layout are copied together. A piece that is longer than what
// it is to copy is put right by the next, which lies behind it.
static void make_pieces(struct field_layout *layout, uint64_t rows) {
	unsigned from = 0, to = 0, covered = 0; // octets of the layout that pieces bring
	bool together = false;

	for (unsigned row = 0; row < FIELD_ROWS; row++) {
		if (!(IMAGE_ROWS(layout->ipv6) >> row & 1))
			continue;
		unsigned bytes = table[row].bytes;
		if (!(rows >> row & 1)) {
			together = false;
			from += bytes;
			continue;
		}
		if (!together)
			covered = to;
		for (; covered < to + bytes; covered += 16) {
			assert(layout->n_pieces < FIELDS_MOST_PIECES);
			layout->pieces[layout->n_pieces++] = (struct field_piece
			){(uint8_t)(from + covered - to), (uint8_t)covered};
		}
		together = true;
		from += bytes;
		to += bytes;
	}
	assert(from <= FIELDS_MOST_BYTES);
}

void field_layout_init_generic(
	struct field_layout *layout, uint64_t rows, enum field_protocol protocol, bool ipv6
) {
	rows = told_of(rows, protocol, ipv6);
	*layout = (struct field_layout){.ipv6 = ipv6};
	for (unsigned row = 0; row < FIELD_ROWS; row++)
		if (rows >> row & 1) {
			layout->fields[layout->n_fields++] = table[row];
			layout->record_bytes += table[row].bytes;
		}
	layout->id = fields_template_id(layout->fields, layout->n_fields);
	layout->encode = ipv6 ? pieces_ipv6 : pieces_ipv4;
	make_pieces(layout, rows);
}

void field_layout_init(
	struct field_layout *layout, uint64_t rows, enum field_protocol protocol, bool ipv6
) {
	field_layout_init_generic(layout, rows, protocol, ipv6);
	for (unsigned i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (special[i].protocol == protocol
		    && told_of(special[i].rows, protocol, ipv6) == told_of(rows, protocol, ipv6))
			layout->encode = special[i].encode[ipv6];
}

// FNV-1a over ids and lengths, folded to 16 bits.
uint16_t fields_template_id(const struct field *fields, unsigned n_fields) {
	uint32_t hash = UINT32_C(2166136261);

	for (unsigned i = 0; i < n_fields; i++) {
		const uint8_t octets[] = {
			(uint8_t)(fields[i].id >> 8),
			(uint8_t)fields[i].id,
			(uint8_t)(fields[i].bytes >> 8),
			(uint8_t)fields[i].bytes,
		};
		for (unsigned j = 0; j < sizeof(octets); j++)
			hash = (hash ^ octets[j]) * UINT32_C(16777619);
	}
	hash = (hash ^ hash >> 16) & 0xffff;
	return (uint16_t)(hash >= 256 ? hash : hash + 256);
}

struct field fields_row(unsigned row) {
	return table[row];
}

bool fields_told(unsigned row, enum field_protocol protocol, bool ipv6) {
	return told[protocol][ipv6] >> row & 1;
}
