#include "certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
	PATH_BYTES = 64,
	MAX_FILES = 40,
	DAY_S = 24 * 60 * 60,
};

struct pair {
	EVP_PKEY *key;
	X509 *certificate;
};

static char folder[] = "/tmp/weir-certificates-XXXXXX";
static char paths[MAX_FILES][PATH_BYTES];
static unsigned n_paths;
static char *files[CERTIFICATES], *keys[CERTIFICATES], *both[CERTIFICATES];
static char *authority, *locked_key;

static char *new_path(const char *name, const char *kind) {
	assert_true(n_paths < MAX_FILES);
	char *path = paths[n_paths++];
	assert_true(snprintf(path, PATH_BYTES, "%s/%s%s", folder, name, kind) < PATH_BYTES);
	return path;
}

static FILE *create(const char *path) {
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	return file;
}

static char *write_certificate(const char *name, X509 *certificate) {
	char *path = new_path(name, ".crt");
	FILE *file = create(path);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	return path;
}

static char *write_key(const char *name, EVP_PKEY *key) {
	char *path = new_path(name, ".key");
	FILE *file = create(path);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	return path;
}

static char *write_both(const char *name, const struct pair *pair) {
	char *path = new_path(name, ".pem");
	FILE *file = create(path);
	assert_int_equal(PEM_write_X509(file, pair->certificate), 1);
	assert_int_equal(PEM_write_PrivateKey(file, pair->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	return path;
}

static void extend(X509 *certificate, int kind, const char *value) {
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself: then it is an authority.
static struct pair
make(const char *name, const char *names, const struct pair *issuer, long from_s, long to_s) {
	static long serial = 1;
	struct pair pair = {EVP_EC_gen("P-256"), X509_new()};

	assert_non_null(pair.key);
	assert_non_null(pair.certificate);
	X509 *certificate = pair.certificate;
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
	X509_set_pubkey(certificate, pair.key);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(certificate),
		"CN",
		MBSTRING_ASC,
		(const unsigned char *)name,
		-1,
		-1,
		0
	);
	X509_set_issuer_name(
		certificate,
		X509_get_subject_name(issuer != NULL ? issuer->certificate : certificate)
	);
	if (issuer == NULL)
		extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
	if (names != NULL)
		extend(certificate, NID_subject_alt_name, names);
	EVP_PKEY *signer = issuer != NULL ? issuer->key : pair.key;
	assert_true(X509_sign(certificate, signer, EVP_sha256()) > 0);
	return pair;
}

static void pair_free(struct pair *pair) {
	EVP_PKEY_free(pair->key);
	X509_free(pair->certificate);
}

void certificates_make(void) {
	const char *here = "DNS:localhost,IP:127.0.0.1,IP:::1";
	const long year_s = 365L * DAY_S;

	assert_non_null(mkdtemp(folder));
	struct pair ca = make("Test Authority", NULL, NULL, -2 * year_s, 2 * year_s);
	struct pair other = make("Other Authority", NULL, NULL, -DAY_S, year_s);
	const struct {
		const char *name, *names;
		const struct pair *issuer;
		long from_s, to_s;
	} wanted[CERTIFICATES] = {
		[CERT_GOOD] = {"good", here, &ca, -DAY_S, year_s},
		[CERT_EXPIRED] = {"expired", here, &ca, -year_s, -DAY_S},
		[CERT_FUTURE] = {"future", here, &ca, DAY_S, year_s},
		[CERT_OTHER_NAME] = {"other-name", "DNS:collector.example", &ca, -DAY_S, year_s},
		[CERT_OTHER_CA] = {"other-ca", here, &other, -DAY_S, year_s},
		[CERT_CLIENT] = {"client", NULL, &ca, -DAY_S, year_s},
	};
	for (unsigned i = 0; i < CERTIFICATES; i++) {
		struct pair pair =
			make(wanted[i].name,
			     wanted[i].names,
			     wanted[i].issuer,
			     wanted[i].from_s,
			     wanted[i].to_s);
		files[i] = write_certificate(wanted[i].name, pair.certificate);
		keys[i] = write_key(wanted[i].name, pair.key);
		both[i] = write_both(wanted[i].name, &pair);
		if (i == CERT_CLIENT) {
			locked_key = new_path("locked", ".key");
			FILE *file = create(locked_key);
			assert_int_equal(
				PEM_write_PKCS8PrivateKey(
					file, pair.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL
				),
				1
			);
			fclose(file);
		}
		pair_free(&pair);
	}
	authority = write_certificate("authority", ca.certificate);
	pair_free(&ca);
	pair_free(&other);
}

void certificates_remove(void) {
	for (unsigned i = 0; i < n_paths; i++)
		unlink(paths[i]);
	rmdir(folder);
}

const char *certificate_file(enum certificate certificate) {
	return files[certificate];
}

const char *certificate_key(enum certificate certificate) {
	return keys[certificate];
}

const char *certificate_both(enum certificate certificate) {
	return both[certificate];
}

const char *certificate_locked_key(void) {
	return locked_key;
}

const char *certificate_authority(void) {
	return authority;
}

const char *certificate_text(const char *name, const char *text) {
	const char *path = new_path(name, ".txt");
	FILE *file = create(path);

	fputs(text, file);
	fclose(file);
	return path;
}
