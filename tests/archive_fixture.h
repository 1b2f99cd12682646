// What tests of the archive share: a folder, records that are told apart, a file system that
// fails at will, and what is found in the folder after all.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive.h"

#define FIXTURE_BEGIN_NS (1700002800 * NS_PER_S) // 2023-11-14T23:00:00Z

enum {
	FIXTURE_MAX_RECORDS = 1 << 16,
	FIXTURE_DIR_BYTES = 64,
};

// The calls that can be made to fail.
enum fault_call {
	FAULT_OPEN,
	FAULT_WRITE,
	FAULT_TRUNCATE,
	FAULT_SYNC,
	FAULT_RENAME,
	FAULT_UNLINK,
	FAULT_MKDIR,
	FAULT_CALLS,
};

extern const char *const fault_names[FAULT_CALLS];

struct faults {
	unsigned calls;      // one bit for each fault_call that counts
	uint64_t from;       // the first call that fails, from 1 on; 0 = none does
	_Atomic(uint64_t) n; // how many fail
	int error;           // errno
	bool half;           // a write that fails has written half
	bool short_writes;
	void (*at)(void);        // instead of failing
	_Atomic(uint64_t) count; // calls so far
};

extern struct faults faults;
extern const struct archive_io faulty_io;

// A new folder's name, for an archive that is to make it.
void fixture_dir(char dir[FIXTURE_DIR_BYTES]);
void fixture_remove(const char *dir);

// With small row groups, quick tries, and the faulty file system.
struct archive_config fixture_config(const char *dir);
struct archive *fixture_open(const struct archive_config *config);
// Opens it with a good file system, which recovers what is there, and closes it.
void fixture_recover(const char *dir, struct archive_stats *stats);

// Adds records `first` to `first + n - 1`.
void fixture_add(struct archive *archive, uint32_t first, uint32_t n, time_ns_t now_ns);

// Until `n` records are archived.
struct archive_stats fixture_wait(const struct archive *archive, uint64_t n);

struct found {
	uint64_t records, files, open, others; // others: files that are neither
	uint8_t seen[FIXTURE_MAX_RECORDS];     // how often
	char first[512];                       // path of the oldest file
};

// Reads all files; each must be readable, and each record as it was added.
void fixture_find(const char *dir, struct found *found);
