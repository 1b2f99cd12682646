#include "field_profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "elements.h"
#include "fields_table.h"

enum {
	NAME_BYTES = 64,
	NEAR_EDITS = 4, // a name so many letters away is no longer one that was meant
};

struct named {
	const char *name;
	uint64_t rows;
};

// What is chosen, for each protocol: IPFIX's standard is wider.
struct choice {
	uint64_t rows[FIELD_PROTOCOLS];
};

static const struct named profiles[] = {
	{"standard", FIELDS_STANDARD},
	{"minimal", FIELDS_MINIMAL},
};

static const struct named groups[] = {
	{"addresses", FIELD_BIT(8) | FIELD_BIT(12)},
	{"ports", FIELD_BIT(7) | FIELD_BIT(11)},
	{"protocol", FIELD_BIT(4)},
	{"tos", FIELD_BIT(5)},
	{"dscp", FIELD_BIT(195)},
	{"flags", FIELD_BIT(6)},
	{"icmp", FIELD_BIT(32)},
	{"interfaces", FIELD_BIT(10) | FIELD_BIT(14)},
	{"times", FIELD_BIT(22) | FIELD_BIT(21)},
	{"seconds", FIELD_BIT(150) | FIELD_BIT(151)},
	{"milliseconds", FIELD_BIT(152) | FIELD_BIT(153)},
	{"duration", FIELD_BIT(161)},
	{"counters", FIELD_BIT(1) | FIELD_BIT(2)},
	{"direction", FIELD_BIT(61)},
	{"end", FIELD_BIT(136)},
	{"version", FIELD_BIT(60)},
	{"ttl", FIELD_BIT(52) | FIELD_BIT(53)},
	{"vlan", FIELD_BIT(58)},
	{"mac", FIELD_BIT(56) | FIELD_BIT(80)},
	{"flowlabel", FIELD_BIT(31)},
	{"qinq", FIELDS_QINQ},
	{"mpls", FIELDS_MPLS},
};

// The same content in the elements of the other family: chosen together.
static const uint64_t twins[] = {
	FIELD_BIT(8) | FIELD_BIT(27),
	FIELD_BIT(12) | FIELD_BIT(28),
	FIELD_BIT(32) | FIELD_BIT(139),
	FIELD_BIT(176) | FIELD_BIT(178),
	FIELD_BIT(177) | FIELD_BIT(179),
};

// What a record is nothing without; any one of each.
static const struct {
	uint64_t rows;
	const char *what;
} needed[] = {
	{FIELD_BIT(8), "sourceIPv4Address (8), a key of flows"},
	{FIELD_BIT(12), "destinationIPv4Address (12), a key of flows"},
	{FIELD_BIT(7), "sourceTransportPort (7), a key of flows"},
	{FIELD_BIT(11), "destinationTransportPort (11), a key of flows"},
	{FIELD_BIT(4), "protocolIdentifier (4), a key of flows"},
	{FIELD_BIT(1), "octetDeltaCount (1), a counter"},
	{FIELD_BIT(2), "packetDeltaCount (2), a counter"},
	{FIELD_BIT(22) | FIELD_BIT(152) | FIELD_BIT(150), "flowStartSysUpTime (22), a time"},
	{FIELD_BIT(21) | FIELD_BIT(153) | FIELD_BIT(151), "flowEndSysUpTime (21), a time"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_of(unsigned row) {
	const struct element *element = element_find(0, fields_row(row).id);
	return element != NULL ? element->name : "";
}

static uint64_t with_twins(uint64_t rows) {
	for (unsigned i = 0; i < COUNT(twins); i++)
		if (rows & twins[i])
			rows |= twins[i];
	return rows;
}

static uint64_t told_anywhere(enum field_protocol protocol) {
	uint64_t rows = 0;

	for (unsigned row = 0; row < FIELD_ROWS; row++)
		if (fields_told(row, protocol, false) || fields_told(row, protocol, true))
			rows |= UINT64_C(1) << row;
	return rows;
}

// The letters that must change to make one name of the other, at most NAME_BYTES each.
static unsigned edits(const char *a, const char *b) {
	unsigned row[NAME_BYTES + 1];
	size_t n = strlen(b);

	if (n > NAME_BYTES)
		return NAME_BYTES;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != 0; i++) {
		unsigned corner = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned same = corner
					+ (tolower((unsigned char)a[i - 1])
					   != tolower((unsigned char)b[j - 1]));
			corner = row[j];
			unsigned least = row[j] < row[j - 1] ? row[j] : row[j - 1];
			row[j] = same < least + 1 ? same : least + 1;
		}
	}
	return row[n];
}

