#include "sandbox.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
	GIVE_UP_LOOKS = 200, // at other threads, which may be in the midst of something
	GIVE_UP_LOOK_NS = 5000000,
};

[[gnu::format(printf, 3, 4)]] static int
fail(int rc, char error[SANDBOX_ERROR_BYTES], const char *format, ...) {
	va_list args;

	va_start(args, format);
	int used = vsnprintf(error, SANDBOX_ERROR_BYTES, format, args);
	va_end(args);
	if (used >= 0 && used < SANDBOX_ERROR_BYTES)
		snprintf(error + used, SANDBOX_ERROR_BYTES - (size_t)used, ": %s", strerror(-rc));
	return rc;
}

// The user and the capabilities.

static const struct passwd *find_user(const char *name) {
	if (name != NULL)
		return getpwnam(name);
	const struct passwd *user = getpwnam("weir");
	return user != NULL ? user : getpwnam("nobody");
}

int sandbox_user(const char *name, uid_t *user, gid_t *group) {
	errno = 0;
	const struct passwd *found = find_user(name);
	if (found == NULL)
		return errno != 0 ? -errno : -ENOENT;
	*user = found->pw_uid;
	*group = found->pw_gid;
	return 0;
}

static void choose_capabilities(uint64_t set) {
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned number = 0; number < 64; number++)
		if (set >> number & 1)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, number);
}

static int drop_user(
	const struct sandbox_config *config,
	struct sandbox_state *state,
	char error[SANDBOX_ERROR_BYTES]
) {
	errno = 0;
	const struct passwd *user = find_user(config->user);
	if (user == NULL)
		return fail(
			errno != 0 ? -errno : -ENOENT,
			error,
			"no user '%s' to run as; --user names another",
			config->user != NULL ? config->user : "nobody"
		);
	if (user->pw_uid == 0)
		return fail(-EINVAL, error, "user '%s' is root itself", user->pw_name);
	snprintf(state->user, sizeof(state->user), "%s", user->pw_name);
	choose_capabilities(config->capabilities);
	// The C library sets the IDs of every thread, and with them the kernel takes each thread's
	// capabilities; the caller's are kept by a flag of its own.
	int rc = capng_change_id(
		(int)user->pw_uid,
		(int)user->pw_gid,
		CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT
	);
	if (rc < 0)
		return fail(
			-EPERM,
			error,
			"cannot become user '%s' (step %d of libcap-ng)",
			state->user,
			-rc
		);
	if (setuid(0) == 0)
		return fail(-EPERM, error, "root could be had back");
	return 0;
}

static uint64_t effective_capabilities(const char *status_path) {
	char line[256];
	uint64_t set = 0;
	FILE *file = fopen(status_path, "re");

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "CapEff:", 7) == 0)
			set = strtoull(line + 7, NULL, 16);
	fclose(file);
	return set;
}

// Of the other threads those that have capabilities. Each is sent the signal, where it is none of
// 0.
static unsigned threads_with_capabilities(int signal_number) {
	unsigned n = 0;
	char path[300];
	DIR *threads = opendir("/proc/self/task");

	if (threads == NULL)
		return 0;
	for (const struct dirent *item; (item = readdir(threads)) != NULL;) {
		pid_t id = (pid_t)strtol(item->d_name, NULL, 10);
		if (id <= 0 || id == gettid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", item->d_name);
		if (effective_capabilities(path) == 0)
			continue;
		n++;
		if (signal_number != 0)
			(void)tgkill(getpid(), id, signal_number);
	}
	closedir(threads);
	return n;
}

static void on_give_up(int signal_number) {
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	int saved = errno;

	(void)signal_number;
	// With the permitted ones the ambient ones go.
	syscall(SYS_capset, &header, none);
	errno = saved;
}

// Capabilities are a thread's, and given up by itself alone: a signal asks each other thread to, as
// libpsx does it. One that does not answer in time keeps them, and is counted.
static void drop_threads(void) {
	const struct sigaction give_up = {.sa_handler = on_give_up, .sa_flags = SA_RESTART};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int number = SIGRTMAX - 1;

	sigaction(number, &give_up, NULL);
	for (int i = 0; i < GIVE_UP_LOOKS && threads_with_capabilities(number) > 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = GIVE_UP_LOOK_NS}, NULL);
	// The filter would take a late answer for an attack.
	sigaction(number, &ignore, NULL);
}

