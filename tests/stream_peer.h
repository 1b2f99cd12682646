// A stream's other end: a collector on a thread of the test, on loopback, that behaves as it is
// told to.

#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/types.h>

#include "certificates.h"

struct peer;

// What it does with each connection in turn; the socket is closed for it when it returns. `ssl` is
// NULL without TLS, or where the handshake failed.
typedef void (*peer_fn)(struct peer *peer, int fd, SSL *ssl);

struct peer {
	peer_fn serve;
	SSL_CTX *tls; // NULL: plain TCP
	int listener;
	char address[32]; // "127.0.0.1:PORT"
	char port[8];
	int told; // an event: peer_tell() or peer_stop()
	pthread_t thread;
	bool running;
	atomic_uint n_connections;
	atomic_ullong octets; // read by peer_reads_all() and others
	atomic_ullong sum;    // of these, each times its place
	atomic_bool farewell; // the last one said close_notify
	char sni[64];         // the name that the last one asked for
};

struct peer_tls {
	enum certificate certificate;
	bool wants_client;
	int version; // the only one; 0 = any
};

// A port of loopback that refuses connections until peer_start().
void peer_bind(struct peer *peer, peer_fn serve);
void peer_use_tls(struct peer *peer, const struct peer_tls *tls);
void peer_start(struct peer *peer);
void peer_stop(struct peer *peer);

// Ends what waits in a behaviour, once.
void peer_tell(struct peer *peer);

// Behaviours.
void peer_reads_all(struct peer *peer, int fd, SSL *ssl);
void peer_waits(struct peer *peer, int fd, SSL *ssl);            // reads nothing until told
void peer_closes_when_told(struct peer *peer, int fd, SSL *ssl); // orderly
void peer_resets_in_the_middle(struct peer *peer, int fd, SSL *ssl);
void peer_closes(struct peer *peer, int fd, SSL *ssl);
void peer_talks(struct peer *peer, int fd, SSL *ssl); // all the time, and reads

// What octets[i] times i + 1 add up to, from place `at` on.
uint64_t peer_sum(const uint8_t *octets, size_t n, uint64_t at);
