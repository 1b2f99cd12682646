#include "top_names.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

enum {
	SETS = 256,
	WAYS = 4,
	QUEUE = 64,
};

// Names change, and DNS may come back.
#define NAME_LASTS_NS (600 * NS_PER_S)

enum state {
	FREE,
	ASKED,
	KNOWN, // `text` is empty where there is no name
};

struct name {
	uint8_t family;
	uint8_t address[16];
	enum state state;
	time_ns_t used_ns, known_ns;
	char text[TOP_NAME_BYTES];
};

struct top_names {
	pthread_mutex_t lock; // for all below
	pthread_cond_t wakes;
	struct name sets[SETS][WAYS];
	unsigned queue[QUEUE]; // of set * WAYS + way
	unsigned n_put, n_taken;
	bool came, ends;
};

static time_ns_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

// What DNS says comes from outside: nothing of it may be a command of the terminal.
static void clean(char *text) {
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text >= 127)
			*text = '?';
}

static void look_up(uint8_t family, const uint8_t *address, char text[TOP_NAME_BYTES]) {
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;
	socklen_t n = family == FLOW_IPV4 ? sizeof(*ipv4) : sizeof(*ipv6);
	char host[NI_MAXHOST];

	if (family == FLOW_IPV4) {
		ipv4->sin_family = AF_INET;
		memcpy(&ipv4->sin_addr, address, 4);
	} else {
		ipv6->sin6_family = AF_INET6;
		memcpy(&ipv6->sin6_addr, address, 16);
	}
	text[0] = '\0';
	if (getnameinfo((struct sockaddr *)&storage, n, host, sizeof(host), NULL, 0, NI_NAMEREQD)
	    != 0)
		return;
	size_t length = strnlen(host, TOP_NAME_BYTES - 1);
	memcpy(text, host, length);
	text[length] = '\0';
	clean(text);
}

static void *run(void *arg) {
	struct top_names *names = arg;
	char text[TOP_NAME_BYTES];

	pthread_mutex_lock(&names->lock);
	while (!names->ends) {
		if (names->n_put == names->n_taken) {
			pthread_cond_wait(&names->wakes, &names->lock);
			continue;
		}
		unsigned place = names->queue[names->n_taken++ % QUEUE];
		struct name *name = &names->sets[place / WAYS][place % WAYS];
		const struct name asked = *name;
		pthread_mutex_unlock(&names->lock);
		look_up(asked.family, asked.address, text);
		pthread_mutex_lock(&names->lock);
		// Its place cannot have changed hands: who is asked for stays.
		memcpy(name->text, text, sizeof(text));
		name->state = KNOWN;
		name->known_ns = monotonic_ns();
		names->came = true;
	}
	pthread_mutex_unlock(&names->lock);
	return NULL;
}

struct top_names *top_names_new(void) {
	struct top_names *names = calloc(1, sizeof(*names));
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	if (names == NULL)
		return NULL;
	pthread_mutex_init(&names->lock, NULL);
	pthread_cond_init(&names->wakes, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all); // signals are the screen's
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int rc = pthread_create(&thread, &attributes, run, names);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (rc != 0) {
		free(names);
		return NULL;
	}
	return names;
}

// The place of an address: its own, or one that may be had. NULL while all are asked for.
static struct name *place_of(struct name *set, uint8_t family, const uint8_t *address) {
	struct name *oldest = NULL;

	for (unsigned way = 0; way < WAYS; way++) {
		struct name *name = &set[way];
		if (name->state != FREE && name->family == family
		    && memcmp(name->address, address, sizeof(name->address)) == 0)
			return name;
		if (name->state != ASKED && (oldest == NULL || name->used_ns < oldest->used_ns))
			oldest = name;
	}
	if (oldest != NULL) {
		*oldest = (struct name){.family = family};
		memcpy(oldest->address, address, sizeof(oldest->address));
	}
	return oldest;
}

static void ask(struct top_names *names, struct name *name) {
	if (names->n_put - names->n_taken == QUEUE)
		return;
	name->state = ASKED;
	names->queue[names->n_put++ % QUEUE] = (unsigned)(name - &names->sets[0][0]);
	pthread_cond_signal(&names->wakes);
}

bool top_names_get(struct top_names *names, const struct flow_key *key, bool source, char *out) {
	struct flow_key end = {.family = key->family};
	bool ipv4 = key->family == FLOW_IPV4;
	time_ns_t now_ns = monotonic_ns();

	if (ipv4)
		memcpy(end.src6, source ? key->src4 : key->dst4, 4);
	else
		memcpy(end.src6, source ? key->src6 : key->dst6, 16);
	uint64_t hash = flow_key_hash6(
		end.words[0],
		end.words[1],
		end.words[2],
		end.words[3],
		end.words[4],
		&flow_secret_fixed
	);
	pthread_mutex_lock(&names->lock);
	struct name *name = place_of(names->sets[hash % SETS], end.family, end.src6);
	out[0] = '\0';
	if (name != NULL) {
		name->used_ns = now_ns;
		if (name->state == KNOWN)
			memcpy(out, name->text, sizeof(name->text));
		if (name->state == FREE
		    || (name->state == KNOWN && now_ns - name->known_ns > NAME_LASTS_NS))
			ask(names, name);
	}
	pthread_mutex_unlock(&names->lock);
	return out[0] != '\0';
}

bool top_names_came(struct top_names *names) {
	pthread_mutex_lock(&names->lock);
	bool came = names->came;
	names->came = false;
	pthread_mutex_unlock(&names->lock);
	return came;
}

void top_names_end(struct top_names *names) {
	if (names == NULL)
		return;
	pthread_mutex_lock(&names->lock);
	names->ends = true;
	pthread_cond_signal(&names->wakes);
	pthread_mutex_unlock(&names->lock);
}