// As a user, with the capabilities of the program's file or of whoever started it.
static int drop_capabilities(uint64_t keep, char error[SANDBOX_ERROR_BYTES]) {
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_get_caps_process() < 0)
		return fail(-EPERM, error, "cannot read the capabilities");
	uint64_t held = 0;
	for (unsigned number = 0; number < 64; number++)
		if (capng_have_capability(CAPNG_PERMITTED, number))
			held |= UINT64_C(1) << number;
	choose_capabilities(keep & held);
	drop_threads();
	// The bounding set can be changed with CAP_SETPCAP only, and matters to what is executed
	// only, which the filter does not allow.
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || capng_apply(CAPNG_SELECT_AMBIENT) < 0)
		return fail(-EPERM, error, "cannot give up capabilities");
	return 0;
}

// The system calls.

// Allowed with any argument, and why.
static const int allowed[] = {
	// Memory: the exporter's buffers, stdio, thread stacks. mmap and mprotect stand below.
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	// Threads wait for each other, and end.
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity), // of EAL's control threads
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list),
	// Signals: SIGINT and SIGTERM end a run.
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	// Time: mostly by the vDSO; idle workers and the exporter's pacing sleep.
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(timerfd_settime), // EAL's alarms
	// What is open: captures, standard output, the ledger.
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup2), // what libraries say is kept apart
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(lseek),
	SCMP_SYS(newfstatat), // fstat() of the C library
	SCMP_SYS(pread64),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	// Waiting: a quiet worker for packets, EAL's interrupt thread for links.
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	// Sockets that are open: collectors, those of af_packet and af_xdp with their statistics,
	// and the one at which weir is asked for its flows.
	SCMP_SYS(accept4),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	// Who and where: asked by the C library and DPDK, and harmless.
	SCMP_SYS(getcpu),
	SCMP_SYS(geteuid),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(getuid),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
};

// The questions and orders to open files. What needs a capability is refused by the kernel.
static const uint64_t allowed_ioctls[] = {
	TCGETS,       // stdio: is standard output a terminal
	TIOCGWINSZ,   // how wide
	FIONREAD,     // how much is there
	SIOCGIFFLAGS, // af_packet: is the link up
	SIOCGIFINDEX,
	SIOCGIFMTU,
	SIOCETHTOOL, // af_xdp: statistics of queues
};

// With an archive, as the user that owns it: the kernel's permissions say where.
static const int for_writing[] = {
	SCMP_SYS(openat), // also to make files
	SCMP_SYS(getdents64),
	SCMP_SYS(fstatfs),
	SCMP_SYS(ftruncate),
	SCMP_SYS(mkdirat),
	SCMP_SYS(pwrite64),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlinkat),
	SCMP_SYS(setpriority), // of the thread that may be slow
};

// No weir makes these, and whoever got in would. The process ends: nothing that it says or sends
// after one of them could be trusted.
static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(chroot),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(setuid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setresuid),
	SCMP_SYS(capset),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(add_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(request_key),
	SCMP_SYS(open_by_handle_at),
};

// The leak checker looks at the process from outside when it ends.
static const int for_sanitizers[] = {
	SCMP_SYS(clone),
	SCMP_SYS(getppid),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(prctl),
	SCMP_SYS(ptrace),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(wait4),
	SCMP_SYS(getdents), // clang's
	SCMP_SYS(getdents64),
	SCMP_SYS(kill),
	SCMP_SYS(tgkill),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t n) {
	for (size_t i = 0; i < n; i++) {
		int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
		if (rc < 0)
			return rc;
	}
	return 0;
}

