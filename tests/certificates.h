// Certificates for tests: made when they are wanted, gone with their folder.

#pragma once

enum certificate {
	CERT_GOOD,       // for localhost, 127.0.0.1 and ::1, of the authority
	CERT_EXPIRED,    // the same, a year ago
	CERT_FUTURE,     // the same, in a year
	CERT_OTHER_NAME, // for collector.example
	CERT_OTHER_CA,   // as the good one, of an authority that nobody trusts
	CERT_CLIENT,     // the exporter's, of the authority
	CERTIFICATES,
};

// Makes all of them in a new folder. Once, before any of the others.
void certificates_make(void);
void certificates_remove(void);

// Paths, which hold until the end.
const char *certificate_file(enum certificate certificate);
const char *certificate_key(enum certificate certificate);
const char *certificate_both(enum certificate certificate); // certificate and key in one
const char *certificate_locked_key(void);                   // CERT_CLIENT's, with a passphrase
const char *certificate_authority(void);

// Makes a file of `text` in the folder.
const char *certificate_text(const char *name, const char *text);
