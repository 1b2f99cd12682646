// Streams over TLS: which certificates are good enough, what is said of those that are not, and of
// peers that speak otherwise or not at all.

#include <errno.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "random.h"
#include "stream_fixture.h"

static uint8_t message[STREAM_MAX_MESSAGE_BYTES];

static struct stream_config config_for(const struct peer *peer) {
	return (struct stream_config){
		.address = peer->address,
		.tls = true,
		.ca_file = certificate_authority(),
		.retry_ms = 1,
	};
}

static void start(struct peer *peer, peer_fn serve, const struct peer_tls *tls) {
	peer_bind(peer, serve);
	if (tls != NULL)
		peer_use_tls(peer, tls);
	peer_start(peer);
}

static void messages_arrive_whole_with(int version) {
	uint64_t n = 0, sum = 0;
	struct peer peer;

	start(&peer, peer_reads_all, &(struct peer_tls){.version = version});
	const struct stream_config config = config_for(&peer);
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	for (unsigned i = 0; i < 40; i++) {
		size_t size = i % 2 ? sizeof(message) : 1000;
		assert_int_equal(stream_write(stream, message, size), 0);
		sum += peer_sum(message, size, n);
		n += size;
	}
	assert_int_equal(stats_of(stream).octets, n);
	assert_int_equal(failures_of(stream), 0);
	stream_close(stream);
	peer_stop(&peer);
	assert_int_equal(peer.octets, n);
	assert_int_equal(peer.sum, sum);
	assert_true(peer.farewell);
	assert_string_equal(peer.sni, ""); // an address is none
}

static void messages_arrive_whole_and_the_end_is_said(void **state) {
	(void)state;
	messages_arrive_whole_with(TLS1_2_VERSION);
	messages_arrive_whole_with(TLS1_3_VERSION);
}

static void a_name_is_asked_for_and_expected(void **state) {
	char address[32];
	struct peer peer;
	(void)state;

	start(&peer, peer_reads_all, &(struct peer_tls){0});
	struct stream_config config = config_for(&peer);
	snprintf(address, sizeof(address), "localhost:%s", peer.port);
	config.address = address;
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	stream_close(stream);
	peer_stop(&peer);
	assert_string_equal(peer.sni, "localhost");
}

static void another_name_than_the_hosts_can_be_expected(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_reads_all, &(struct peer_tls){.certificate = CERT_OTHER_NAME});
	struct stream_config config = config_for(&peer);
	config.server_name = "collector.example.";
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	stream_close(stream);
	peer_stop(&peer);
	assert_string_equal(peer.sni, "collector.example");
}

static void is_not_trusted(enum certificate certificate, const char *name, const char *said) {
	struct peer peer;

	start(&peer, peer_reads_all, &(struct peer_tls){.certificate = certificate});
	struct stream_config config = config_for(&peer);
	config.server_name = name;
	struct stream *stream = open_stream(&config);
	must_fail(stream, STREAM_UNTRUSTED, said);
	assert_int_equal(stream_sessions(stream), 0);
	assert_int_equal(stream_write(stream, message, 1), -ENOTCONN);
	stream_close(stream);
	peer_stop(&peer);
	assert_int_equal(peer.octets, 0);
}

static void certificates_that_are_not_good_enough_are_told_apart(void **state) {
	(void)state;
	is_not_trusted(CERT_EXPIRED, NULL, "has expired");
	is_not_trusted(CERT_FUTURE, NULL, "not valid yet");
	is_not_trusted(CERT_OTHER_NAME, NULL, "for another name than '127.0.0.1'; --tls-name");
	is_not_trusted(CERT_GOOD, "127.0.0.2", "for another name than '127.0.0.2'");
	is_not_trusted(CERT_GOOD, "collector.example", "for another name");
	is_not_trusted(CERT_OTHER_CA, NULL, "not trusted: unable to get local issuer");
}

static void the_systems_authorities_do_not_know_that_of_the_test(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_reads_all, &(struct peer_tls){0});
	struct stream_config config = config_for(&peer);
	config.ca_file = NULL;
	// A system without ca-certificates has none.
	char error[STREAM_ERROR_BYTES];
	setenv("SSL_CERT_FILE", "/nowhere", 1);
	setenv("SSL_CERT_DIR", "/nowhere", 1);
	assert_null(stream_open(&config, error));
	assert_non_null(strstr(error, "trusts no authority"));
	// One that has others, in a file.
	setenv("SSL_CERT_FILE", certificate_file(CERT_OTHER_CA), 1);
	struct stream *stream = open_stream(&config);
	must_fail(stream, STREAM_UNTRUSTED, "--tls-ca names the authority");
	stream_close(stream);
	setenv("SSL_CERT_FILE", certificate_authority(), 1);
	stream = open_stream(&config);
	must_connect(stream);
	stream_close(stream);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	peer_stop(&peer);
}

