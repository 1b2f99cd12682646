// SQL functions: what `weir query` adds to SQLite's own.
//
//   ip_in(addr, network)    1 where the address lies in it, such as '10.0.0.0/8'
//   ip_family(addr)         4 or 6
//   ago(duration)           ns since 1970 that long before the statement began, such as '1h'
//   ts(time)                ns since 1970 of '2026-11-24T10:00:00Z' (query_time.h)
//   time_text(ns)           the other way round
//   time_bucket(ns, step)   ns rounded down to a multiple of a duration, such as '1m'
//   duration_text(ns)       such as '1m30s'
//   proto_name(number)      such as 'tcp', or the number where it has no name here
//
// NULL gives NULL. What has no meaning is an error that names it.
//
// Threads: the connection's.

#pragma once

#include <sqlite3.h>

#include "clock.h"

// The message of an error of ip_in(), for sqlite3_mprintf().
#define SQL_NO_NETWORK "ip_in: '%s' is no network; such as '10.0.0.0/8' or '2001:db8::/32'"

// `now_ns` is what ago() counts from; it stays the caller's and is to remain. An SQLite error
// code.
[[nodiscard]] int sql_functions_register(sqlite3 *db, const time_ns_t *now_ns);

// ip_in(), for tables that overload it.
void sql_ip_in(sqlite3_context *context, int n_args, sqlite3_value **args);
