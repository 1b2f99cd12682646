#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "stream_internal.h"

[[gnu::format(printf, 3, 4)]] static int refuse(char *wrong, int error, const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(wrong, STREAM_WRONG_BYTES, format, args);
	va_end(args);
	ERR_clear_error();
	return -error;
}

// What OpenSSL says is wrong, for what there are no better words for.
static const char *reason(void) {
	const char *says = ERR_reason_error_string(ERR_peek_last_error());
	return says != NULL ? says : "unknown error";
}

// OpenSSL tells apart badly what can be read and what can be understood.
static int look_at_file(const char *path, const char *option, char *wrong) {
	FILE *file = fopen(path, "re");

	int rc = file == NULL || (fgetc(file) == EOF && ferror(file)) ? -errno : 0;
	if (file != NULL)
		fclose(file);
	if (rc < 0)
		return refuse(
			wrong,
			-rc,
			"cannot read %s %s: %s; it must be a PEM file that weir may read",
			option,
			path,
			strerror(-rc)
		);
	return 0;
}

// Authorities.

static int n_authorities(SSL_CTX *tls) {
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(tls)));
}

// Each file of a folder, now: OpenSSL would read there at each handshake, when the sandbox does not
// allow it.
static void load_folder(SSL_CTX *tls, const char *folder) {
	char path[4096];
	DIR *files = opendir(folder);

	if (files == NULL)
		return;
	for (const struct dirent *item; (item = readdir(files)) != NULL;)
		if (item->d_name[0] != '.'
		    && (size_t)snprintf(path, sizeof(path), "%s/%s", folder, item->d_name)
			       < sizeof(path))
			SSL_CTX_load_verify_file(tls, path);
	closedir(files);
}

// Where OpenSSL's own programs look too.
static int load_system_authorities(SSL_CTX *tls, char *wrong) {
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	const char *folder = secure_getenv(X509_get_default_cert_dir_env());

	SSL_CTX_load_verify_file(tls, file != NULL ? file : X509_get_default_cert_file());
	if (n_authorities(tls) == 0)
		load_folder(tls, folder != NULL ? folder : X509_get_default_cert_dir());
	ERR_clear_error();
	if (n_authorities(tls) == 0)
		return refuse(
			wrong,
			ENOENT,
			"this system trusts no authority (%s holds no certificates); --tls-ca "
			"names a PEM file with that of the collector",
			file != NULL ? file : X509_get_default_cert_file()
		);
	return 0;
}

static int load_authorities(SSL_CTX *tls, const char *path, char *wrong) {
	if (path == NULL)
		return load_system_authorities(tls, wrong);
	int rc = look_at_file(path, "--tls-ca", wrong);
	if (rc < 0)
		return rc;
	if (SSL_CTX_load_verify_file(tls, path) != 1 || n_authorities(tls) == 0)
		return refuse(
			wrong,
			EINVAL,
			"--tls-ca %s holds no certificate in PEM, whose first line says BEGIN "
			"CERTIFICATE",
			path
		);
	return 0;
}

// Our own certificate.