// Those that are harmless with some arguments only.
static int allow_some(scmp_filter_ctx filter, const struct sandbox_config *config) {
	// Memory, but none that could be written and run.
	const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable);
	if (rc == 0)
		rc = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable
		);
	// Threads, but no processes. clone3 hides its flags where a filter cannot look; told that
	// the kernel has none, the C library takes clone.
	if (rc == 0)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(clone),
			1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM
			)
		);
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc == 0)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(prctl),
			1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)
		);
	// abort() and pthread_kill(), to weir itself.
	if (rc == 0)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(tgkill),
			1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())
		);
	for (size_t i = 0; i < sizeof(allowed_ioctls) / sizeof(allowed_ioctls[0]) && rc == 0; i++)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(ioctl),
			1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, allowed_ioctls[i])
		);
	// vfio's, all of one type: interrupts, and the reset of a port that is closed.
	if (rc == 0)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(ioctl),
			1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffff00, _IO(';', 0))
		);
	// One path, told by where it stands: a filter sees no text, and nobody writes to a page
	// that is read-only. Where an archive is, unlinkat() is allowed as it is.
	if (config->delete_file != NULL && !config->write_files && rc == 0)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(unlinkat),
			3,
			SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)AT_FDCWD),
			SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)(uintptr_t)config->delete_file),
			SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, 0)
		);
	// libxdp looks into a folder of its locks; who looks up names reads /etc/hosts and
	// resolv.conf.
	if ((config->read_files || config->look_up || config->xdp) && !config->write_files
	    && rc == 0)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(openat),
			1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)
		);
	if (config->xdp) {
		if (rc == 0)
			rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 0);
		if (rc == 0)
			rc = seccomp_rule_add(
				filter,
				SCMP_ACT_ALLOW,
				SCMP_SYS(socket),
				1,
				SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)
			);
		if (rc == 0)
			rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bind), 0);
	}
	return rc;
}

// Sockets that a collector's stream makes anew, for each of its sessions. None to listen at, none
// of the machine's own, and none that is raw.
static int allow_sockets(scmp_filter_ctx filter, const struct sandbox_config *config) {
	static const int families[] = {AF_INET, AF_INET6};
	bool datagrams = config->look_up || config->datagrams;
	bool any = config->connect || datagrams;
	const int types[] = {
		config->connect || config->look_up ? SOCK_STREAM : SOCK_DGRAM,
		datagrams ? SOCK_DGRAM : SOCK_STREAM,
	};
	int rc = 0;

	if (any)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
	// To the port that the socket had.
	if (config->datagrams && rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bind), 0);
	for (unsigned i = 0; i < 4 && (rc == 0 || rc == -EEXIST) && any; i++)
		rc = seccomp_rule_add(
			filter,
			SCMP_ACT_ALLOW,
			SCMP_SYS(socket),
			2,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i % 2]),
			SCMP_A1(SCMP_CMP_MASKED_EQ,
				UINT32_MAX & ~(SOCK_NONBLOCK | SOCK_CLOEXEC),
				(scmp_datum_t)types[i / 2])
		);
	return rc == -EEXIST ? 0 : rc;
}

// What is neither listed nor deadly fails with EPERM: a sensor that has run for months is worth
// more than the call of a library that nobody thought of, and the call has not been made. The
// kernel's log tells of it.
static int install_filter(const struct sandbox_config *config, char error[SANDBOX_ERROR_BYTES]) {
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	if (filter == NULL)
		return fail(-ENOMEM, error, "seccomp");
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	// A tree rather than a list: some calls are made for each datagram.
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	// Where the kernel is too old to log, the rest still holds.
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (rc == 0)
		rc = allow_all(filter, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (rc == 0 && SANITIZED)
		rc = allow_all(
			filter, for_sanitizers, sizeof(for_sanitizers) / sizeof(for_sanitizers[0])
		);
	if (rc == 0 && config->write_files)
		rc = allow_all(filter, for_writing, sizeof(for_writing) / sizeof(for_writing[0]));
	if (rc == 0)
		rc = allow_some(filter, config);
	if (rc == 0)
		rc = allow_sockets(filter, config);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc < 0)
		return fail(rc, error, "cannot install the seccomp filter");
	return 0;
}

int sandbox_enter(
	const struct sandbox_config *config,
	struct sandbox_state *state,
	char error[SANDBOX_ERROR_BYTES]
) {
	int rc = 0;

	*state = (struct sandbox_state){0};
	error[0] = '\0';
	// What is executed gains nothing by being set-user-ID. TSYNC below makes it every thread's.
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(-errno, error, "no_new_privs");
	if (!config->keep_user) {
		if (geteuid() == 0)
			rc = drop_user(config, state, error);
		else
			rc = drop_capabilities(config->capabilities, error);
		if (rc < 0)
			return rc;
		// A change of user makes a process unreadable even to its own leak checker.
		if (SANITIZED)
			prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	}
	state->capabilities = effective_capabilities("/proc/thread-self/status");
	state->n_threads_with_capabilities = threads_with_capabilities(0);
	return install_filter(config, error);
}
