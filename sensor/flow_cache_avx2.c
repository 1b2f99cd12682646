// The packet path for AVX2 and BMI2 (Haswell, 2013; Zen, 2017).

#define FLOW_CACHE_VECTOR
#include "flow_cache_path.h"

static bool here(void) {
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

const struct flow_cache_path flow_cache_path_avx2 = FLOW_CACHE_PATH("avx2");