// Nobody is there to be asked.
static int no_passphrase(char *room, int n, int writing, void *asked) {
	(void)room;
	(void)n;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int load_key(SSL_CTX *tls, const char *path, const char *cert_path, char *wrong) {
	bool asked = false;
	int rc = look_at_file(path, "--tls-key", wrong);

	if (rc < 0)
		return rc;
	// Not by the context's own function: of a key that does not fit it says less.
	FILE *file = fopen(path, "re");
	EVP_PKEY *key =
		file != NULL ? PEM_read_PrivateKey(file, NULL, no_passphrase, &asked) : NULL;
	if (file != NULL)
		fclose(file);
	if (key == NULL && asked)
		return refuse(
			wrong,
			EINVAL,
			"--tls-key %s is locked with a passphrase, for which weir cannot ask; "
			"'openssl pkey -in FILE -out NEW' writes it without",
			path
		);
	if (key == NULL)
		return refuse(
			wrong,
			EINVAL,
			"%s holds no private key in PEM; --tls-key names a file that does",
			path
		);
	bool fits = X509_check_private_key(SSL_CTX_get0_certificate(tls), key) == 1;
	bool taken = fits && SSL_CTX_use_PrivateKey(tls, key) == 1;
	EVP_PKEY_free(key);
	if (!fits)
		return refuse(
			wrong,
			EINVAL,
			"--tls-key %s is not the key of the first certificate of --tls-cert %s",
			path,
			cert_path
		);
	if (!taken)
		return refuse(wrong, EINVAL, "--tls-key %s: %s", path, reason());
	return 0;
}

static int load_certificate(SSL_CTX *tls, const struct stream_config *config, char *wrong) {
	int rc = look_at_file(config->cert_file, "--tls-cert", wrong);

	if (rc < 0)
		return rc;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(tls, config->cert_file) != 1) {
		unsigned long error = ERR_peek_error();
		if (ERR_GET_LIB(error) == ERR_LIB_PEM || ERR_GET_LIB(error) == ERR_LIB_ASN1)
			return refuse(
				wrong,
				EINVAL,
				"--tls-cert %s holds no certificate in PEM, whose first line says "
				"BEGIN CERTIFICATE",
				config->cert_file
			);
		return refuse(wrong, EINVAL, "--tls-cert %s: %s", config->cert_file, reason());
	}
	return load_key(
		tls,
		config->key_file != NULL ? config->key_file : config->cert_file,
		config->cert_file,
		wrong
	);
}

// What OpenSSL calls.

static int on_certificate_request(SSL *ssl, void *arg) {
	struct stream *stream = SSL_get_app_data(ssl);

	(void)arg;
	stream->asked_for_certificate = true;
	return 1;
}

// Sessions are not resumed: they are long, and their templates begin anew.
static int on_ticket(SSL *ssl, SSL_SESSION *session) {
	struct stream *stream = SSL_get_app_data(ssl);

	(void)session;
	stream->ticketed = true;
	return 0;
}

// The name to expect, as certificates write it: without the dot that ends a full name, and without
// the interface of a link-local address.
static char *expected_name(const char *name) {
	struct in6_addr in6;
	char *copy = strdup(name);

	if (copy == NULL)
		return NULL;
	size_t n = strlen(copy), host = strcspn(copy, "%");
	if (n > 1 && copy[n - 1] == '.')
		copy[n - 1] = '\0';
	if (host < n) {
		copy[host] = '\0';
		if (inet_pton(AF_INET6, copy, &in6) != 1)
			copy[host] = '%';
	}
	return copy;
}

int stream_tls_load(struct stream *stream, const struct stream_config *config, char *wrong) {
	if (config->key_file != NULL && config->cert_file == NULL)
		return refuse(
			wrong, EINVAL, "--tls-key needs --tls-cert, the certificate that it is for"
		);
	stream->tls = SSL_CTX_new(TLS_client_method());
	stream->server_name =
		expected_name(config->server_name != NULL ? config->server_name : stream->host);
	if (stream->tls == NULL || stream->server_name == NULL)
		return refuse(wrong, ENOMEM, "TLS: %s", reason());
	SSL_CTX_set_min_proto_version(stream->tls, TLS1_2_VERSION);
	SSL_CTX_set_options(stream->tls, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(stream->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_cb(stream->tls, on_certificate_request, NULL);
	// Without a cache there is no word of tickets.
	SSL_CTX_set_session_cache_mode(
		stream->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
	);
	SSL_CTX_sess_set_new_cb(stream->tls, on_ticket);

	int rc = load_authorities(stream->tls, config->ca_file, wrong);
	if (rc == 0 && config->cert_file != NULL) {
		rc = load_certificate(stream->tls, config, wrong);
		stream->has_certificate = rc == 0;
	}
	return rc;
}
