// The packet path for AVX-512 BW and VL (Skylake-SP, 2017; Zen 4, 2022).

#define FLOW_CACHE_VECTOR
#include "flow_cache_path.h"

static bool here(void) {
	return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
	       && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
}

const struct flow_cache_path flow_cache_path_avx512 = FLOW_CACHE_PATH("avx512");
