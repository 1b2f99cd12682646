// Sinks change: other collectors for a running sensor, with no record lost or sent twice. In three
// steps, since opening and closing collectors takes time, and the sensor's owner has none:
//
//   sinks_change_new()     opens those that are new; whoever stays goes on as he is
//   sinks_change_apply()   from some record on, those that are wanted get records
//   sinks_change_finish()  those that are not wanted any more send what they have, and close
//
// Threads: apply is for the sinks' owner; the other two may be another's. One change at a time.
// Time: none.

#pragma once

#include "exporter.h"
#include "sinks.h"

struct sinks_change;

// The collectors of `wanted`, of which the archive and print do not count. Where `keep` is true a
// collector of the same name is kept, with its sockets, sequence and templates: to be said where
// nothing else has changed about collectors. NULL after a complaint to `wanted`'s on_complaint;
// then nothing has changed. What `wanted` points to must last until sinks_change_finish().
[[nodiscard]] struct sinks_change *
sinks_change_new(struct sinks *sinks, const struct sinks_config *wanted, bool keep);

// The destinations that there will be.
struct destination *const *
sinks_change_destinations(const struct sinks_change *change, unsigned *n);

// 0, or what exporter_replace() returns, where nothing has changed.
[[nodiscard]] int sinks_change_apply(struct sinks_change *change, struct exporter *exporter);

// Also where it was not applied: then it closes what was opened. Complains, as `wanted` says, of
// what those who leave lost. Frees the change; NULL is fine.
void sinks_change_finish(struct sinks_change *change);