static void consider(const char *name, const char *known, unsigned *least, const char **nearest) {
	size_t n = strlen(name);
	// Who wrote the begin of a long name meant it.
	unsigned far = n >= 4 && strncasecmp(name, known, n) == 0 ? 1 : edits(name, known);

	if (far < *least) {
		*least = far;
		*nearest = known;
	}
}

static const char *nearest_name(const char *name) {
	unsigned least = NEAR_EDITS;
	const char *nearest = NULL;

	for (unsigned i = 0; i < COUNT(profiles); i++)
		consider(name, profiles[i].name, &least, &nearest);
	for (unsigned i = 0; i < COUNT(groups); i++)
		consider(name, groups[i].name, &least, &nearest);
	for (unsigned row = 0; row < FIELD_ROWS; row++)
		consider(name, name_of(row), &least, &nearest);
	return nearest;
}

static const struct named *find(const struct named *list, size_t n, const char *name) {
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

// The rows that a name or an id stands for; 0 with `error` filled where it stands for none.
static uint64_t rows_of(const char *name, char *error) {
	const struct named *group = find(groups, COUNT(groups), name);
	char *end;
	unsigned long id = strtoul(name, &end, 10);
	bool is_id = isdigit((unsigned char)name[0]) && *end == 0;

	if (group != NULL)
		return with_twins(group->rows);
	for (unsigned row = 0; row < FIELD_ROWS; row++)
		if (is_id ? fields_row(row).id == id : strcasecmp(name_of(row), name) == 0)
			return with_twins(UINT64_C(1) << row);

	const struct element *element =
		is_id && id <= UINT16_MAX ? element_find(0, (uint16_t)id) : NULL;
	const char *nearest = is_id ? NULL : nearest_name(name);
	if (element != NULL)
		snprintf(
			error,
			FIELD_PROFILE_ERROR_BYTES,
			"field %s: weir does not tell %s",
			name,
			element->name
		);
	else if (is_id)
		snprintf(error, FIELD_PROFILE_ERROR_BYTES, "field %s: no such element", name);
	else
		snprintf(
			error,
			FIELD_PROFILE_ERROR_BYTES,
			"field %s: no such name%s%s%s",
			name,
			nearest != NULL ? "; did you mean "
					: ": a group, an element of IANA or its id",
			nearest != NULL ? nearest : "",
			nearest != NULL ? "?" : ""
		);
	return 0;
}

static void
begin_with(struct choice *choice, const struct named *profile, enum field_timestamps t) {
	uint64_t rows = profile->rows;

	if (t != FIELD_UPTIME)
		rows |= FIELD_BIT(152) | FIELD_BIT(153);
	if (t == FIELD_ABSOLUTE)
		rows &= ~(FIELD_BIT(22) | FIELD_BIT(21));
	choice->rows[FIELDS_NETFLOW9] = rows;
	choice->rows[FIELDS_IPFIX] = rows | FIELD_BIT(152) | FIELD_BIT(153);
	choice->rows[FIELDS_IPFIX] &= ~(FIELD_BIT(22) | FIELD_BIT(21));
	if (strcmp(profile->name, "standard") == 0)
		choice->rows[FIELDS_IPFIX] |= FIELD_BIT(245);
}

// IPFIX's times for those of v9.
static uint64_t in_protocol(uint64_t rows, enum field_protocol protocol) {
	if (protocol == FIELDS_IPFIX) {
		rows |= rows & FIELD_BIT(22) ? FIELD_BIT(152) : 0;
		rows |= rows & FIELD_BIT(21) ? FIELD_BIT(153) : 0;
	}
	return rows & told_anywhere(protocol);
}

static int take(struct choice *choice, const char *name, bool less, char *error) {
	uint64_t rows = rows_of(name, error);
	bool changes = false;

	if (rows == 0)
		return -EINVAL;
	for (unsigned i = 0; i < FIELD_PROTOCOLS; i++) {
		uint64_t before = choice->rows[i];
		uint64_t these = in_protocol(rows, i);
		choice->rows[i] = less ? before & ~these : before | these;
		changes |= choice->rows[i] != before;
	}
	if (changes)
		return 0;
	snprintf(
		error,
		FIELD_PROFILE_ERROR_BYTES,
		less ? "field %s: is not there to be left out" : "field %s: is there already",
		name
	);
	return -EINVAL;
}

static int check(const struct choice *choice, char *error) {
	for (unsigned i = 0; i < COUNT(needed); i++)
		for (unsigned j = 0; j < FIELD_PROTOCOLS; j++)
			if (!(in_protocol(needed[i].rows, j) & choice->rows[j])) {
				snprintf(
					error,
					FIELD_PROFILE_ERROR_BYTES,
					"without %s records cannot be counted",
					needed[i].what
				);
				return -EINVAL;
			}
	return 0;
}

static void make(struct field_profile *profile, const struct choice *choice) {
	for (unsigned i = 0; i < FIELD_PROTOCOLS; i++)
		for (unsigned ipv6 = 0; ipv6 < 2; ipv6++)
			field_layout_init(&profile->layouts[i][ipv6], choice->rows[i], i, ipv6);
}

void field_profile_standard(struct field_profile *profile) {
	struct choice choice;

	begin_with(&choice, &profiles[0], FIELD_UPTIME);
	make(profile, &choice);
}

int field_profile_parse(
	struct field_profile *profile,
	const char *text,
	enum field_timestamps timestamps,
	char *error
) {
	struct choice choice = {0};
	const char *at = text;

	do {
		char name[NAME_BYTES], sign = 0;
		while (*at == ' ' || *at == ',')
			at++;
		if (*at == '+' || *at == '-')
			sign = *at++;
		size_t n = strcspn(at, ",+- ");
		snprintf(name, sizeof(name), "%.*s", n < NAME_BYTES ? (int)n : NAME_BYTES - 1, at);
		bool first = at - (sign != 0) == text + strspn(text, " ");
		at += n + strspn(at + n, " ");

		const struct named *named = find(profiles, COUNT(profiles), name);
		if (n == 0 || (first && sign != 0) || (named != NULL && !first)) {
			snprintf(
				error,
				FIELD_PROFILE_ERROR_BYTES,
				"fields %s: a name or an id for each, or \"standard\" or "
				"\"minimal\" and "
				"then what is +more or -less",
				text
			);
			return -EINVAL;
		}
		if (named != NULL) {
			begin_with(&choice, named, timestamps);
			continue;
		}
		int rc = take(&choice, name, sign == '-', error);
		if (rc < 0)
			return rc;
	} while (*at != 0);

	int rc = check(&choice, error);
	if (rc == 0)
		make(profile, &choice);
	return rc;
}

int field_timestamps_parse(enum field_timestamps *timestamps, const char *text) {
	static const char *const names[] = {"uptime", "absolute", "both"};

	for (unsigned i = 0; i < COUNT(names); i++)
		if (strcmp(names[i], text) == 0) {
			*timestamps = (enum field_timestamps)i;
			return 0;
		}
	return -EINVAL;
}
