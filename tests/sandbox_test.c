// The sandbox, entered by children: what works in it, what does not, and what they have become.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector.h"
#include "exporter.h"
#include "random.h"
#include "record_ring.h"
#include "sandbox.h"
#include "stream.h"
#include "stream_peer.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

// A child has no cmocka: it ends with the line where something was otherwise.
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static int status_of(void (*child)(void)) {
	int status;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void succeeds(void (*child)(void)) {
	assert_int_equal(status_of(child), 0);
}

static void dies_of(void (*child)(void), int signal_number) {
	int status = status_of(child);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signal_number);
}

static void enter(const struct sandbox_config *config, struct sandbox_state *state) {
	char error[SANDBOX_ERROR_BYTES];

	if (sandbox_enter(config, state, error) < 0) {
		fprintf(stderr, "%s\n", error);
		_exit(1);
	}
}

static void enter_filter_alone(void) {
	struct sandbox_state state;
	enter(&(struct sandbox_config){.keep_user = true}, &state);
}

// Of each thread of the process, the lines of its status with this key are `value`.
static bool all_threads_have(const char *key, const char *value) {
	char path[64], line[256];
	bool all = true;

	for (pid_t id = getpid(); id < getpid() + 64; id++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/status", id);
		FILE *file = fopen(path, "re");
		if (file == NULL)
			continue;
		while (fgets(line, sizeof(line), file) != NULL)
			if (strncmp(line, key, strlen(key)) == 0)
				all &= strstr(line + strlen(key), value) != NULL;
		fclose(file);
	}
	return all;
}

static void *sleep_long(void *arg) {
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void root_is_gone_from_every_thread_child(void) {
	// Reading stays, so that the threads can be looked at.
	const struct sandbox_config config = {.read_files = true};
	struct sandbox_state state;
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, sleep_long, NULL) == 0);
	enter(&config, &state);
	MUST(getuid() != 0 && geteuid() != 0);
	MUST(strcmp(state.user, "nobody") == 0 || strcmp(state.user, "weir") == 0);
	MUST(state.capabilities == 0 && state.n_threads_with_capabilities == 0);
	MUST(all_threads_have("CapEff:", "0000000000000000"));
	MUST(all_threads_have("CapPrm:", "0000000000000000"));
	MUST(all_threads_have("NoNewPrivs:", "1"));
	MUST(all_threads_have("Seccomp:", "2"));
	char uid[32];
	snprintf(uid, sizeof(uid), "%u\t%u\t%u\t%u", getuid(), getuid(), getuid(), getuid());
	MUST(all_threads_have("Uid:", uid));
	MUST(all_threads_have("Groups:", "\t \n") || all_threads_have("Groups:", " \n"));
}

static void root_is_gone_from_every_thread(void **state) {
	(void)state;
	succeeds(root_is_gone_from_every_thread_child);
}

static void asked_for_capabilities_stay_child(void) {
	const struct sandbox_config config = {.capabilities = 1 << 12, .read_files = true};
	struct sandbox_state state;
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, sleep_long, NULL) == 0);
	enter(&config, &state);
	MUST(getuid() != 0);
	MUST(state.capabilities == 1 << 12); // CAP_NET_ADMIN
	MUST(state.n_threads_with_capabilities == 0);
}

static void capabilities_that_a_driver_needs_stay_with_the_caller(void **state) {
	(void)state;
	succeeds(asked_for_capabilities_stay_child);
}

#if TEST_SLOWNESS <= 5 // ThreadSanitizer has a thread of its own, which takes no signals

// As a service manager starts weir: a user, and every thread with capabilities.
static void user_with_capabilities_child(void) {
	const struct sandbox_config config = {.capabilities = 1 << 12, .read_files = true};
	struct sandbox_state state;
	pthread_t threads[3];

	MUST(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
	MUST(setresuid(65534, 65534, 65534) == 0);
	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&threads[i], NULL, sleep_long, NULL) == 0);
	MUST(!all_threads_have("CapEff:", "0000000000000000"));
	enter(&config, &state);
	MUST(state.user[0] == '\0' && state.capabilities == 1 << 12);
	MUST(state.n_threads_with_capabilities == 0);
	// Of the caller too, what it did not ask for.
	MUST(!all_threads_have("CapEff:", "0000000000000000"));
	MUST(all_threads_have("CapEff:", "000000000000"));
	MUST(all_threads_have("CapAmb:", "0000000000000000"));
}