static void wants_our_certificate(int version) {
	struct peer peer;

	start(&peer, peer_reads_all, &(struct peer_tls){.wants_client = true, .version = version});
	struct stream_config config = config_for(&peer);
	struct stream *stream = open_stream(&config);
	must_fail(stream, STREAM_UNWELCOME, "wants a client certificate");
	// Not even for a moment, with TLS 1.3, whose client is done first.
	assert_int_equal(stream_sessions(stream), 0);
	stream_close(stream);

	config.cert_file = certificate_file(CERT_OTHER_CA);
	config.key_file = certificate_key(CERT_OTHER_CA);
	stream = open_stream(&config);
	must_fail(stream, STREAM_UNWELCOME, "does not accept our certificate");
	assert_int_equal(stream_sessions(stream), 0);
	stream_close(stream);

	config.cert_file = certificate_both(CERT_CLIENT);
	config.key_file = NULL;
	stream = open_stream(&config);
	must_connect(stream);
	assert_int_equal(stream_write(stream, message, 1000), 0);
	stream_close(stream);
	peer_stop(&peer);
	assert_int_equal(peer.octets, 1000);
}

static void a_client_certificate_is_shown_where_it_is_wanted(void **state) {
	(void)state;
	wants_our_certificate(TLS1_2_VERSION);
	wants_our_certificate(TLS1_3_VERSION);
}

static void files_that_cannot_be_used_are_refused_when_opened(void **state) {
	const char *ca = certificate_authority(), *cert = certificate_file(CERT_CLIENT),
		   *key = certificate_key(CERT_CLIENT);
	const char *text = certificate_text("text", "this is no certificate\n");
	const struct {
		const char *ca, *cert, *key, *named, *said;
	} cases[] = {
		{"/nowhere", NULL, NULL, "--tls-ca /nowhere", "No such file"},
		{"/tmp", NULL, NULL, "--tls-ca /tmp", "Is a directory"},
		{text, NULL, NULL, text, "no certificate in PEM"},
		{key, NULL, NULL, key, "no certificate in PEM"},
		{ca, "/nowhere", key, "--tls-cert /nowhere", "No such file"},
		{ca, text, key, text, "no certificate in PEM"},
		{ca, key, key, "--tls-cert", "no certificate in PEM"},
		{ca, cert, "/nowhere", "--tls-key /nowhere", "No such file"},
		{ca, cert, text, text, "no private key"},
		{ca, cert, NULL, cert, "no private key in PEM; --tls-key"},
		{ca, cert, certificate_key(CERT_GOOD), cert, "is not the key"},
		{ca, cert, certificate_locked_key(), "--tls-key", "openssl pkey"},
		{ca, NULL, key, "--tls-cert", "--tls-key needs"},
	};
	(void)state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[STREAM_ERROR_BYTES] = "";
		assert_null(stream_open(
			&(struct stream_config){
				.address = "127.0.0.1:4740",
				.tls = true,
				.ca_file = cases[i].ca,
				.cert_file = cases[i].cert,
				.key_file = cases[i].key,
			},
			error
		));
		if (strstr(error, "127.0.0.1:4740") == NULL || strstr(error, cases[i].named) == NULL
		    || strstr(error, cases[i].said) == NULL || strchr(error, '\n') != NULL)
			fail_msg("case %u: %s", i, error);
	}
}

static void peers_without_tls_are_recognised(void **state) {
	struct peer peer;
	struct stream *stream;
	(void)state;

	// Says something.
	start(&peer, peer_talks, NULL);
	struct stream_config config = config_for(&peer);
	stream = open_stream(&config);
	must_fail(stream, STREAM_HANDSHAKE, "a plaintext peer");
	stream_close(stream);
	peer_stop(&peer);
	// Says nothing and closes, as an IPFIX collector for which our hello is no message.
	start(&peer, peer_closes, NULL);
	config = config_for(&peer);
	config.retry_ms = 0;
	stream = open_stream(&config);
	must_fail(stream, STREAM_HANDSHAKE, "a plaintext peer?");
	stream_close(stream);
	peer_stop(&peer);
	// Says nothing.
	start(&peer, peer_waits, NULL);
	config = config_for(&peer);
	config.connect_ms = 100;
	stream = open_stream(&config);
	must_fail(stream, STREAM_SILENT, "no answer to the TLS handshake within 100 ms");
	stream_close(stream);
	peer_stop(&peer);
}

static void versions_before_1_2_are_not_spoken(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_reads_all, &(struct peer_tls){.version = TLS1_1_VERSION});
	const struct stream_config config = config_for(&peer);
	struct stream *stream = open_stream(&config);
	must_fail(stream, STREAM_HANDSHAKE, "protocol version");
	stream_close(stream);
	peer_stop(&peer);
}

