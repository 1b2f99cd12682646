#include "top_filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint8_t number;
} protos[] = {
	{"tcp", 6},
	{"udp", 17},
	{"icmp", 1},
	{"icmp6", 58},
	{"sctp", 132},
	{"gre", 47},
	{"esp", 50},
	{"igmp", 2},
	{"ospf", 89},
};

const char *top_proto_name(uint8_t proto) {
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (protos[i].number == proto)
			return protos[i].name;
	return NULL;
}

// Digits alone, up to `most`.
static bool parse_number(const char *text, unsigned long most, unsigned *value) {
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	unsigned long number = strtoul(text, &end, 10);
	*value = (unsigned)number;
	return *end == '\0' && number <= most;
}

static bool parse_network(char *text, struct top_term *term) {
	char *slash = strchr(text, '/');
	unsigned most;

	if (slash != NULL)
		*slash = '\0';
	if (inet_pton(AF_INET, text, term->address) == 1) {
		term->family = FLOW_IPV4;
		most = 32;
	} else if (inet_pton(AF_INET6, text, term->address) == 1) {
		term->family = FLOW_IPV6;
		most = 128;
	} else {
		return false;
	}
	term->kind = TOP_TERM_NETWORK;
	term->bits = most;
	return slash == NULL || parse_number(slash + 1, most, &term->bits);
}

static bool parse_word(char *word, struct top_term *term) {
	unsigned number;

	if (parse_number(word, UINT16_MAX, &number)) {
		term->kind = TOP_TERM_PORT;
		term->number = (uint16_t)number;
		return true;
	}
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++) {
		if (strcasecmp(word, protos[i].name) == 0) {
			term->kind = TOP_TERM_PROTO;
			term->number = protos[i].number;
			return true;
		}
	}
	return parse_network(word, term);
}

int top_filter_parse(const char *text, struct top_filter *filter, char *error) {
	struct top_filter made = {0};
	char words[TOP_FILTER_BYTES], shown[TOP_FILTER_BYTES], *save = NULL;
	unsigned number;

	if (strlen(text) >= sizeof(words)) {
		snprintf(error, TOP_FILTER_ERROR_BYTES, "too long");
		return -EINVAL;
	}
	memcpy(words, text, strlen(text) + 1);
	memcpy(made.text, text, strlen(text) + 1);
	for (char *word = strtok_r(words, " \t", &save); word != NULL;
	     word = strtok_r(NULL, " \t", &save)) {
		if (made.n == TOP_FILTER_TERMS) {
			snprintf(
				error,
				TOP_FILTER_ERROR_BYTES,
				"more than %d words",
				TOP_FILTER_TERMS
			);
			return -EINVAL;
		}
		struct top_term *term = &made.terms[made.n++];
		term->negated = word[0] == '!';
		word += term->negated;
		memcpy(shown, word, strlen(word) + 1);
		bool good = strcasecmp(word, "vlan") != 0 && parse_word(word, term);
		if (strcasecmp(word, "vlan") == 0) {
			word = strtok_r(NULL, " \t", &save);
			good = word != NULL && parse_number(word, 4095, &number);
			term->kind = TOP_TERM_VLAN;
			term->number = good ? (uint16_t)number : 0;
		}
		if (!good) {
			snprintf(
				error,
				TOP_FILTER_ERROR_BYTES,
				"'%.40s' is no address, network, port or protocol",
				shown
			);
			return -EINVAL;
		}
	}
	*filter = made;
	return 0;
}

static bool in_network(const struct top_term *term, const uint8_t *address) {
	unsigned whole = term->bits / 8, rest = term->bits % 8;

	return memcmp(address, term->address, whole) == 0
	       && (rest == 0 || ((address[whole] ^ term->address[whole]) >> (8 - rest)) == 0);
}

static bool term_matches(const struct top_term *term, const struct flow_key *key) {
	bool ipv4 = key->family == FLOW_IPV4;

	switch (term->kind) {
	case TOP_TERM_NETWORK:
		return term->family == key->family
		       && (in_network(term, ipv4 ? key->src4 : key->src6)
			   || in_network(term, ipv4 ? key->dst4 : key->dst6));
	case TOP_TERM_PORT:
		// Of ICMP these are type and code.
		return key->proto != 1 && key->proto != 58
		       && (ntohs(key->src_port) == term->number
			   || ntohs(key->dst_port) == term->number);
	case TOP_TERM_PROTO:
		return key->proto == term->number;
	case TOP_TERM_VLAN:
		return key->vlan_id == term->number;
	}
	return false;
}

bool top_filter_matches(const struct top_filter *filter, const struct flow_key *key) {
	for (unsigned i = 0; i < filter->n; i++)
		if (term_matches(&filter->terms[i], key) == filter->terms[i].negated)
			return false;
	return true;
}
