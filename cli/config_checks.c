#include "config_checks.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "stream.h"

void config_place(const struct run_options *options, const char *key) {
	const struct setting *setting = setting_of_key(key);
	options_place(
		options->values.file, setting_values_line(&options->values, setting), setting
	);
}

bool config_user(const struct run_options *options, uid_t *user, gid_t *group) {
	const struct passwd *found = getpwnam(options->user != NULL ? options->user : "weir");

	*user = geteuid();
	*group = getegid();
	if (options->no_sandbox || geteuid() != 0)
		return true;
	if (found == NULL && options->user == NULL)
		found = getpwnam("nobody");
	if (found == NULL)
		return false;
	*user = found->pw_uid;
	*group = found->pw_gid;
	return true;
}

static int check_user(const struct run_options *options) {
	const char *name = options->user;

	if (name == NULL || options->no_sandbox)
		return 0;
	const struct passwd *found = getpwnam(name);
	config_place(options, "security.user");
	if (found == NULL)
		return options_mistake(
			"%s: there is no such user here; 'useradd --system %s' makes it, or remove "
			"the line",
			name,
			name
		);
	if (found->pw_uid == 0)
		return options_mistake(
			"%s: that is root itself; name a user who may do little, or set "
			"security.sandbox to false",
			name
		);
	return 0;
}

static bool has_tls_collector(const struct run_options *options) {
	static const char scheme[] = "ipfix+tls://";

	for (unsigned i = 0; i < options->send.n_collectors; i++)
		if (strncmp(options->send.collectors[i], scheme, sizeof(scheme) - 1) == 0)
			return true;
	return false;
}

// The key that a mistake about certificates is about, by the option that it begins with or names.
static const char *tls_key_of(const char *mistake) {
	static const char *const options[] = {"--tls-key", "--tls-cert", "--tls-ca"};
	static const char *const keys[] = {"export.tls_key", "export.tls_cert", "export.tls_ca"};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strstr(mistake, options[i]) != NULL)
			return keys[i];
	return "export.collectors";
}

// Certificates are read as a session over TLS reads them; none is begun.
static int check_tls(const struct run_options *options) {
	static const char *const keys[] = {
		"export.tls_ca", "export.tls_cert", "export.tls_key", "export.tls_name"};
	const struct collector_tls *tls = &options->send.tls;
	const char *const given[] = {tls->ca_file, tls->cert_file, tls->key_file, tls->server_name};
	bool used = has_tls_collector(options);
	char wrong[STREAM_ERROR_BYTES];
	int rc = 0;

	for (size_t i = 0; !used && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (given[i] != NULL) {
			config_place(options, keys[i]);
			rc = options_mistake(
				"says nothing without a collector over TLS; write one such as "
				"ipfix+tls://192.0.2.10:4740, or remove the line"
			);
		}
	if (!used)
		return rc;
	struct stream *stream = stream_open(
		&(struct stream_config){
			.address = "127.0.0.1:1", // no name: nobody is asked for it
			.name = "TLS",
			.tls = true,
			.ca_file = tls->ca_file,
			.cert_file = tls->cert_file,
			.key_file = tls->key_file,
			.server_name = tls->server_name,
		},
		wrong
	);
	if (stream == NULL) {
		config_place(options, tls_key_of(wrong));
		const char *cause = strstr(wrong, "TLS: ");
		rc = options_mistake("%s", cause != NULL ? cause + strlen("TLS: ") : wrong);
	}
	stream_close(stream);
	return rc;
}

bool config_checks(const struct run_options *options) {
	int user = check_user(options), tls = check_tls(options);

	options_place(NULL, 0, NULL);
	return user == 0 && tls == 0;
}
