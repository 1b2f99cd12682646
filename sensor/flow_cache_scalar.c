// The packet path in plain C: what runs where there is no x86, and what the others must equal.

#include "flow_cache_path.h"

static bool here(void) {
	return true;
}

const struct flow_cache_path flow_cache_path_scalar = FLOW_CACHE_PATH("scalar");
