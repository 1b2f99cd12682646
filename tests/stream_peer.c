#include "stream_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
	SMALL_BUFFER = 4096,
	MIDDLE = 100000, // octets into what is sent, and into a record
};

uint64_t peer_sum(const uint8_t *octets, size_t n, uint64_t at) {
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += octets[i] * (at + i + 1);
	return sum;
}

static ssize_t read_some(int fd, SSL *ssl, uint8_t *octets, size_t n) {
	return ssl != NULL ? SSL_read(ssl, octets, (int)n) : recv(fd, octets, n, 0);
}

static void take(struct peer *peer, const uint8_t *octets, size_t n) {
	uint64_t before = atomic_load(&peer->octets);
	atomic_fetch_add(&peer->sum, peer_sum(octets, n, before));
	atomic_fetch_add(&peer->octets, n);
}

void peer_reads_all(struct peer *peer, int fd, SSL *ssl) {
	uint8_t octets[16384];

	for (ssize_t n; (n = read_some(fd, ssl, octets, sizeof(octets))) > 0;)
		take(peer, octets, (size_t)n);
	if (ssl != NULL)
		atomic_store(&peer->farewell, SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
}

static bool wait_until_told(struct peer *peer, int fd) {
	struct pollfd fds[] = {
		{.fd = peer->told, .events = POLLIN},
		{.fd = fd, .events = POLLRDHUP},
	};
	poll(fds, 2, -1);
	return fds[0].revents != 0;
}

void peer_waits(struct peer *peer, int fd, SSL *ssl) {
	(void)ssl;
	wait_until_told(peer, fd);
}

void peer_closes_when_told(struct peer *peer, int fd, SSL *ssl) {
	if (wait_until_told(peer, fd) && ssl != NULL)
		SSL_shutdown(ssl);
	// Read, so that the test may tell it once more.
	uint64_t n;
	(void)!read(peer->told, &n, sizeof(n));
}

void peer_resets_in_the_middle(struct peer *peer, int fd, SSL *ssl) {
	uint8_t octets[SMALL_BUFFER];

	(void)peer;
	(void)ssl;
	for (size_t done = 0; done < MIDDLE;) {
		ssize_t n = recv(fd, octets, sizeof(octets), 0);
		if (n <= 0)
			return;
		done += (size_t)n;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
}

void peer_closes(struct peer *peer, int fd, SSL *ssl) {
	uint8_t octet;
	(void)peer;
	(void)ssl;
	// All that came is read, so that it is no reset.
	recv(fd, &octet, 1, 0);
	while (recv(fd, &octet, 1, MSG_DONTWAIT) > 0)
		;
}

void peer_talks(struct peer *peer, int fd, SSL *ssl) {
	static const char speech[] = "220 collectors do not say this\r\n";
	uint8_t octets[16384];

	for (;;) {
		int n = ssl != NULL ? SSL_write(ssl, speech, sizeof(speech))
				    : (int)send(fd, speech, sizeof(speech), MSG_NOSIGNAL);
		if (n <= 0)
			return;
		ssize_t got = read_some(fd, ssl, octets, sizeof(octets));
		if (got <= 0)
			return;
		take(peer, octets, (size_t)got);
	}
}

static SSL *shake_hands(struct peer *peer, int fd) {
	SSL *ssl = SSL_new(peer->tls);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(peer->sni, sizeof(peer->sni), "%s", name != NULL ? name : "");
	return ssl;
}

static void *run(void *arg) {
	struct peer *peer = arg;
	sigset_t pipe_signal;

	// OpenSSL's sockets raise it; that the stream raises none is for the test to see.
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
	for (int fd; (fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
		SSL *ssl = peer->tls != NULL ? shake_hands(peer, fd) : NULL;
		atomic_fetch_add(&peer->n_connections, 1);
		if (peer->tls == NULL || ssl != NULL)
			peer->serve(peer, fd, ssl);
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

void peer_bind(struct peer *peer, peer_fn serve) {
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(in);

	*peer = (struct peer){.serve = serve};
	peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	peer->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(peer->listener >= 0 && peer->told >= 0);
	// A peer that does not read is to be full soon.
	if (serve == peer_waits)
		setsockopt(
			peer->listener, SOL_SOCKET, SO_RCVBUF, &(int){SMALL_BUFFER}, sizeof(int)
		);
	assert_int_equal(bind(peer->listener, (void *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(peer->listener, (void *)&in, &length), 0);
	snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%u", ntohs(in.sin_port));
	snprintf(peer->port, sizeof(peer->port), "%u", ntohs(in.sin_port));
}

void peer_use_tls(struct peer *peer, const struct peer_tls *tls) {
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	assert_non_null(context);
	peer->tls = context;
	assert_int_equal(
		SSL_CTX_use_certificate_chain_file(context, certificate_file(tls->certificate)), 1
	);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(
			context, certificate_key(tls->certificate), SSL_FILETYPE_PEM
		),
		1
	);
	if (tls->version != 0) {
		SSL_CTX_set_security_level(context, 0);
		SSL_CTX_set_min_proto_version(context, tls->version);
		SSL_CTX_set_max_proto_version(context, tls->version);
	}
	if (tls->wants_client) {
		SSL_CTX_load_verify_file(context, certificate_authority());
		SSL_CTX_set_verify(
			context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL
		);
	}
}

void peer_start(struct peer *peer) {
	assert_int_equal(listen(peer->listener, 128), 0);
	assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
	peer->running = true;
}

void peer_tell(struct peer *peer) {
	(void)!write(peer->told, &(uint64_t){1}, sizeof(uint64_t));
}

void peer_stop(struct peer *peer) {
	peer_tell(peer);
	shutdown(peer->listener, SHUT_RDWR);
	if (peer->running)
		pthread_join(peer->thread, NULL);
	close(peer->listener);
	close(peer->told);
	SSL_CTX_free(peer->tls);
}
