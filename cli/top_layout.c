#include "top_layout.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	NUMBER_COLS = 10,
	FLOWS_COLS = 8,
	SHARE_COLS = 14,
	LEAST_KEY_COLS = 18, // rather than more columns
	WIDE_KEY_COLS = 60,  // of two addresses, rather than bars
};

// What stands in the table at this width.
struct columns {
	unsigned key;
	bool packets, flows, share;
};

static void put_duration(struct canvas *canvas, enum canvas_style style, uint64_t ns) {
	unsigned long long s = ns / (uint64_t)NS_PER_S;

	if (s >= 86400)
		canvas_put(canvas, style, "%llud ", s / 86400);
	canvas_put(canvas, style, "%02llu:%02llu:%02llu", s / 3600 % 24, s / 60 % 60, s % 60);
}

static void
put_title(struct canvas *canvas, const struct top_choice *choice, const struct top_model *model) {
	const struct live_status *status = &model->status;
	time_t now = (time_t)(status->time_ns / (uint64_t)NS_PER_S);
	struct tm tm;
	char clock[16] = "";

	canvas_move(canvas, 0, 0);
	canvas_put(canvas, CANVAS_TITLE, "weir %.16s", status->version);
	canvas_put(canvas, CANVAS_TITLE, "  up ");
	put_duration(canvas, CANVAS_TITLE, status->uptime_ns);
	for (unsigned i = 0; i < status->n_ports && i < 3; i++)
		canvas_put(
			canvas,
			CANVAS_TITLE,
			"  %.16s%s",
			status->ports[i].name,
			status->ports[i].up ? "" : " down"
		);
	if (status->n_ports > 3)
		canvas_put(canvas, CANVAS_TITLE, " +%u", status->n_ports - 3);
	if (status->sampling > 1)
		canvas_put(
			canvas, CANVAS_TITLE, "  1 in %llu", (unsigned long long)status->sampling
		);
	canvas_fill(canvas, CANVAS_TITLE);
	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(clock, sizeof(clock), " %H:%M:%S", &tm);
	const char *right = choice->paused ? " PAUSED" : clock;
	if (canvas->cols > strlen(right) + 24) {
		canvas_move(canvas, 0, canvas->cols - (unsigned)strlen(right));
		canvas_put(canvas, CANVAS_TITLE, "%s", right);
	}
}

static const char *view_name(unsigned view) {
	return view == TOP_SENSOR_VIEW ? "sensor" : top_view_name((enum top_view)view);
}

static void put_tabs(struct canvas *canvas, const struct top_choice *choice, unsigned row) {
	canvas_move(canvas, row, 0);
	for (unsigned view = 0; view < TOP_ALL_VIEWS; view++) {
		// Where not all names fit the chosen one alone is told.
		if (canvas->cols >= 70 || view == choice->view)
			canvas_put(
				canvas,
				view == choice->view ? CANVAS_CHOSEN : CANVAS_LABEL,
				"%u %s",
				view + 1,
				view_name(view)
			);
		else
			canvas_put(canvas, CANVAS_LABEL, "%u", view + 1);
		canvas_put(canvas, CANVAS_PLAIN, " ");
	}
}

static struct columns columns_of(const struct canvas *canvas, unsigned view) {
	bool two = view == TOP_CONVERSATIONS || view == TOP_FLOWS;
	unsigned least = two ? WIDE_KEY_COLS : LEAST_KEY_COLS;
	struct columns columns = {.key = canvas->cols};

	columns.key -= columns.key > NUMBER_COLS ? NUMBER_COLS : 0;
	columns.packets = columns.key >= LEAST_KEY_COLS + NUMBER_COLS;
	columns.key -= columns.packets ? NUMBER_COLS : 0;
	// A flow is one.
	columns.flows = view != TOP_FLOWS && columns.key >= LEAST_KEY_COLS + FLOWS_COLS;
	columns.key -= columns.flows ? FLOWS_COLS : 0;
	columns.share = columns.key >= least + SHARE_COLS;
	columns.key -= columns.share ? SHARE_COLS : 0;
	return columns;
}

