// The sandbox: what weir gives up once its ports, sockets and files are open.
//
// First the user: from root to one that owns nothing; with it go all capabilities but those asked
// for, and what could bring them back (the bounding set, set-user-ID programs). Then the system
// calls: a seccomp filter leaves those that a running sensor makes. Packets come from strangers;
// whoever finds a way into the parser finds a process that can open, run and change nothing.
//
// Threads: call it from the thread that will close the ports, when all threads are started. The
// user and the filter are every thread's; the capabilities kept are the caller's alone. A wait that
// a thread is in may end early, once (SIGRTMAX - 1 asks it to give up its own). There is no way
// back.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SANDBOX_ERROR_BYTES = 256,
};

struct sandbox_config {
	const char *user;      // NULL: weir where there is such a user, or else nobody
	uint64_t capabilities; // kept by the caller, bit n is capability n
	bool read_files;       // files may yet be opened for reading
	bool write_files;      // files may be made, renamed and deleted: the archive's
	bool connect;          // TCP connections may yet be made, to collectors
	bool datagrams;        // UDP sockets may yet be made, bound and connected, to collectors
	bool look_up;          // and names looked up for them: files read, name servers asked
	// Or NULL: the one file that may yet be deleted, by unlinkat(AT_FDCWD, path, 0) with this
	// very pointer, to memory that is read-only. The kernel's permissions still say whether.
	const char *delete_file;
	bool xdp;       // an af_xdp port is to be closed: bpf(2) and netlink stay
	bool keep_user; // the filter alone
};

struct sandbox_state {
	char user[64];         // "": it stayed as it was
	uint64_t capabilities; // what the caller has now
	// Other threads that hold capabilities: 0, but for threads that block signals, of a program
	// that was started by a user with capabilities (setcap, or a service manager).
	unsigned n_threads_with_capabilities;
};

// Who the user is that a process of root will become, `name` as above. Returns 0 or a negative
// errno.
[[nodiscard]] int sandbox_user(const char *name, uid_t *user, gid_t *group);

// 0, or a negative errno with a line in `error` that says what failed; then nothing may be
// assumed about how far it came, and the caller should end.
[[nodiscard]] int sandbox_enter(
	const struct sandbox_config *config,
	struct sandbox_state *state,
	char error[SANDBOX_ERROR_BYTES]
);
