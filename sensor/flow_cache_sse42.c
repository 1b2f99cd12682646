// The packet path for SSE4.2, the least that DPDK runs on.

#define FLOW_CACHE_VECTOR
#include "flow_cache_path.h"

static bool here(void) {
	return __builtin_cpu_supports("sse4.2") != 0;
}

const struct flow_cache_path flow_cache_path_sse42 = FLOW_CACHE_PATH("sse4.2");