static void put_heads(
	struct canvas *canvas,
	const struct top_choice *choice,
	const struct columns *columns,
	unsigned row
) {
	static const char *const keys[TOP_VIEW_COUNT] = {
		[TOP_SOURCES] = "SOURCE ADDRESS",
		[TOP_DESTINATIONS] = "DESTINATION ADDRESS",
		[TOP_PORTS] = "PORT",
		[TOP_CONVERSATIONS] = "CONVERSATION",
		[TOP_FLOWS] = "FLOW",
	};
	enum canvas_style styles[TOP_SORT_COUNT] = {CANVAS_HEAD, CANVAS_HEAD, CANVAS_HEAD};

	char key[TOP_FILTER_BYTES + 32];

	styles[choice->sort] = CANVAS_CHOSEN;
	canvas_move(canvas, row, 0);
	snprintf(
		key,
		sizeof(key),
		choice->filter.n > 0 ? "%s (%s)" : "%s",
		keys[choice->view],
		choice->filter.text
	);
	canvas_field(canvas, CANVAS_HEAD, key, columns->key, false);
	canvas_field(canvas, styles[TOP_BY_BITS], "BITS/S", NUMBER_COLS, true);
	if (columns->packets)
		canvas_field(canvas, styles[TOP_BY_PACKETS], "PACKETS/S", NUMBER_COLS, true);
	if (columns->flows)
		canvas_field(canvas, styles[TOP_BY_FLOWS], "FLOWS", FLOWS_COLS, true);
	if (columns->share)
		canvas_field(canvas, CANVAS_HEAD, "  SHARE", SHARE_COLS, false);
	canvas_fill(canvas, CANVAS_HEAD);
}

void top_layout_address(
	const struct top_choice *choice, const struct flow_key *key, bool source, char *out
) {
	bool ipv4 = key->family == FLOW_IPV4;
	const uint8_t *source_octets = ipv4 ? key->src4 : key->src6;
	const uint8_t *destination_octets = ipv4 ? key->dst4 : key->dst6;

	if (choice->names && choice->name != NULL && choice->name(key, source, out, choice->arg))
		return;
	if (inet_ntop(
		    ipv4 ? AF_INET : AF_INET6,
		    source ? source_octets : destination_octets,
		    out,
		    TOP_ADDRESS_BYTES
	    )
	    == NULL)
		out[0] = '\0';
}

static void proto_text(uint8_t proto, char *out, size_t n) {
	const char *name = top_proto_name(proto);

	if (name != NULL)
		snprintf(out, n, "%s", name);
	else
		snprintf(out, n, "proto %u", proto);
}

static bool has_ports(const struct flow_key *key) {
	return key->src_port != 0 || key->dst_port != 0;
}

// Both ends of it, each cut to its half of the columns.
static void
put_two(struct canvas *canvas,
	const struct top_choice *choice,
	const struct flow_key *key,
	unsigned cols) {
	char ends[2][TOP_ADDRESS_BYTES + 8], proto[16] = "";
	bool is_flow = choice->view == TOP_FLOWS;
	const char *arrow = is_flow ? " > " : " - ";

	for (unsigned i = 0; i < 2; i++) {
		char address[TOP_ADDRESS_BYTES];
		top_layout_address(choice, key, i == 0, address);
		uint16_t port = ntohs(i == 0 ? key->src_port : key->dst_port);
		bool shows_port = is_flow && has_ports(key) && key->proto != 1 && key->proto != 58;
		// RFC 5952 section 6.
		const char *format = key->family == FLOW_IPV4 ? "%s:%u" : "[%s]:%u";
		if (shows_port)
			snprintf(ends[i], sizeof(ends[i]), format, address, port);
		else
			snprintf(ends[i], sizeof(ends[i]), "%s", address);
	}
	if (is_flow) {
		char name[12];
		proto_text(key->proto, name, sizeof(name));
		snprintf(proto, sizeof(proto), "%-6s", name);
	}
	unsigned fixed = (unsigned)(strlen(proto) + strlen(arrow)) + 1;
	unsigned room = cols > fixed ? cols - fixed : 0;
	unsigned left = (unsigned)strlen(ends[0]), right = (unsigned)strlen(ends[1]);
	if (left + right > room) {
		// What one end leaves over the other may have.
		left = left < room / 2 ? left : right < room / 2 ? room - right : room / 2;
		right = room - left;
	}
	unsigned begin = canvas->col;
	canvas_put(canvas, CANVAS_LABEL, "%s", proto);
	canvas_field(canvas, CANVAS_PLAIN, ends[0], left, false);
	canvas_put(canvas, CANVAS_LABEL, "%s", arrow);
	canvas_field(canvas, CANVAS_PLAIN, ends[1], right, false);
	while (canvas->col < begin + cols)
		canvas_put(canvas, CANVAS_PLAIN, " ");
}

