// Fuzz target of what weir top reads of a sensor, of what the sensor reads of its clients, and of
// filters: all are text. Input: one such text.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "live_protocol.h"
#include "live_request.h"
#include "live_status.h"
#include "top_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

static void require_name(const char name[STATUS_NAME_BYTES]) {
	size_t n = strnlen(name, STATUS_NAME_BYTES);

	require(n > 0 && n < STATUS_NAME_BYTES);
	for (size_t i = 0; i < n; i++)
		require(name[i] >= ' ' && name[i] < 127);
}

static void read_status(const uint8_t *data, size_t n_bytes) {
	static struct live_status status;
	char error[LIVE_STATUS_ERROR_BYTES] = "";

	if (live_status_parse((const char *)data, n_bytes, &status, error) < 0) {
		require(error[0] != '\0');
		return;
	}
	require(status.n_reasons <= STATUS_MAX_REASONS && status.n_ends <= STATUS_MAX_ENDS
		&& status.n_ports <= STATUS_MAX_PORTS && status.n_workers <= STATUS_MAX_WORKERS
		&& status.n_sinks <= STATUS_MAX_SINKS);
	for (unsigned i = 0; i < status.n_reasons; i++)
		require_name(status.reasons[i].name);
	for (unsigned i = 0; i < status.n_ports; i++)
		require_name(status.ports[i].name);
	for (unsigned i = 0; i < status.n_sinks; i++) {
		require_name(status.sinks[i].name);
		require(status.sinks[i].n_losses <= STATUS_MAX_LOSSES);
		for (unsigned j = 0; j < status.sinks[i].n_losses; j++)
			require_name(status.sinks[i].losses[j].name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	const struct flow_key key = {.family = FLOW_IPV6, .proto = 6};
	char error[TOP_FILTER_ERROR_BYTES] = "";
	struct top_filter filter = {0};
	struct live_request request;

	read_status(data, n_bytes);
	char *text = strndup((const char *)data, n_bytes);
	require(text != NULL);
	if (live_request_parse(text, &request) == 0)
		require(request.count <= LIVE_MOST_BUCKETS);
	if (top_filter_parse(text, &filter, error) == 0)
		require(filter.n <= TOP_FILTER_TERMS);
	else
		require(filter.n == 0 && error[0] != '\0');
	(void)top_filter_matches(&filter, &key);
	free(text);
	return 0;
}
