#include "trouble.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINE_BYTES = 512 };

#define ENDS_AFTER_NS (5 * NS_PER_S)
#define TOLD_EVERY_NS (60 * NS_PER_S)

static const struct {
	const char *begins, *ends;
} texts[TROUBLE_KINDS] = {
	[TROUBLE_REFUSED] =
		{"nobody listens there; start the collector or check the port",
		 "no refusals any more"},
	[TROUBLE_UNREACHABLE] =
		{"cannot be reached; check the route to it", "can be reached again"},
	[TROUBLE_FULL] =
		{"the socket stays full; a lower --rate suits the link",
		 "the socket takes all "
		 "again"},
	[TROUBLE_OTHER] = {"sending fails", "sending works again"},
	[TROUBLE_QUEUE] =
		{"falls behind, its queue is full: it is slower than the flows, or --rate is",
		 "keeps up again"},
	[TROUBLE_SESSION] = {"no session; trying again", "the session is up again"},
	[TROUBLE_NAME] =
		{"its name does not resolve any more; the old address is used",
		 "its name resolves "
		 "again"},
};

static void
begin(struct troubles *troubles, enum trouble_kind kind, time_ns_t now_ns, const char *cause) {
	struct trouble *trouble = &troubles->kinds[kind];
	char line[LINE_BYTES];

	trouble->on = true;
	trouble->begun_ns = now_ns;
	trouble->records = 0;
	troubles->n_on++;
	trouble->told = !trouble->known || now_ns - trouble->told_ns >= TOLD_EVERY_NS;
	if (!trouble->told || troubles->on_message == NULL)
		return;
	trouble->known = true;
	trouble->told_ns = now_ns;
	snprintf(
		line,
		sizeof(line),
		"collector %s: %s%s%s%s",
		troubles->name,
		texts[kind].begins,
		cause != NULL ? " (" : "",
		cause != NULL ? cause : "",
		cause != NULL ? ")" : ""
	);
	troubles->on_message(line, true, troubles->arg);
}

void trouble_seen(
	struct troubles *troubles,
	enum trouble_kind kind,
	time_ns_t now_ns,
	uint64_t records,
	const char *cause
) {
	struct trouble *trouble = &troubles->kinds[kind];

	if (!trouble->on)
		begin(troubles, kind, now_ns, cause);
	trouble->seen_ns = now_ns;
	trouble->records += records;
}

void trouble_over(struct troubles *troubles, enum trouble_kind kind, time_ns_t now_ns) {
	struct trouble *trouble = &troubles->kinds[kind];
	char line[LINE_BYTES];

	if (!trouble->on)
		return;
	trouble->on = false;
	troubles->n_on--;
	if (!trouble->told || troubles->on_message == NULL)
		return;
	snprintf(
		line,
		sizeof(line),
		"collector %s: %s, after %" PRId64 " s; %" PRIu64 " records were lost",
		troubles->name,
		texts[kind].ends,
		(now_ns - trouble->begun_ns) / NS_PER_S,
		trouble->records
	);
	troubles->on_message(line, false, troubles->arg);
}

void trouble_tick(struct troubles *troubles, time_ns_t now_ns) {
	if (troubles->n_on == 0)
		return;
	for (unsigned kind = 0; kind < TROUBLE_KINDS; kind++)
		if (kind != TROUBLE_SESSION && kind != TROUBLE_NAME
		    && now_ns - troubles->kinds[kind].seen_ns >= ENDS_AFTER_NS)
			trouble_over(troubles, kind, now_ns);
}

time_ns_t trouble_lasts(const struct troubles *troubles, enum trouble_kind kind, time_ns_t now_ns) {
	const struct trouble *trouble = &troubles->kinds[kind];
	return trouble->on ? now_ns - trouble->begun_ns : 0;
}
