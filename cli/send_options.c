#include "send_options.h"

#include <errno.h>

#include "netflow9.h"
#include "options.h"

// At 24 records each some 480,000 records a second: more than replays make, and what a
// collector with the kernel's default receive buffer can take.
#define DEFAULT_DATAGRAMS_PER_S 20000

enum {
	TEMPLATE_PACKETS = 4800,
};

void send_options_init(struct send_options *options) {
	*options = (struct send_options){
		.template_interval_ns = 30 * NS_PER_S,
		.source_id = 1,
		.datagrams_per_s = DEFAULT_DATAGRAMS_PER_S,
	};
}

int send_options_take(struct send_options *options, int id, const char *arg) {
	static const char *const ledgers[] = {"text", "json", "none", NULL};
	uint64_t value;
	int rc;

	switch (id) {
	case OPT_COLLECTOR:
		if (options->n_collectors == SINKS_MAX_COLLECTORS)
			return options_mistake(
				"--collector %s: at most %d collectors", arg, SINKS_MAX_COLLECTORS
			);
		options->collectors[options->n_collectors++] = arg;
		return 0;
	case OPT_LEDGER:
		rc = options_one_of("ledger", arg, ledgers, "text, json or none");
		if (rc >= 0)
			options->ledger = LEDGER_TEXT + (enum ledger_format)rc;
		return rc;
	case OPT_TEMPLATE_INTERVAL:
		rc = options_timeout("template-interval", arg, &options->template_interval_ns);
		if (rc == 0 && options->template_interval_ns < NS_PER_S)
			rc = options_mistake("--template-interval %s: at least 1s", arg);
		return rc;
	case OPT_EXPORT_RATE:
		rc = options_whole("export-rate", arg, 0, 100000000, &value);
		if (rc == 0)
			options->datagrams_per_s = (uint32_t)value;
		return rc;
	case OPT_DATAGRAM_SIZE:
		rc = options_whole(
			"datagram-size",
			arg,
			NETFLOW9_MIN_DATAGRAM_BYTES,
			NETFLOW9_MAX_DATAGRAM_BYTES,
			&value
		);
		if (rc == 0)
			options->datagram_bytes = (uint16_t)value;
		return rc;
	case OPT_SOURCE_ID:
		rc = options_whole("source-id", arg, 1, UINT32_MAX, &value);
		if (rc == 0)
			options->source_id = (uint32_t)value;
		return rc;
	default:
		return -ENOENT;
	}
}

struct netflow9_config
send_options_netflow9(const struct send_options *options, uint32_t interval, uint8_t algorithm) {
	return (struct netflow9_config){
		.source_id = options->source_id,
		.datagram_bytes = options->datagram_bytes,
		.template_interval_ms = (uint32_t)(options->template_interval_ns / NS_PER_MS),
		.template_packets = TEMPLATE_PACKETS,
		.sampling_interval = interval,
		.sampling_algorithm = algorithm,
	};
}
