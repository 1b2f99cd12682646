#include "name_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Held by two, the thread and who started it; the last to let go frees it.
struct name_lookup {
	atomic_uint holders;
	atomic_bool done; // released by the thread after the answer, acquired before it is read
	int event;        // written when done
	char *host, *port;
	struct host_address addresses[NAME_LOOKUP_MAX];
	int n_addresses;
	const char *wrong;
};

int name_lookup_now(
	const char *host,
	const char *port,
	bool numeric,
	struct host_address addresses[NAME_LOOKUP_MAX],
	const char **wrong
) {
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
		.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0),
	};
	struct addrinfo *found;
	int n = 0;

	int rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0) {
		// strerror() of an error that has a number is a string that stays.
		*wrong = rc == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(rc);
		return -EHOSTUNREACH;
	}
	for (const struct addrinfo *at = found; at != NULL && n < NAME_LOOKUP_MAX;
	     at = at->ai_next) {
		if (at->ai_addrlen > sizeof(addresses[n].address))
			continue;
		memcpy(&addresses[n].address, at->ai_addr, at->ai_addrlen);
		addresses[n++].bytes = at->ai_addrlen;
	}
	freeaddrinfo(found);
	*wrong = "no address that could be one";
	return n > 0 ? n : -EHOSTUNREACH;
}

static void let_go(struct name_lookup *lookup) {
	// Acquire and release: what the other did with it is done before it is freed.
	if (atomic_fetch_sub_explicit(&lookup->holders, 1, memory_order_acq_rel) > 1)
		return;
	if (lookup->event >= 0)
		close(lookup->event);
	free(lookup->host);
	free(lookup->port);
	free(lookup);
}

static void *look_up(void *arg) {
	struct name_lookup *lookup = arg;

	lookup->n_addresses = name_lookup_now(
		lookup->host, lookup->port, false, lookup->addresses, &lookup->wrong
	);
	atomic_store_explicit(&lookup->done, true, memory_order_release);
	// It cannot fail: the count is far from full. Were it to, the answer is seen late.
	(void)!write(lookup->event, &(uint64_t){1}, sizeof(uint64_t));
	let_go(lookup);
	return NULL;
}

// Detached: nobody need wait for it. With all signals blocked: they are for other threads.
static int start_thread(struct name_lookup *lookup) {
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&thread, &attributes, look_up, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return rc;
}

struct name_lookup *name_lookup_start(const char *host, const char *port) {
	struct name_lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	atomic_init(&lookup->holders, 2);
	atomic_init(&lookup->done, false);
	lookup->host = strdup(host);
	lookup->port = strdup(port);
	lookup->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = errno;
	if (lookup->event >= 0 && lookup->host != NULL && lookup->port != NULL)
		rc = start_thread(lookup);
	else
		rc = rc != 0 ? rc : ENOMEM;
	if (rc != 0) {
		atomic_store_explicit(&lookup->holders, 1, memory_order_relaxed); // nobody else's
		let_go(lookup);
		errno = rc;
		return NULL;
	}
	return lookup;
}

int name_lookup_fd(const struct name_lookup *lookup) {
	return lookup->event;
}

int name_lookup_take(
	struct name_lookup *lookup,
	struct host_address addresses[NAME_LOOKUP_MAX],
	const char **wrong
) {
	if (!atomic_load_explicit(&lookup->done, memory_order_acquire))
		return 0;
	memcpy(addresses, lookup->addresses, sizeof(lookup->addresses));
	*wrong = lookup->wrong;
	return lookup->n_addresses;
}

void name_lookup_free(struct name_lookup *lookup) {
	if (lookup != NULL)
		let_go(lookup);
}