static void
put_key(struct canvas *canvas,
	const struct top_choice *choice,
	const struct flow_key *key,
	unsigned cols) {
	char text[TOP_ADDRESS_BYTES];

	if (choice->view == TOP_CONVERSATIONS || choice->view == TOP_FLOWS) {
		put_two(canvas, choice, key, cols);
		return;
	}
	if (choice->view == TOP_PORTS) {
		proto_text(key->proto, text, sizeof(text));
		if (key->src_port != 0) {
			size_t n = strlen(text);
			snprintf(text + n, sizeof(text) - n, " %u", ntohs(key->src_port));
		}
	} else {
		top_layout_address(choice, key, true, text);
	}
	canvas_field(canvas, CANVAS_PLAIN, text, cols, false);
}

static void
put_row(struct canvas *canvas,
	const struct top_choice *choice,
	const struct columns *columns,
	const struct top_row *row,
	const struct top_rows *rows) {
	char text[CANVAS_NUMBER_BYTES];

	put_key(canvas, choice, &row->key, columns->key);
	canvas_field(
		canvas, CANVAS_PLAIN, canvas_number(8 * row->octets_s, text), NUMBER_COLS, true
	);
	if (columns->packets)
		canvas_field(
			canvas, CANVAS_PLAIN, canvas_number(row->packets_s, text), NUMBER_COLS, true
		);
	if (columns->flows)
		canvas_field(
			canvas, CANVAS_PLAIN, canvas_number(row->flows, text), FLOWS_COLS, true
		);
	if (columns->share) {
		canvas_put(canvas, CANVAS_PLAIN, "  ");
		double all = choice->sort == TOP_BY_PACKETS ? rows->packets_s : rows->octets_s;
		double mine = choice->sort == TOP_BY_PACKETS ? row->packets_s : row->octets_s;
		canvas_bar(canvas, CANVAS_BAR, all > 0 ? mine / all : 0, SHARE_COLS - 2);
	}
}

static void put_footer(struct canvas *canvas, const struct top_choice *choice) {
	if (choice->no_keys)
		return;
	canvas_move(canvas, canvas->rows - 1, 0);
	if (choice->edits) {
		canvas_put(canvas, CANVAS_CHOSEN, "filter: %s", choice->edited);
		canvas_put(canvas, CANVAS_LABEL, "_  Enter: apply, Esc: as before");
		return;
	}
	if (choice->message[0] != '\0') {
		canvas_put(canvas, CANVAS_WARN, "%s", choice->message);
		return;
	}
	canvas_put(
		canvas,
		CANVAS_LABEL,
		"q quit  ? help  s sort: %s  f filter  p %s  n %s",
		top_sort_name(choice->sort),
		choice->paused ? "go on" : "pause",
		choice->names ? "addresses" : "names"
	);
}

