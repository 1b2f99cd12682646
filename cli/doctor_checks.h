// What stands in the way of a live run, and the command that mends it.
//
// A check turns facts (doctor_facts.h) into lines and does nothing else, so that a test gives it
// a made-up machine. `weir doctor` prints them all; `weir run` asks doctor_explain() for the one
// that explains why a start failed.
//
// Threads: none is shared; any may call.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "doctor_facts.h"

enum {
	DOCTOR_MAX_PORTS = 16,
	DOCTOR_MAX_LINES = 512,
	DOCTOR_LINE_BYTES = 768,
};

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_HINT, // a live run is possible, and could be better
	DOCTOR_NO,   // a live run is not possible
};

struct doctor_line {
	enum doctor_verdict verdict;
	const char *check; // what was looked at: "hugepages"
	char port[96];     // as it was asked for; "": the machine
	char text[320];    // what was found
	char remedy[320];  // the command that mends it; "": nothing to mend
};

struct doctor_report {
	struct doctor_line lines[DOCTOR_MAX_LINES];
	unsigned n_lines;
};

enum doctor_port_kind {
	DOCTOR_INTERFACE, // eth1: weir chooses the driver
	DOCTOR_AF_PACKET, // af_packet:eth1
	DOCTOR_AF_XDP,    // af_xdp:eth1
	DOCTOR_PCI,       // 0000:03:00.0
	DOCTOR_VDEV,      // vdev:net_ring0
};

struct doctor_port {
	const char *text; // the caller's
	enum doctor_port_kind kind;
	char name[DOCTOR_LINE_BYTES]; // of the interface, PCI device or virtual device
};

// What the run is to be like.
struct doctor_wish {
	const char *const *ports;
	unsigned n_ports;
	bool hugepages;        // asked for, not merely welcome
	const char *cores;     // "0,2-3"; NULL: weir chooses
	uint64_t memory_bytes; // all that it will take
};

// -EINVAL where the text can be no port. `port` keeps the text.
int doctor_port_parse(const char *text, struct doctor_port *port);

// The whole examination: the machine, then each port; without ports what could be one. `root` is
// "" for this machine, which is then probed too.
void doctor_examine(const char *root, const struct doctor_wish *wish, struct doctor_report *report);

// Whether the run that was wished for is possible.
bool doctor_possible(const struct doctor_report *report);

// One line as it is printed, without a newline: "NO  eth1: link: it is down: ip link ...".
void doctor_line_text(const struct doctor_line *line, char *text, size_t size);

// After a start that failed: the line of the first check that explains it, without its verdict:
// of a port if there is one, or else of the machine. False where nothing was found.
bool doctor_explain(const struct doctor_wish *wish, char *text, size_t size);

// The checks.

// Which of CAP_NET_RAW and the like the ports need, as a set of bits.
uint64_t doctor_needed_capabilities(
	const struct doctor_machine *machine, const struct doctor_port *ports, unsigned n_ports
);

void doctor_check_machine(
	const struct doctor_machine *machine,
	const struct doctor_wish *wish,
	const struct doctor_port *ports,
	struct doctor_report *report
);
void doctor_check_vfio(
	const struct doctor_machine *machine, bool required, struct doctor_report *report
);
void doctor_check_interface(
	const struct doctor_machine *machine,
	const struct doctor_port *port,
	const struct doctor_interface *interface,
	struct doctor_report *report
);
void doctor_check_pci(
	const struct doctor_machine *machine,
	const struct doctor_port *port,
	const struct doctor_pci *pci,
	struct doctor_report *report
);

// Adds a line, and gives one its remedy; what does not fit is cut.
[[gnu::format(printf, 5, 6)]] struct doctor_line *doctor_add(
	struct doctor_report *report,
	enum doctor_verdict verdict,
	const char *check,
	const char *port,
	const char *format,
	...
);
[[gnu::format(printf, 2, 3)]] void doctor_mend(struct doctor_line *line, const char *format, ...);
