// Log journal: systemd's journal, asked whether it reads our standard error, and its socket.
//
// Lines could go to standard error with <N> in front, which the journal takes for a priority. Its
// native protocol is preferred: a datagram is one entry, with fields to select by ("journalctl
// WEIR_THING='port eth1'"), and a journal that is behind refuses it at once, where the stream of
// standard error would hold the writer up.
//
// Threads: open and close from one; send from any. Time: none.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

// Whether `fd` is the stream that `journal_stream`, the value of $JOURNAL_STREAM or NULL, says is
// the journal's: "DEVICE:INODE" (systemd.exec(5)).
bool log_journal_reads(int fd, const char *journal_stream);

// A socket that is connected to the journal's at `path`, or a negative errno.
int log_journal_open(const char *path);

// Returns 0 or a negative errno: -EAGAIN where the journal is behind. Never waits.
int log_journal_send(int fd, const void *datagram, size_t n);