static void a_user_leaves_capabilities_to_no_other_thread(void **state) {
	(void)state;
	succeeds(user_with_capabilities_child);
}

#endif

static void unknown_user_child(void) {
	const struct sandbox_config config = {.user = "weir-no-such-user"};
	char error[SANDBOX_ERROR_BYTES];
	struct sandbox_state state;

	MUST(sandbox_enter(&config, &state, error) == -ENOENT);
	MUST(strstr(error, "weir-no-such-user") != NULL && strstr(error, "--user") != NULL);
	MUST(geteuid() == 0);
}

static void root_user_child(void) {
	char error[SANDBOX_ERROR_BYTES];
	struct sandbox_state state;

	MUST(sandbox_enter(&(struct sandbox_config){.user = "root"}, &state, error) == -EINVAL);
}

static void no_such_user_and_root_are_refused(void **state) {
	(void)state;
	succeeds(unknown_user_child);
	succeeds(root_user_child);
}

static void as_nobody_child(void) {
	struct sandbox_state state;

	MUST(setgid(65534) == 0 && setuid(65534) == 0);
	enter(&(struct sandbox_config){.capabilities = 1 << 12}, &state);
	MUST(state.user[0] == '\0' && state.capabilities == 0);
	MUST(socket(AF_INET, SOCK_DGRAM, 0) == -1 && errno == EPERM);
}

static void a_start_without_root_is_filtered_too(void **state) {
	(void)state;
	succeeds(as_nobody_child);
}

static void nothing_new_child(void) {
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	MUST(fd >= 0);
	enter_filter_alone();
	errno = 0;
	MUST(socket(AF_INET, SOCK_DGRAM, 0) == -1 && errno == EPERM);
	MUST(socket(AF_NETLINK, SOCK_RAW, 0) == -1 && errno == EPERM);
	struct sockaddr_in in = {.sin_family = AF_INET};
	MUST(connect(fd, (void *)&in, sizeof(in)) == -1 && errno == EPERM);
	MUST(bind(fd, (void *)&in, sizeof(in)) == -1 && errno == EPERM);
	MUST(mkdir("/tmp/weir-sandbox-test", 0700) == -1 && errno == EPERM);
	MUST(unlink("/tmp/weir-sandbox-test") == -1 && errno == EPERM);
	if (!SANITIZED) {
		MUST(open("/etc/passwd", O_RDONLY) == -1 && errno == EPERM);
		MUST(kill(getppid(), 0) == -1 && errno == EPERM);
		// Neither new memory nor old becomes executable.
		MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
		     == MAP_FAILED);
		void *memory =
			mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
			);
		MUST(memory != MAP_FAILED);
		MUST(mprotect(memory, 4096, PROT_READ | PROT_EXEC) == -1 && errno == EPERM);
		MUST(fork() == -1);
	}
}

static void nothing_is_opened_made_or_run_any_more(void **state) {
	(void)state;
	succeeds(nothing_new_child);
}

static void read_only_child(void) {
	const struct sandbox_config config = {.keep_user = true, .read_files = true};
	struct sandbox_state state;

	enter(&config, &state);
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0 && close(fd) == 0);
	if (!SANITIZED) {
		MUST(open("/dev/null", O_WRONLY) == -1 && errno == EPERM);
		MUST(open("/tmp/weir-sandbox-test", O_RDONLY | O_CREAT, 0600) == -1
		     && errno == EPERM);
	}
}

static void files_can_yet_be_read_where_asked_for(void **state) {
	(void)state;
	succeeds(read_only_child);
}

