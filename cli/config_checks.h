// Config checks: what a config file asks for and this machine does not give, or what says nothing,
// as weir check-config tells it. Whoever takes a value has judged it before: here are the values
// together, and what is outside of the file: users, certificates, folders, memory.
//
// Threads: one. Time: none.

#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "run_options.h"

// What weir run would end over, a line for each mistake. Returns whether there is none.
bool config_checks(const struct run_options *options);

// What weir run would take, and is hardly meant. Returns how many were told.
unsigned config_warnings(const struct run_options *options);

// Who weir is once all is open: the user of the file where it was started by root. False where
// there is none such.
bool config_user(const struct run_options *options, uid_t *user, gid_t *group);

// Mistakes told next are about what the file says of this key.
void config_place(const struct run_options *options, const char *key);
