// Times packet filters (sensor/packet_filter.h): ns a frame for some expressions, and the part of
// the frames that match, which must be the same in every chunk of the same frames.
//
//   packet_filter_bench

#include <stdio.h>
#include <string.h>

#include "measure.h"
#include "packet_filter.h"
#include "traffic.h"

enum {
	N_CHUNKS = 100,
};

static bool run(const char *expression, struct yardstick *yardstick) {
	static struct frame own[TRAFFIC_FRAMES];
	static double ns[N_CHUNKS], p[N_CHUNKS];
	struct traffic *traffic = traffic_new(&(struct traffic_config){
		.kind = TRAFFIC_UNIFORM,
		.n_flows = 65536,
		.seed = 1,
	});
	char error[PACKET_FILTER_ERROR_BYTES];
	struct packet_filter *filter = packet_filter_new(expression, NULL, error);
	unsigned n_marked = 0;
	bool same = true;

	if (traffic == NULL || filter == NULL)
		return false;
	const struct frame *frames = traffic_fill(traffic, TRAFFIC_FRAMES);
	for (unsigned i = 0; i < N_CHUNKS; i++) {
		memcpy(own, frames, sizeof(own));
		int64_t begin = measure_now();
		unsigned n = packet_filter_mark(filter, own, TRAFFIC_FRAMES);
		ns[i] = (double)(measure_now() - begin) / TRAFFIC_FRAMES;
		p[i] = (double)yardstick_p(yardstick, frames, TRAFFIC_FRAMES) / TRAFFIC_FRAMES;
		same &= i == 0 || n == n_marked;
		n_marked = n;
	}
	packet_filter_free(filter);
	traffic_free(traffic);
	if (!same)
		return false;
	double p_ns = measure_median(p, N_CHUNKS), median = measure_median(ns, N_CHUNKS);
	printf("\"%s\",%.2f,%.2f,%.2f,%.3f\n",
	       expression,
	       median,
	       p_ns,
	       median / p_ns,
	       1 - (double)n_marked / TRAFFIC_FRAMES);
	return true;
}

int main(void) {
	static const char *const expressions[] = {
		"ip",
		"tcp port 443",
		"not port 22",
		"net 10.0.0.0/8 and (tcp port 80 or udp port 53)",
		"tcp[tcpflags] & tcp-syn != 0",
	};
	bool good = true;

	measure_pin(0);
	struct yardstick *yardstick = yardstick_new(PAGES_THP);
	if (yardstick == NULL)
		return 1;
	puts("expression,ns,p_ns,ns_per_p,matched");
	for (unsigned i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++)
		good &= run(expressions[i], yardstick);
	yardstick_free(yardstick);
	return good ? 0 : 1;
}
