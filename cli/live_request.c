#include "live_request.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "live_protocol.h"

// A space and a number in digits alone, up to `most`; moves `at` behind it.
static bool take_number(const char **at, uint64_t most, uint64_t *value) {
	char *end;

	if ((*at)[0] != ' ' || !isdigit((unsigned char)(*at)[1]))
		return false;
	errno = 0;
	*value = strtoull(*at + 1, &end, 10);
	*at = end;
	return errno == 0 && *value <= most;
}

int live_request_parse(const char *line, struct live_request *request) {
	static const char active[] = "active";
	uint64_t first, count;

	*request = (struct live_request){.want = LIVE_FLOWS};
	if (strcmp(line, "flows\n") == 0)
		return 0;
	request->want = LIVE_STATUS;
	if (strcmp(line, "status\n") == 0)
		return 0;
	request->want = LIVE_RELOAD;
	if (strcmp(line, "reload\n") == 0)
		return 0;
	request->want = LIVE_ACTIVE;
	if (strncmp(line, active, strlen(active)) != 0)
		return -EBADMSG;
	line += strlen(active);
	if (!take_number(&line, UINT64_MAX, &request->since_ticks)
	    || !take_number(&line, UINT32_MAX, &first)
	    || !take_number(&line, LIVE_MOST_BUCKETS, &count) || strcmp(line, "\n") != 0)
		return -EBADMSG;
	request->first = (uint32_t)first;
	request->count = (uint32_t)count;
	return 0;
}
