#include "packet_options.h"

#include <errno.h>
#include <string.h>

#include "duplicate.h"
#include "units.h"

// Up to the next comma into `part`, and on behind it; NULL at the end. False where that is longer
// than anything which is understood.
static bool next_part(const char **text, char *part, size_t bytes) {
	size_t n = strcspn(*text, ",");

	if (n >= bytes)
		return false;
	memcpy(part, *text, n);
	part[n] = '\0';
	*text = (*text)[n] == ',' ? *text + n + 1 : NULL;
	return true;
}

int packet_options_copies(const char *text, struct copies_options *copies) {
	struct copies_options found = {.most = 1};
	char part[32];

	if (!next_part(&text, part, sizeof(part)) || units_duration(part, &found.window_ns) < 0
	    || found.window_ns < DUPLICATE_LEAST_WINDOW_NS
	    || found.window_ns > DUPLICATE_MOST_WINDOW_NS)
		return -EINVAL;
	while (text != NULL) {
		uint64_t n;
		if (!next_part(&text, part, sizeof(part)))
			return -EINVAL;
		if (strcmp(part, "routed") == 0) {
			found.routed = true;
		} else if (strncmp(part, "copies=", 7) == 0) {
			if (units_count(part + 7, &n) < 0 || n < 1 || n > DUPLICATE_MOST_COPIES)
				return -EINVAL;
			found.most = (unsigned)n;
		} else {
			return -EINVAL;
		}
	}
	*copies = found;
	return 0;
}

int packet_options_sampling(const char *text, struct sampling_options *sampling) {
	struct sampling_options found = {.algorithm = SAMPLER_DETERMINISTIC};
	uint64_t n;

	if (strncmp(text, "random:", 7) == 0) {
		found.algorithm = SAMPLER_RANDOM;
		text += 7;
	}
	if (units_count(text, &n) < 0 || n < 1 || n > SAMPLER_MOST_INTERVAL)
		return -EINVAL;
	found.interval = (uint32_t)n;
	*sampling = found;
	return 0;
}