// One file may be deleted, told by the pointer that its path stands at.
static void deleting_child(void) {
	char path[] = "/tmp/weir-sandbox-delete-XXXXXX", other[sizeof(path)];
	int fd = mkstemp(path);
	const struct sandbox_config config = {.keep_user = true, .delete_file = path};
	struct sandbox_state state;

	MUST(fd >= 0);
	memcpy(other, path, sizeof(path));
	enter(&config, &state);
	MUST(unlinkat(AT_FDCWD, other, 0) == -1 && errno == EPERM);
	MUST(unlinkat(fd, path, 0) == -1 && errno == EPERM);
	MUST(unlinkat(AT_FDCWD, path, AT_REMOVEDIR) == -1 && errno == EPERM);
	MUST(unlink(path) == -1 && errno == EPERM);
	MUST(unlinkat(AT_FDCWD, path, 0) == 0);
	MUST(unlinkat(AT_FDCWD, path, 0) == -1 && errno == ENOENT);
}

static void one_file_can_yet_be_deleted_where_asked_for(void **state) {
	(void)state;
	succeeds(deleting_child);
}

static char folder[] = "/tmp/weir-sandbox-XXXXXX";

// What an archive does, and nothing beyond.
static void writing_child(void) {
	const struct sandbox_config config = {.keep_user = true, .write_files = true};
	struct sandbox_state state;
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	MUST(dir >= 0);
	enter(&config, &state);
	MUST(mkdirat(dir, "hour", 0700) == 0);
	int fd = openat(dir, "hour/a", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	MUST(fd >= 0);
	MUST(pwrite(fd, "weir", 4, 0) == 4 && ftruncate(fd, 2) == 0 && fsync(fd) == 0);
	MUST(close(fd) == 0);
	MUST(renameat(dir, "hour/a", dir, "hour/b") == 0);
	DIR *hour = fdopendir(openat(dir, "hour", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(hour != NULL && readdir(hour) != NULL && closedir(hour) == 0);
	MUST(unlinkat(dir, "hour/b", 0) == 0);
	MUST(unlinkat(dir, "hour", AT_REMOVEDIR) == 0);
	MUST(symlinkat("/", dir, "root") == -1 && errno == EPERM);
	MUST(fchmodat(dir, ".", 0777, 0) == -1 && errno == EPERM);
	MUST(socket(AF_INET, SOCK_DGRAM, 0) == -1 && errno == EPERM);
}

static void files_can_yet_be_made_where_asked_for(void **state) {
	(void)state;
	assert_non_null(mkdtemp(folder));
	succeeds(writing_child);
	assert_int_equal(rmdir(folder), 0);
}

static void executing_child(void) {
	enter_filter_alone();
	execl("/bin/true", "true", NULL);
}

static void unsharing_child(void) {
	enter_filter_alone();
	unshare(CLONE_NEWUSER);
}

static void *execute(void *arg) {
	// Until the caller is in the sandbox; signals are allowed there.
	while (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
		;
	execl("/bin/true", "true", NULL);
	return arg;
}

static void executing_thread_child(void) {
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, execute, NULL) == 0);
	enter_filter_alone();
	pthread_join(thread, NULL);
}

static void what_only_an_intruder_does_ends_the_process(void **state) {
	(void)state;
	dies_of(executing_child, SIGSYS);
	dies_of(unsharing_child, SIGSYS);
	dies_of(executing_thread_child, SIGSYS);
}

static void *add_one(void *arg) {
	++*(int *)arg;
	return NULL;
}

static void running_child(void) {
	int pipe_fds[2], n = 0;
	char octet = 'x';
	pthread_t thread;
	struct timespec now;

	MUST(pipe(pipe_fds) == 0);
	enter_filter_alone();
	MUST(write(pipe_fds[1], &octet, 1) == 1 && read(pipe_fds[0], &octet, 1) == 1);
	MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	MUST(nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL) == 0);
	void *memory = malloc(64 << 20);
	MUST(memory != NULL);
	memset(memory, 1, 64 << 20);
	free(memory);
	// Threads start, have names, and end.
	MUST(pthread_create(&thread, NULL, add_one, &n) == 0);
	pthread_setname_np(thread, "weir-test");
	MUST(pthread_join(thread, NULL) == 0 && n == 1);
	fprintf(stderr, "%s", "");
	signal(SIGTERM, SIG_IGN);
	MUST(raise(SIGTERM) == 0);
}

static void aborting_child(void) {
	enter_filter_alone();
	abort();
}

static void what_a_sensor_does_goes_on(void **state) {
	(void)state;
	succeeds(running_child);
	dies_of(aborting_child, SIGABRT);
}

static char destination[32];

static void exporting_child(void) {
	char error[COLLECTOR_ERROR_BYTES];
	struct sandbox_state state;
	struct ring *ring = ring_new(64, sizeof(struct flow_record));
	struct destination *to = destination_open(
		&(struct destination_config){
			.collector =
				{
					.destination = destination,
					.encoder =
						{
							.source_id = 1,
							.template_interval_ms = 30000,
							.template_packets = 100,
							.sampling_interval = 1,
						},
					.rate = {100, PACER_DATAGRAMS},
				},
		},
		error
	);
	MUST(ring != NULL && to != NULL);
	struct exporter *exporter = exporter_start(&(struct exporter_config){
		.rings = &ring,
		.n_rings = 1,
		.destinations = &to,
		.n_destinations = 1,
		.sampling_rate = 1,
	});
	MUST(exporter != NULL);
	enter(&(struct sandbox_config){.keep_user = geteuid() != 0}, &state);
	MUST(getuid() != 0);

	*(struct flow_record *)ring_reserve(ring) = record_mark(1, 100);
	ring_push(ring);
	for (unsigned i = 0; i < 50; i++) {
		struct flow_record *record = ring_reserve(ring);
		*record = (struct flow_record){.packets = 1, .octets = 40, .end = FLOW_END_IDLE};
		record->key.family = i % 2 ? FLOW_IPV4 : FLOW_IPV6;
		ring_push(ring);
	}
	*(struct flow_record *)ring_reserve(ring) = record_mark(RECORD_ORDER_END, 100);
	ring_push(ring);
	ring_publish(ring);
	exporter_join(exporter);
	destination_stop(to);
	struct destination_stats stats;
	destination_stats(to, &stats);
	MUST(stats.records == 50 && stats.collector.records_sent == 50);
	MUST(stats.collector.datagrams_sent >= 2);
	destination_close(to);
	ring_free(ring);
}

static void records_still_reach_their_collector(void **state) {
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(in);
	uint8_t datagram[2048];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	(void)state;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (void *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (void *)&in, &length), 0);
	snprintf(destination, sizeof(destination), "127.0.0.1:%u", ntohs(in.sin_port));
	succeeds(exporting_child);
	ssize_t n = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
	assert_true(n > 20 && datagram[0] == 0 && datagram[1] == 9);
	close(fd);
}

