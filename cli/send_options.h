// Options about what is sent to collectors, and the ledger: the same for every command that sends
// records.
//
// Threads: one. Time: none.

#pragma once

#include "clock.h"
#include "field_profile.h"
#include "sinks.h"

struct send_options {
	const char *collectors[SINKS_MAX_COLLECTORS];
	unsigned n_collectors;
	time_ns_t template_interval_ns;
	uint32_t source_id;
	struct collector_tls tls;
	struct pacer_rate rate;
	enum distribution distribution;
	const char *fields; // as field_profile_parse() takes them
	enum field_timestamps timestamps;
	struct field_profile profile; // of both
	bool scale_counters;
	uint16_t datagram_bytes; // 0 = the collector's default
	enum ledger_format ledger;
};

// Their ids in a table of getopt_long(); a command's own end below.
enum send_option_id {
	OPT_COLLECTOR = 'c',
	OPT_LEDGER = 2048,
	OPT_RATE,
	OPT_DISTRIBUTE,
	OPT_TLS_CA,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_TLS_NAME,
	OPT_FIELDS,
	OPT_TIMESTAMPS,
	OPT_SCALE_COUNTERS,
	OPT_DATAGRAM_SIZE,
	OPT_TEMPLATE_INTERVAL,
	OPT_SOURCE_ID,
};

// For the tables of getopt_long().
// clang-format off
#define SEND_OPTIONS \
	{"collector", required_argument, NULL, OPT_COLLECTOR}, \
	{"ledger", required_argument, NULL, OPT_LEDGER}, \
	{"rate", required_argument, NULL, OPT_RATE}, \
	{"distribute", required_argument, NULL, OPT_DISTRIBUTE}, \
	{"tls-ca", required_argument, NULL, OPT_TLS_CA}, \
	{"tls-cert", required_argument, NULL, OPT_TLS_CERT}, \
	{"tls-key", required_argument, NULL, OPT_TLS_KEY}, \
	{"tls-name", required_argument, NULL, OPT_TLS_NAME}, \
	{"fields", required_argument, NULL, OPT_FIELDS}, \
	{"timestamps", required_argument, NULL, OPT_TIMESTAMPS}, \
	{"scale-counters", no_argument, NULL, OPT_SCALE_COUNTERS}, \
	{"datagram-size", required_argument, NULL, OPT_DATAGRAM_SIZE}, \
	{"template-interval", required_argument, NULL, OPT_TEMPLATE_INTERVAL}, \
	{"source-id", required_argument, NULL, OPT_SOURCE_ID}
// clang-format on

// In the help of a command; --help without "all" leaves most of them out.
// clang-format off
#define SEND_OPTIONS_HELP \
	"      --rate N                records/s, or NMbit, Ndatagrams  [20000datagrams]\n" \
	"      --distribute HOW        mirror: all to each collector, balance  [mirror]\n" \
	"      --fields LIST           minimal, standard+qinq, standard,-mac  [standard]\n" \
	"      --timestamps WHICH      of NetFlow v9: uptime, absolute, both  [uptime]\n" \
	"      --scale-counters        multiply counters of sampled packets\n" \
	"      --datagram-size BYTES   largest export datagram  [1400, IPv6 1232]\n" \
	"      --template-interval T   templates again after this time  [30s]\n" \
	"      --source-id N           observation domain of the records  [1]\n" \
	"      --tls-ca FILE           who may sign a collector's certificate (ipfix+tls)\n" \
	"      --tls-cert FILE         certificate that is shown to collectors\n" \
	"      --tls-key FILE          the key of that certificate\n" \
	"      --tls-name NAME         name in a collector's certificate\n"
// clang-format on

// What applies where nothing is said.
void send_options_init(struct send_options *options);

// Takes an option of the above. Returns 0 or more, -EINVAL after a mistake that was reported, or
// -ENOENT for an id that is none of these.
int send_options_take(struct send_options *options, int id, const char *arg);

// Whether the collectors are told MPLS labels.
bool send_options_mpls(const struct send_options *options);

// The encoders' settings, which point into the options, for packets sampled one in `interval` by
// `algorithm`.
struct encoder_config
send_options_encoder(const struct send_options *options, uint32_t interval, uint8_t algorithm);