static void a_peer_that_does_not_read_is_given_up(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_waits, &(struct peer_tls){0});
	struct stream_config config = config_for(&peer);
	config.stall_ms = 200 * TEST_SLOWNESS;
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	assert_int_equal(write_until_error(stream, message, sizeof(message)), -ETIMEDOUT);
	assert_non_null(strstr(stream_error(stream), "stalled"));
	assert_int_equal(stats_of(stream).failures[STREAM_STALLED], 1);
	stream_close(stream);
	peer_stop(&peer);
}

static void a_reset_in_the_middle_of_a_record_ends_the_session_alone(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_resets_in_the_middle, &(struct peer_tls){0});
	const struct stream_config config = config_for(&peer);
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	assert_int_equal(write_until_error(stream, message, sizeof(message)), -ECONNRESET);
	assert_int_equal(stats_of(stream).failures[STREAM_RESET], 1);
	must_connect(stream);
	assert_int_equal(stream_sessions(stream), 2);
	stream_close(stream);
	peer_stop(&peer);
}

static void a_close_is_noticed_while_nothing_is_written(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_closes_when_told, &(struct peer_tls){0});
	const struct stream_config config = config_for(&peer);
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	peer_tell(&peer);
	must_fail(stream, STREAM_CLOSED, "closed by the peer");
	must_connect(stream);
	assert_int_equal(stream_sessions(stream), 2);
	assert_int_equal(stream_write(stream, message, 100), 0);
	stream_close(stream);
	peer_stop(&peer);
}

static void what_a_peer_says_is_not_listened_to(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_talks, &(struct peer_tls){0});
	const struct stream_config config = config_for(&peer);
	struct stream *stream = open_stream(&config);
	must_connect(stream);
	for (unsigned i = 0; i < 200 || stats_of(stream).octets_discarded == 0; i++)
		assert_int_equal(stream_write(stream, message, 1000), 0);
	assert_int_equal(failures_of(stream), 0);
	stream_close(stream);
	peer_stop(&peer);
}

static void a_hundred_sessions_leave_no_file_open(void **state) {
	struct peer peer;
	(void)state;

	start(&peer, peer_reads_all, &(struct peer_tls){0});
	const struct stream_config config = config_for(&peer);
	unsigned before = n_files();
	for (unsigned i = 0; i < 100; i++) {
		struct stream *stream = open_stream(&config);
		must_connect(stream);
		assert_int_equal(stream_write(stream, message, 1000), 0);
		stream_close(stream);
	}
	assert_int_equal(n_files(), before);
	peer_stop(&peer);
	assert_int_equal(peer.octets, 100000);
}

static void an_abort_ends_the_wait_for_a_handshake(void **state) {
	struct peer peer;
	pthread_t thread;
	(void)state;

	start(&peer, peer_waits, NULL);
	struct stream_config config = config_for(&peer);
	config.connect_ms = 60000;
	struct stream *stream = open_stream(&config);
	assert_int_equal(pthread_create(&thread, NULL, abort_soon, stream), 0);
	int64_t begin_ms = now_ms();
	assert_int_equal(stream_connect(stream, 60000), -ECANCELED);
	assert_true(now_ms() - begin_ms < 10000);
	pthread_join(thread, NULL);
	stream_close(stream);
	peer_stop(&peer);
}

static int make(void **state) {
	(void)state;
	certificates_make();
	return 0;
}

static int remove_made(void **state) {
	(void)state;
	certificates_remove();
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_whole_and_the_end_is_said),
		cmocka_unit_test(a_name_is_asked_for_and_expected),
		cmocka_unit_test(another_name_than_the_hosts_can_be_expected),
		cmocka_unit_test(certificates_that_are_not_good_enough_are_told_apart),
		cmocka_unit_test(the_systems_authorities_do_not_know_that_of_the_test),
		cmocka_unit_test(a_client_certificate_is_shown_where_it_is_wanted),
		cmocka_unit_test(files_that_cannot_be_used_are_refused_when_opened),
		cmocka_unit_test(peers_without_tls_are_recognised),
		cmocka_unit_test(versions_before_1_2_are_not_spoken),
		cmocka_unit_test(a_peer_that_does_not_read_is_given_up),
		cmocka_unit_test(a_reset_in_the_middle_of_a_record_ends_the_session_alone),
		cmocka_unit_test(a_close_is_noticed_while_nothing_is_written),
		cmocka_unit_test(what_a_peer_says_is_not_listened_to),
		cmocka_unit_test(a_hundred_sessions_leave_no_file_open),
		cmocka_unit_test(an_abort_ends_the_wait_for_a_handshake),
	};
	struct random random = {1};

	random_fill(&random, message, sizeof(message));
	return cmocka_run_group_tests(tests, make, remove_made);
}