// What stands above the table: title, figures, tabs, heads.
static unsigned
put_above(struct canvas *canvas, const struct top_choice *choice, const struct top_model *model) {
	put_title(canvas, choice, model);
	unsigned row = 1 + top_layout_figures(canvas, model, 1);
	put_tabs(canvas, choice, row++);
	return row;
}

static void limit_scroll(struct top_choice *choice, unsigned n, unsigned n_shown) {
	unsigned most = n > n_shown ? n - n_shown : 0;
	if (choice->scroll > most)
		choice->scroll = most;
}

static void put_table(
	struct canvas *canvas,
	struct top_choice *choice,
	const struct top_rows *rows,
	unsigned at,
	unsigned n_shown
) {
	const struct columns columns = columns_of(canvas, choice->view);

	put_heads(canvas, choice, &columns, at++);
	n_shown--;
	limit_scroll(choice, rows->n, n_shown);
	for (unsigned i = 0; i < n_shown && choice->scroll + i < rows->n; i++) {
		canvas_move(canvas, at + i, 0);
		put_row(canvas, choice, &columns, &rows->rows[choice->scroll + i], rows);
	}
	if (rows->n == 0 && n_shown > 0) {
		canvas_move(canvas, at, 0);
		canvas_put(
			canvas,
			CANVAS_LABEL,
			choice->filter.n > 0 ? "no flow that moved matches" : "no flow moved"
		);
	}
}

void top_layout(
	struct canvas *canvas,
	struct top_choice *choice,
	const struct top_model *model,
	const struct top_rows *rows
) {
	if (canvas->rows < TOP_LEAST_ROWS || canvas->cols < TOP_LEAST_COLS) {
		canvas_put(
			canvas, CANVAS_PLAIN, "too small: %dx%d", TOP_LEAST_COLS, TOP_LEAST_ROWS
		);
		return;
	}
	if (choice->help) {
		top_layout_help(canvas, choice);
		return;
	}
	if (!model->has_status) {
		canvas_put(canvas, CANVAS_PLAIN, "asking the sensor ...");
		put_footer(canvas, choice);
		return;
	}
	unsigned at = put_above(canvas, choice, model);
	unsigned end = canvas->rows - !choice->no_keys;
	if (at + 1 < end) {
		if (choice->view != TOP_SENSOR_VIEW) {
			put_table(canvas, choice, rows, at, end - at);
		} else {
			unsigned n = top_layout_sensor(canvas, model, at, 0, 0);
			limit_scroll(choice, n, end - at);
			(void)top_layout_sensor(canvas, model, at, end - at, choice->scroll);
		}
	}
	put_footer(canvas, choice);
}

void top_layout_help(struct canvas *canvas, struct top_choice *choice) {
	static const char *const lines[] = {
		"q Ctrl-C  quit",
		"1 ... 6   sources, destinations, ports,",
		"          conversations, flows, sensor",
		"Tab       the next of them",
		"s         sort: bits, packets, flows",
		"b k l     by bits, packets, flows",
		"f /       filter: 10.0.0.0/8 443 tcp",
		"          vlan 7, all of the words;",
		"          !udp: not that. Empty: none",
		"p Space   pause, go on",
		"n         names of addresses (DNS)",
		"+ -       slower, faster",
		"Up Down PgUp PgDn Home End  scroll",
		"r         draw anew",
		"? h       this; Esc leaves it",
	};
	unsigned n = sizeof(lines) / sizeof(lines[0]), room = canvas->rows - 1;
	unsigned most = n > room ? n - room : 0;

	if (choice->help_scroll > most)
		choice->help_scroll = most;
	canvas_move(canvas, 0, 0);
	canvas_put(canvas, CANVAS_TITLE, "weir top: keys%s", most > 0 ? " (Down: more)" : "");
	canvas_fill(canvas, CANVAS_TITLE);
	for (unsigned i = 0; i < room && choice->help_scroll + i < n; i++) {
		canvas_move(canvas, i + 1, 0);
		canvas_put(canvas, CANVAS_PLAIN, "%s", lines[choice->help_scroll + i]);
	}
}
