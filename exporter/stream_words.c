#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "stream_internal.h"

const char *stream_failure_word(enum stream_failure failure) {
	static const char *const words[STREAM_FAILURES] = {
		[STREAM_NAME] = "name",
		[STREAM_REFUSED] = "refused",
		[STREAM_UNREACHABLE] = "unreachable",
		[STREAM_SILENT] = "silent",
		[STREAM_HANDSHAKE] = "handshake",
		[STREAM_UNTRUSTED] = "untrusted",
		[STREAM_UNWELCOME] = "unwelcome",
		[STREAM_STALLED] = "stalled",
		[STREAM_RESET] = "reset",
		[STREAM_CLOSED] = "closed",
		[STREAM_OTHER] = "other",
	};
	return words[failure];
}

// Of a name's addresses, the one that is meant; nothing more is known of it from its name.
static int begin_with_address(struct stream *stream) {
	char host[NI_MAXHOST];

	if (!stream->needs_names || stream->n_tried == 0)
		return 0;
	const struct host_address *address = &stream->addresses[stream->n_tried - 1];
	if (getnameinfo(
		    (const struct sockaddr *)&address->address,
		    address->bytes,
		    host,
		    sizeof(host),
		    NULL,
		    0,
		    NI_NUMERICHOST
	    )
	    != 0)
		return 0;
	return snprintf(stream->error, sizeof(stream->error), "%.64s: ", host);
}

int stream_fail(
	struct stream *stream, enum stream_failure failure, int error, const char *format, ...
) {
	bool of_address = stream->phase >= STREAM_CONNECTING;
	int used = of_address ? begin_with_address(stream) : 0;
	va_list args;

	stream->failure = failure;
	va_start(args, format);
	vsnprintf(stream->error + used, sizeof(stream->error) - (size_t)used, format, args);
	va_end(args);
	return -error;
}

int stream_fail_errno(struct stream *stream, int error) {
	switch (error) {
	case ECONNREFUSED:
		return stream_fail(
			stream,
			STREAM_REFUSED,
			error,
			"connection refused: nobody listens at port %s there",
			stream->port
		);
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return stream_fail(stream, STREAM_UNREACHABLE, error, "%s", strerror(error));
	case ETIMEDOUT:
		if (stream->phase == STREAM_UP)
			return stream_fail(
				stream,
				STREAM_STALLED,
				error,
				"stalled: acknowledged or took nothing for %u ms",
				stream->stall_ms
			);
		return stream_fail(stream, STREAM_SILENT, error, "no answer");
	case ECONNRESET:
	case EPIPE:
		if (stream->phase == STREAM_HANDSHAKING && stream->heard == STREAM_HEARD_NOTHING)
			break;
		return stream_fail(
			stream, STREAM_RESET, ECONNRESET, "connection reset by the peer"
		);
	default:
		return stream_fail(stream, STREAM_OTHER, error, "%s", strerror(error));
	}
	return stream_fail(
		stream,
		STREAM_HANDSHAKE,
		error,
		"connection reset at the TLS handshake: a plaintext peer? It may speak TLS at "
		"another port"
	);
}

static int fail_at_certificate(struct stream *stream, long verdict) {
	const char *name = stream->server_name != NULL ? stream->server_name : stream->host;

	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return stream_fail(
			stream,
			STREAM_UNTRUSTED,
			EACCES,
			"its certificate has expired; it needs a new one, or this machine the "
			"right time"
		);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return stream_fail(
			stream,
			STREAM_UNTRUSTED,
			EACCES,
			"its certificate is not valid yet; is this machine's time right?"
		);
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return stream_fail(
			stream,
			STREAM_UNTRUSTED,
			EACCES,
			"its certificate is for another name than '%s'; --tls-name says which to "
			"expect",
			name
		);
	default:
		return stream_fail(
			stream,
			STREAM_UNTRUSTED,
			EACCES,
			"its certificate is not trusted: %s; --tls-ca names the authority that "
			"signed it",
			X509_verify_cert_error_string(verdict)
		);
	}
}

// Alerts about a certificate: of ours, since the client is the one that they are sent to.
static bool is_about_certificate(int alert) {
	return alert == SSL_AD_NO_CERTIFICATE || alert == SSL_AD_BAD_CERTIFICATE
	       || alert == SSL_AD_UNSUPPORTED_CERTIFICATE || alert == SSL_AD_CERTIFICATE_REVOKED
	       || alert == SSL_AD_CERTIFICATE_EXPIRED || alert == SSL_AD_CERTIFICATE_UNKNOWN
	       || alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED
	       || alert == TLS13_AD_CERTIFICATE_REQUIRED;
}

static int fail_at_alert(struct stream *stream, int alert) {
	const char *says = SSL_alert_desc_string_long(alert);
	bool unwelcome = stream->asked_for_certificate
			 && (is_about_certificate(alert) || alert == SSL_AD_HANDSHAKE_FAILURE);

	if (unwelcome && !stream->has_certificate)
		return stream_fail(
			stream,
			STREAM_UNWELCOME,
			EACCES,
			"it wants a client certificate (\"%s\"); --tls-cert and --tls-key give one",
			says
		);
	if (unwelcome)
		return stream_fail(
			stream,
			STREAM_UNWELCOME,
			EACCES,
			"it does not accept our certificate: \"%s\"",
			says
		);
	if (stream->phase == STREAM_UP)
		return stream_fail(
			stream, STREAM_CLOSED, EPROTO, "TLS ended by the peer: \"%s\"", says
		);
	return stream_fail(
		stream, STREAM_HANDSHAKE, EPROTO, "TLS handshake refused by the peer: \"%s\"", says
	);
}

// Errors of the TLS library itself.
static int fail_at_tls(struct stream *stream) {
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	bool handshake = stream->phase < STREAM_SETTLING;

	if (handshake && stream->heard == STREAM_HEARD_OTHER)
		return stream_fail(
			stream,
			STREAM_HANDSHAKE,
			EPROTO,
			"a plaintext peer: it answers, but not in TLS"
		);
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && handshake)
		return fail_at_certificate(stream, SSL_get_verify_result(stream->ssl));
	if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
		return fail_at_alert(stream, reason - SSL_AD_REASON_OFFSET);
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING && !handshake)
		return stream_fail(
			stream, STREAM_CLOSED, EPIPE, "closed by the peer, without a word of TLS"
		);
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING && stream->heard == STREAM_HEARD_NOTHING)
		return stream_fail(
			stream,
			STREAM_HANDSHAKE,
			EPROTO,
			"closed at the TLS handshake: a plaintext peer? It may speak TLS at "
			"another port"
		);
	const char *says = ERR_reason_error_string(error);
	return stream_fail(
		stream,
		handshake ? STREAM_HANDSHAKE : STREAM_OTHER,
		EPROTO,
		"TLS%s: %s",
		handshake ? " handshake" : "",
		says != NULL ? says : "unknown error"
	);
}

int stream_fail_tls(struct stream *stream, int rc, short *events) {
	int kind = SSL_get_error(stream->ssl, rc);
	int error = -EPROTO;

	switch (kind) {
	case SSL_ERROR_WANT_READ:
		*events = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*events = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return stream_fail(stream, STREAM_CLOSED, EPIPE, "closed by the peer");
	case SSL_ERROR_SYSCALL:
		error = stream_fail_errno(
			stream, stream->io_error != 0 ? stream->io_error : ECONNRESET
		);
		break;
	default:
		error = fail_at_tls(stream);
		break;
	}
	// What is left of it would be taken for the next call's.
	ERR_clear_error();
	return error;
}
