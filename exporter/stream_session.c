#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "stream_internal.h"

enum {
	TLS_FIRST_RECORD_TYPE = 20, // change_cipher_spec; alert, handshake and data follow
	TLS_LAST_RECORD_TYPE = 23,
};

// The socket as OpenSSL sees it. Its own would write without MSG_NOSIGNAL and raise SIGPIPE at a
// peer that is gone, in the whole process; and would not say what octet came first.

static void hear(struct stream *stream, uint8_t octet) {
	if (stream->heard == STREAM_HEARD_NOTHING)
		stream->heard = octet >= TLS_FIRST_RECORD_TYPE && octet <= TLS_LAST_RECORD_TYPE
					? STREAM_HEARD_TLS
					: STREAM_HEARD_OTHER;
}

static int write_socket(BIO *bio, const char *octets, int n) {
	struct stream *stream = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	ssize_t sent = send(stream->socket, octets, (size_t)n, MSG_NOSIGNAL);
	stream->io_error = sent < 0 ? errno : 0;
	if (sent > 0)
		stream->octets_out += (size_t)sent;
	else if (stream->io_error == EAGAIN || stream->io_error == EINTR)
		BIO_set_retry_write(bio);
	return (int)sent;
}

static int read_socket(BIO *bio, char *octets, int n) {
	struct stream *stream = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	ssize_t got = recv(stream->socket, octets, (size_t)n, 0);
	stream->io_error = got < 0 ? errno : 0;
	if (got > 0)
		hear(stream, (uint8_t)octets[0]);
	else if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	else if (stream->io_error == EAGAIN || stream->io_error == EINTR)
		BIO_set_retry_read(bio);
	return (int)got;
}

static long control_socket(BIO *bio, int order, long number, void *pointer) {
	(void)number;
	(void)pointer;
	switch (order) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

static BIO_METHOD *socket_method;
static pthread_once_t socket_method_once = PTHREAD_ONCE_INIT;

// For the life of the process. NULL without memory.
static void make_socket_method(void) {
	socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir socket");
	if (socket_method == NULL)
		return;
	BIO_meth_set_write(socket_method, write_socket);
	BIO_meth_set_read(socket_method, read_socket);
	BIO_meth_set_ctrl(socket_method, control_socket);
}

static BIO *new_socket(struct stream *stream) {
	pthread_once(&socket_method_once, make_socket_method);
	BIO *bio = socket_method != NULL ? BIO_new(socket_method) : NULL;
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, stream);
	BIO_set_init(bio, 1);
	return bio;
}

// The session.

// Which name its certificate must carry, an address or a name; a name is also asked for (SNI),
// as RFC 6066 section 3 has it: not an address.
static bool expect_name(SSL *ssl, const char *name) {
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
		return true;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int stream_tls_start(struct stream *stream) {
	stream->heard = STREAM_HEARD_NOTHING;
	stream->asked_for_certificate = false;
	stream->ticketed = false;
	ERR_clear_error();
	stream->ssl = SSL_new(stream->tls);
	BIO *bio = stream->ssl != NULL ? new_socket(stream) : NULL;
	if (bio == NULL)
		return stream_fail(stream, STREAM_OTHER, ENOMEM, "TLS: out of memory");
	SSL_set_bio(stream->ssl, bio, bio);
	SSL_set_app_data(stream->ssl, stream);
	// The failed ones would stay in the queue of errors.
	bool ok = expect_name(stream->ssl, stream->server_name);
	ERR_clear_error();
	if (!ok)
		return stream_fail(
			stream,
			STREAM_OTHER,
			EINVAL,
			"TLS: cannot expect the name '%s'",
			stream->server_name
		);
	return 0;
}

int stream_tls_handshake(struct stream *stream, short *events) {
	ERR_clear_error();
	int rc = SSL_connect(stream->ssl);
	return rc == 1 ? 0 : stream_fail_tls(stream, rc, events);
}

ssize_t stream_tls_send(struct stream *stream, const void *octets, size_t n, short *events) {
	ERR_clear_error();
	int rc = SSL_write(stream->ssl, octets, (int)n);
	return rc > 0 ? rc : stream_fail_tls(stream, rc, events);
}

ssize_t stream_tls_receive(struct stream *stream, void *octets, size_t n) {
	short events;

	ERR_clear_error();
	int rc = SSL_read(stream->ssl, octets, (int)n);
	return rc > 0 ? rc : stream_fail_tls(stream, rc, &events);
}

void stream_tls_end(struct stream *stream) {
	ERR_clear_error();
	SSL_shutdown(stream->ssl);
	ERR_clear_error();
}
