// Sends flows that come and go into an interface, at a rate, until SIGTERM or SIGINT:
//
//   churn INTERFACE RATE FLOWS NEW SEED
//
// RATE is in packets a second, FLOWS how many run at once, NEW how many begin each second, and as
// many end. Half of the flows are TCP, a quarter IPv6; now and then a FIN ends one, and one frame
// in 1024 is of no protocol that a meter knows. Ends with a line of JSON that says what was sent:
// what the interface did not take is counted as refused, and not sent again.
//
// SIGSTOP holds it, between two batches, and what is told at the end is still exact.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "churn_frames.h"
#include "packet_socket.h"

enum {
	BATCH = 64,
};

struct sender {
	int socket;
	struct churn churn;
	uint8_t frames[BATCH][CHURN_MOST_OCTETS];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	bool strange[BATCH];
};

static volatile sig_atomic_t ended;

static void on_end(int number) {
	(void)number;
	ended = 1;
}

// Returns 0, or a negative errno of what is no matter of the interface.
static int send_batch(struct sender *sender, unsigned n) {
	for (unsigned at = 0; at < n;) {
		int rc = sendmmsg(sender->socket, sender->messages + at, n - at, 0);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0 && errno != ENOBUFS && errno != ENETDOWN && errno != EAGAIN)
			return -errno;
		for (int i = 0; i < rc; i++, at++)
			churn_sent(&sender->churn, sender->parts[at].iov_len, sender->strange[at]);
		// The kernel has dropped the one at which it ended, also where it does not say why.
		if (at < n) {
			sender->churn.counts.refused++;
			at++;
		}
	}
	return 0;
}

static int send_all(struct sender *sender) {
	unsigned n = churn_at_once(&sender->churn, BATCH);
	time_ns_t due_ns = 0;

	while (!ended) {
		for (unsigned i = 0; i < n; i++)
			sender->parts[i].iov_len =
				churn_frame(&sender->churn, sender->frames[i], &sender->strange[i]);
		due_ns = churn_due_ns(&sender->churn, due_ns, n);
		churn_wait(due_ns);
		int rc = send_batch(sender, n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int main(int argc, char **argv) {
	static struct sender sender;
	const struct sigaction action = {.sa_handler = on_end};
	char text[256];

	if (argc != 6
	    || !churn_begin(
		    &sender.churn,
		    strtoull(argv[2], NULL, 10),
		    strtoull(argv[3], NULL, 10),
		    strtoull(argv[4], NULL, 10),
		    strtoull(argv[5], NULL, 10)
	    )) {
		fprintf(stderr, "usage: churn INTERFACE RATE FLOWS NEW SEED\n");
		return 2;
	}
	sender.socket = packet_socket_open(argv[1]);
	if (sender.socket < 0) {
		fprintf(stderr, "churn: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (unsigned i = 0; i < BATCH; i++) {
		sender.parts[i] = (struct iovec){sender.frames[i], 0};
		sender.messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &sender.parts[i], .msg_iovlen = 1};
	}
	int rc = send_all(&sender);
	churn_tell(&sender.churn, text, sizeof(text));
	fputs(text, stdout);
	if (rc < 0)
		fprintf(stderr, "churn: %s: %s\n", argv[1], strerror(-rc));
	return rc < 0;
}
