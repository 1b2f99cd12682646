#include "flow_key.h"

#include <errno.h>
#include <sys/random.h>

// Digits of pi behind the point: numbers with nothing up their sleeve.
const struct flow_secret flow_secret_fixed = {{
	UINT64_C(0x243f6a8885a308d3),
	UINT64_C(0x13198a2e03707344),
	UINT64_C(0xa4093822299f31d0),
	UINT64_C(0x082efa98ec4e6c89),
	UINT64_C(0x452821e638d01377),
	UINT64_C(0xbe5466cf34e90c6c),
	UINT64_C(0xc0ac29b7c97c50dd),
	UINT64_C(0x3f84d5b5b5470917),
}};

int flow_secret_random(struct flow_secret *secret) {
	uint8_t *at = (uint8_t *)secret;
	size_t left = sizeof(*secret);

	while (left > 0) {
		ssize_t n = getrandom(at, left, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	return 0;
}