static int peer_port;

// A stream opened before, connected after. With TLS the peer is the child's own.
static void connecting_child(bool tls, const char *host) {
	char address[64], error[STREAM_ERROR_BYTES];
	struct sandbox_state state;
	struct peer peer = {0};

	snprintf(address, sizeof(address), "%s:%d", host, peer_port);
	if (tls) {
		peer_bind(&peer, peer_reads_all);
		peer_use_tls(&peer, &(struct peer_tls){.certificate = CERT_GOOD});
		peer_start(&peer);
		snprintf(address, sizeof(address), "%s:%s", host, peer.port);
	}
	struct stream *stream = stream_open(
		&(struct stream_config){
			.address = address,
			.tls = tls,
			.ca_file = tls ? certificate_authority() : NULL,
		},
		error
	);
	MUST(stream != NULL);
	enter(
		&(struct sandbox_config){
			.keep_user = geteuid() != 0,
			.connect = true,
			.look_up = stream_needs_names(stream),
		},
		&state
	);
	MUST(getuid() != 0);
	if (stream_connect(stream, 10000) != 1) {
		fprintf(stderr, "%s\n", stream_error(stream));
		_exit(1);
	}
	MUST(stream_write(stream, "weir", 4) == 0);
	stream_close(stream);
	if (tls) {
		peer_stop(&peer);
		MUST(peer.octets == 4 && peer.farewell);
	}
}

