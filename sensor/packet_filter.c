#include "packet_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SNAPLEN = 262144, // what a match returns, no more
};

struct packet_filter {
	struct bpf_program program;
	packet_filter_match_fn match; // NULL = the interpreter
	const void *arg;
};

struct packet_filter *packet_filter_new(const char *expression, pcap_t *pcap, char *error) {
	struct packet_filter *filter = calloc(1, sizeof(*filter));
	pcap_t *own = pcap == NULL ? pcap_open_dead(DLT_EN10MB, SNAPLEN) : NULL;
	int rc = 0;

	if (filter == NULL || (pcap == NULL && own == NULL)) {
		snprintf(error, PACKET_FILTER_ERROR_BYTES, "%s", strerror(ENOMEM));
		rc = -ENOMEM;
	} else if (pcap_compile(pcap == NULL ? own : pcap, &filter->program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		snprintf(
			error,
			PACKET_FILTER_ERROR_BYTES,
			"%s",
			pcap_geterr(pcap == NULL ? own : pcap)
		);
		rc = -EINVAL;
	}
	if (own != NULL)
		pcap_close(own);
	if (rc == 0)
		return filter;
	free(filter);
	errno = -rc;
	return NULL;
}

void packet_filter_free(struct packet_filter *filter) {
	if (filter == NULL)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}

const struct bpf_program *packet_filter_program(const struct packet_filter *filter) {
	return &filter->program;
}

void packet_filter_run_by(
	struct packet_filter *filter, packet_filter_match_fn match, const void *arg
) {
	filter->match = match;
	filter->arg = arg;
}

bool packet_filter_interpret(const struct packet_filter *filter, const struct frame *frame) {
	struct pcap_pkthdr header = {
		.caplen = frame->captured_bytes,
		.len = frame->wire_bytes,
	};
	return pcap_offline_filter(&filter->program, &header, frame->data) != 0;
}

bool packet_filter_matches(const struct packet_filter *filter, const struct frame *frame) {
	return filter->match != NULL ? filter->match(filter->arg, frame)
				     : packet_filter_interpret(filter, frame);
}

unsigned packet_filter_mark(const struct packet_filter *filter, struct frame *frames, unsigned n) {
	unsigned n_marked = 0;

	for (unsigned i = 0; i < n; i++) {
		if (frames[i].mark != FRAME_PLAIN || packet_filter_matches(filter, &frames[i]))
			continue;
		frame_set_mark(&frames[i], FRAME_FILTERED);
		n_marked++;
	}
	return n_marked;
}