static void tcp_child(void) {
	connecting_child(false, "127.0.0.1");
}

static void named_tcp_child(void) {
	connecting_child(false, "localhost");
}

static void tls_child(void) {
	connecting_child(true, "127.0.0.1");
}

static void named_tls_child(void) {
	connecting_child(true, "localhost");
}

static void streams_still_find_their_collector(void **state) {
	struct peer peer;
	(void)state;

	// Its kernel accepts for it.
	peer_bind(&peer, peer_reads_all);
	assert_int_equal(listen(peer.listener, 4), 0);
	peer_port = (int)strtol(peer.port, NULL, 10);
	succeeds(tcp_child);
	succeeds(named_tcp_child);
	peer_stop(&peer);
	certificates_make();
	succeeds(tls_child);
	succeeds(named_tls_child);
	certificates_remove();
}

static void no_more_than_connecting(bool look_up) {
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sandbox_state state;

	enter(&(struct sandbox_config){.keep_user = true, .connect = true, .look_up = look_up},
	      &state);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	MUST(fd >= 0);
	MUST(bind(fd, (void *)&in, sizeof(in)) == -1 && errno == EPERM);
	MUST(listen(fd, 1) == -1 && errno == EPERM);
	MUST((socket(AF_INET, SOCK_DGRAM, 0) >= 0) == look_up);
	MUST(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) == -1 && errno == EPERM);
	MUST(socket(AF_INET, SOCK_SEQPACKET, 0) == -1 && errno == EPERM);
	MUST(socket(AF_UNIX, SOCK_STREAM, 0) == -1 && errno == EPERM);
	MUST(socket(AF_PACKET, SOCK_DGRAM, 0) == -1 && errno == EPERM);
	MUST(socket(AF_NETLINK, SOCK_DGRAM, 0) == -1 && errno == EPERM);
	if (!SANITIZED) {
		MUST((open("/etc/hosts", O_RDONLY) >= 0) == look_up);
		MUST(open("/dev/null", O_WRONLY) == -1 && errno == EPERM);
	}
}

static void connecting_alone_child(void) {
	no_more_than_connecting(false);
}

static void looking_up_child(void) {
	no_more_than_connecting(true);
}

static void streams_are_allowed_no_more_than_they_need(void **state) {
	(void)state;
	succeeds(connecting_alone_child);
	succeeds(looking_up_child);
}

// cmocka's skip() is a failure in TAP: what cannot run is left out of the list, and said.
#define WITHOUT_ROOT                                                                               \
	cmocka_unit_test(nothing_is_opened_made_or_run_any_more),                                  \
		cmocka_unit_test(files_can_yet_be_read_where_asked_for),                           \
		cmocka_unit_test(one_file_can_yet_be_deleted_where_asked_for),                     \
		cmocka_unit_test(files_can_yet_be_made_where_asked_for),                           \
		cmocka_unit_test(what_only_an_intruder_does_ends_the_process),                     \
		cmocka_unit_test(what_a_sensor_does_goes_on),                                      \
		cmocka_unit_test(records_still_reach_their_collector),                             \
		cmocka_unit_test(streams_still_find_their_collector),                              \
		cmocka_unit_test(streams_are_allowed_no_more_than_they_need)

int main(void) {
	const struct CMUnitTest without_root[] = {WITHOUT_ROOT};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_gone_from_every_thread),
		cmocka_unit_test(capabilities_that_a_driver_needs_stay_with_the_caller),
#if TEST_SLOWNESS <= 5
		cmocka_unit_test(a_user_leaves_capabilities_to_no_other_thread),
#endif
		cmocka_unit_test(no_such_user_and_root_are_refused),
		cmocka_unit_test(a_start_without_root_is_filtered_too),
		WITHOUT_ROOT,
	};

	if (geteuid() != 0) {
		printf("# without root: what gives up root is not tested\n");
		return cmocka_run_group_tests(without_root, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
