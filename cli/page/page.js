"use strict";
// The status page of a running weir. What comes from outside (names of ports, collectors, folders)
// is put in as text, never as HTML.
(() => {
const ASK_MS = 3000, PATIENCE_MS = 5000, HOUR_MS = 3600e3, LEAST_MS = 300e3, SAMPLES = 720;
const $ = id => document.getElementById(id);

// ---- Words and numbers

const grouped = new Intl.NumberFormat("en-US");
const int = n => grouped.format(n);

// Three digits that count and a prefix: 1.23 k.
function short(n) {
	if (n === 0) return "0";
	if (n < 0.05) return "<0.1";
	const prefixes = ["", "k", "M", "G", "T", "P"];
	let i = 0;
	while (n >= 999.5 && i < prefixes.length - 1) { n /= 1000; i++; }
	const digits = i === 0 ? (n < 10 ? 1 : 0) : n < 9.995 ? 2 : n < 99.95 ? 1 : 0;
	const text = n.toFixed(digits);
	return i > 0 ? `${text}\u202f${prefixes[i]}` : text;
}
// For axes, where all is round: 1.50 M as 1.5 M.
const round = n => short(n).replace(/\.0+(?!\d)|(\.\d*[1-9])0+(?!\d)/, "$1");
// A unit stands behind the prefix without a space: 1.23 kB, but 12 B.
const sized = (n, unit) => {
	const text = short(n);
	return /[a-zA-Z]$/.test(text) ? text + unit : `${text}\u202f${unit}`;
};
const percent = share => {
	const p = 100 * share;
	if (p > 0 && p < 0.1) return "<0.1 %";
	if (p > 99.9 && p < 100) return ">99.9 %";
	return `${p.toFixed((p > 0 && p < 10) || (p > 99 && p < 100) ? 1 : 0)} %`;
};
const clock = ms => new Date(ms).toLocaleTimeString("en-GB");
const hourMinute = ms => clock(ms).slice(0, 5);
function duration(s) {
	const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
	const i = Math.max(0, parts.findIndex(([seconds]) => s >= seconds));
	if (s < 60) return `${Math.floor(s)} s`;
	const [big, bigName] = parts[i], [small, smallName] = parts[i + 1];
	const rest = Math.floor(s % big / small);
	return `${Math.floor(s / big)} ${bigName}` + (rest > 0 ? ` ${rest} ${smallName}` : "");
}

const UNMETERED = {
	own_export: "weir's own export", filtered: "left out by --filter", duplicate: "second copies",
	not_sampled: "not sampled", not_ip: "not IP", link_truncated: "malformed: link layer cut short",
	ip_truncated: "malformed: IP cut short", ip_version: "malformed: IP version",
	ip_header_len: "malformed: IP header length", ip_total_len: "malformed: IP total length",
	port_missed: "dropped by a port", port_errors: "damaged at a port",
	port_no_mbuf: "dropped, no buffer",
};
const ENDS = {
	idle: "idle timeout", active: "active timeout, the flow goes on", detected: "TCP closed",
	forced: "end of weir", resources: "cache full, left early",
};
const PROTOCOLS = {
	1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 17: "UDP", 41: "IPv6 in IP", 47: "GRE", 50: "ESP",
	51: "AH", 58: "ICMPv6", 89: "OSPF", 103: "PIM", 112: "VRRP", 132: "SCTP",
};
const PORTS = {
	20: "FTP data", 21: "FTP", 22: "SSH", 23: "Telnet", 25: "SMTP", 53: "DNS", 67: "DHCP", 68: "DHCP",
	69: "TFTP", 80: "HTTP", 88: "Kerberos", 110: "POP3", 123: "NTP", 137: "NetBIOS", 138: "NetBIOS",
	139: "NetBIOS", 143: "IMAP", 161: "SNMP", 162: "SNMP trap", 179: "BGP", 389: "LDAP",
	443: "HTTPS", 445: "SMB", 465: "SMTPS", 500: "IKE", 514: "Syslog", 546: "DHCPv6", 547: "DHCPv6",
	587: "Submission", 636: "LDAPS", 853: "DNS over TLS", 873: "rsync", 993: "IMAPS", 995: "POP3S",
	1194: "OpenVPN", 1433: "SQL Server", 1521: "Oracle", 1812: "RADIUS", 1813: "RADIUS",
	1883: "MQTT", 2049: "NFS", 2055: "NetFlow", 3128: "Proxy", 3260: "iSCSI", 3306: "MySQL",
	3389: "RDP", 4500: "IPsec", 4739: "IPFIX", 4789: "VXLAN", 5060: "SIP", 5061: "SIPS",
	5201: "iperf3", 5353: "mDNS", 5432: "PostgreSQL", 5900: "VNC", 6343: "sFlow", 6379: "Redis",
	8080: "HTTP", 8443: "HTTPS", 8883: "MQTT", 9092: "Kafka", 9100: "Printing", 27017: "MongoDB",
	51820: "WireGuard",
};
const PORTED = new Set([6, 17, 33, 132, 136]);
function service(row) {
	const protocol = PROTOCOLS[row.proto] || `protocol ${row.proto}`;
	if (!PORTED.has(row.proto)) return [protocol, ""];
	return [`${protocol} ${row.port}`, PORTS[row.port] || ""];
}

// ---- Elements

function make(tag, name, text) {
	const element = document.createElement(tag);
	if (name) element.className = name;
	if (text !== undefined) element.textContent = text;
	return element;
}
function draw(tag, attributes, parent) {
	const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	if (parent) parent.append(element);
	return element;
}
// Only what differs is touched, so that a selection or a reader's place stays.
function put(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
function dress(element, name) {
	if (element.className !== name) element.className = name;
}

// A table of `columns`: {title, name, extra}. Rows are arrays of cells: text, or {text, soft, state,
// bar, warning, name}. `none` is said where there are none.
function table(place, columns, none, kind) {
	const element = make("table", kind), head = make("thead"), body = make("tbody");
	const empty = make("p", "none", none), row = make("tr");
	element.setAttribute("role", "table");
	for (const column of columns) {
		const cell = make("th", column.name, column.title);
		cell.scope = "col";
		row.append(cell);
	}
	head.append(row);
	element.append(head, body);
	place.append(element, empty);
	return rows => {
		element.hidden = rows.length === 0;
		empty.hidden = rows.length > 0;
		while (body.rows.length > rows.length) body.deleteRow(-1);
		rows.forEach((cells, i) => {
			const line = body.rows[i] || body.insertRow();
			line.setAttribute("role", "row");
			dress(line, cells.kind || "");
			columns.forEach((column, j) => fill(line, column, cells[j], j));
		});
	};
}
function fill(line, column, value, j) {
	let cell = line.cells[j];
	if (!cell) {
		cell = line.insertCell();
		cell.setAttribute("role", "cell");
		if (j > 0) cell.dataset.label = column.title;
		cell.append(make("span"));
	}
	const given = typeof value === "object" ? value : {text: value};
	dress(cell, [column.name, given.name].filter(Boolean).join(" "));
	const [main, soft] = cell.children;
	dress(main, given.state ? `state ${given.state}` : "");
	if (given.bar === undefined && !given.soft) {
		put(main, given.text);
		if (soft) soft.remove();
		return;
	}
	if (main.firstChild === null) main.append("");
	if (main.firstChild.data !== given.text) main.firstChild.data = given.text;
	let more = main.querySelector(".soft");
	if (given.soft && !more) main.append(more = make("span", "soft"));
	if (more) put(more, given.soft ? ` ${given.soft}` : "");
	if (given.bar === undefined) return;
	let track = soft;
	if (!track) {
		cell.append(track = make("span", "track"));
		track.setAttribute("aria-hidden", "true");
		track.append(make("i"));
	}
	dress(track, given.warning ? "track warning" : "track");
	track.firstChild.style.width = `${Math.min(100, 100 * given.bar).toFixed(1)}%`;
}

// ---- The last hour

let samples = [], lastNumber = -1, nowMs = 0, pointed = null;

// Adds those that are new. False where some are missing between.
function merge(history) {
	const n = history.end_ms.length;
	if (n > 0 && history.first > lastNumber + 1 && history.first > 0
	    && !(history.first + n - 1 <= lastNumber)) return false;
	for (let i = 0; i < n; i++) {
		if (history.first + i <= lastNumber) continue;
		const seconds = Math.max(history.span_ms[i], 1) / 1000;
		samples.push({
			end: history.end_ms[i], begin: history.end_ms[i] - history.span_ms[i],
			bits: 8 * history.bytes[i] / seconds, packets: history.packets[i] / seconds,
			cached: history.cached[i], flows: history.flows[i] / seconds,
			packetsLost: history.packets_lost[i] / seconds,
			recordsLost: history.records_lost[i] / seconds,
		});
		lastNumber = history.first + i;
	}
	if (samples.length > SAMPLES) samples = samples.slice(-SAMPLES);
	return true;
}
function forget() {
	samples = [];
	lastNumber = -1;
}

function niceStep(most, n) {
	const raw = most / n, power = 10 ** Math.floor(Math.log10(raw));
	return [1, 2, 5, 10].find(step => step * power >= raw) * power;
}
function timeRange() {
	const first = samples.length > 0 ? samples[0].begin : nowMs;
	return [Math.min(Math.max(first, nowMs - HOUR_MS), nowMs - LEAST_MS), nowMs];
}
function nearest(time) {
	let best = null;
	for (const sample of samples)
		if (best === null || Math.abs(sample.end - time) < Math.abs(best.end - time)) best = sample;
	return best;
}

class Chart {
	constructor(title, unit, series, whole) {
		this.title = title;
		this.unit = unit;
		this.series = series; // {key, name, kind}
		this.whole = whole;
		const card = make("article"), now = make("p", "now");
		this.value = make("b", "", "–");
		this.units = make("span", "", unit);
		this.when = make("span", "when");
		now.append(this.value, this.units, this.when);
		const head = make("div", "head");
		head.append(make("h3", "", title));
		if (series.length > 1) head.append(this.legend());
		card.append(head, now);
		this.plot = make("div", "plot");
		this.plot.tabIndex = 0;
		this.plot.setAttribute("role", "slider");
		this.plot.setAttribute("aria-label", `${title}: a moment of the last hour`);
		this.plot.setAttribute("aria-valuemin", "0");
		this.svg = draw("svg", {role: "img"}, this.plot);
		card.append(this.plot);
		$("charts").append(card);
		this.listen();
		new ResizeObserver(() => this.draw()).observe(this.plot);
	}
	legend() {
		const legend = make("p", "legend");
		for (const one of this.series) {
			const item = make("span");
			const swatch = draw("svg", {viewBox: "0 0 22 8", "aria-hidden": "true"}, item);
			draw("path", {d: "M0 4H22", class: `line ${one.kind}`}, swatch);
			item.append(one.name);
			legend.append(item);
		}
		return legend;
	}
	listen() {
		const move = event => {
			const box = this.plot.getBoundingClientRect(), [from, to] = timeRange();
			const share = (event.clientX - box.left - this.left) / (box.width - this.left - 4);
			point(nearest(from + share * (to - from)));
		};
		this.plot.addEventListener("pointermove", move);
		this.plot.addEventListener("pointerdown", move);
		this.plot.addEventListener("pointerleave", () => point(null));
		this.plot.addEventListener("pointercancel", () => point(null));
		this.plot.addEventListener("blur", () => point(null));
		this.plot.addEventListener("keydown", event => {
			const steps = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 12, PageDown: -12};
			const at = pointed ? samples.indexOf(pointed) : samples.length - 1;
			let to;
			if (event.key === "Home") to = 0;
			else if (event.key === "End") to = samples.length - 1;
			else if (event.key in steps) to = at + (pointed ? steps[event.key] : 0);
			else if (event.key === "Escape") { point(null); return; }
			else return;
			event.preventDefault();
			point(samples[Math.min(Math.max(to, 0), samples.length - 1)] || null);
		});
	}
	text(value) {
		return this.whole && value < 1000 ? int(Math.round(value)) : short(value);
	}
	reading(sample) {
		return this.series.map(one => this.text(sample[one.key])).join(" / ");
	}
	say(current) {
		const sample = pointed || samples[samples.length - 1];
		put(this.value, pointed ? this.reading(pointed) : current);
		const peak = this.peak();
		put(this.when, pointed ? `at ${clock(pointed.end)}`
			: peak && peak.value > 0 ? `most ${this.text(peak.value)} at ${hourMinute(peak.end)}` : "");
		const slider = {
			"aria-valuemax": Math.max(samples.length - 1, 0),
			"aria-valuenow": sample ? samples.indexOf(sample) : 0,
			"aria-valuetext": sample ? `${this.reading(sample)} ${this.unit} at ${clock(sample.end)}` : "nothing yet",
		};
		for (const [name, value] of Object.entries(slider)) this.plot.setAttribute(name, value);
	}
	peak() {
		let peak = null;
		for (const sample of samples)
			for (const one of this.series)
				if (peak === null || sample[one.key] > peak.value)
					peak = {value: sample[one.key], end: sample.end};
		return peak;
	}
	update(current) {
		this.current = current;
		this.draw();
	}
	draw() {
		const width = this.plot.clientWidth, height = 150;
		if (width === 0 || nowMs === 0) return;
		const peak = this.peak(), most = Math.max(peak ? peak.value : 0, this.whole ? 4 : 1);
		const step = Math.max(niceStep(most, 3), this.whole ? 1 : 0), top = step * Math.ceil(most / step - 1e-9);
		const labels = [];
		for (let value = 0; value <= top * 1.0001; value += step) labels.push([value, round(value)]);
		const bottom = height - 20, head = 8, right = width - 4;
		this.left = 10 + Math.max(...labels.map(([, text]) => text.length)) * 6.5;
		const [from, to] = timeRange();
		const x = time => this.left + (time - from) / (to - from) * (right - this.left);
		const y = value => bottom - value / top * (bottom - head);
		this.svg.replaceChildren();
		this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		this.svg.setAttribute("height", height);
		this.svg.setAttribute("aria-label", this.summary());
		for (const [value, text] of labels) {
			draw("line", {class: "grid", x1: this.left, x2: right, y1: y(value), y2: y(value)}, this.svg);
			draw("text", {x: this.left - 6, y: y(value) + 4, "text-anchor": "end"}, this.svg).textContent = text;
		}
		this.drawTimes(from, to, x, bottom, right);
		for (const one of this.series) this.drawSeries(one, from, x, y, bottom);
		if (pointed && pointed.end >= from) {
			const at = x(pointed.end);
			draw("line", {class: "cross", x1: at, x2: at, y1: head, y2: bottom}, this.svg);
			for (const one of this.series)
				draw("circle", {class: `dot ${one.kind}`, cx: at, cy: y(pointed[one.key]), r: 3.5}, this.svg);
		}
		this.say(this.current);
	}
	drawTimes(from, to, x, bottom, right) {
		const room = Math.max(2, Math.floor((right - this.left) / 70));
		const minutes = [1, 2, 5, 10, 15, 20, 30].find(n => (to - from) / (n * 60e3) <= room) || 60;
		// Whole minutes of the clock that is shown, which is the viewer's.
		const shift = new Date(to).getTimezoneOffset() * 60e3, step = minutes * 60e3;
		for (let time = Math.ceil((from - shift) / step) * step + shift; time <= to; time += step) {
			const at = x(time);
			draw("line", {class: "grid", x1: at, x2: at, y1: bottom, y2: bottom + 4}, this.svg);
			const anchor = at > right - 16 ? "end" : at < this.left + 10 ? "start" : "middle";
			draw("text", {x: at, y: bottom + 16, "text-anchor": anchor}, this.svg).textContent = hourMinute(time);
		}
	}
	drawSeries(one, from, x, y, bottom) {
		const runs = [];
		let before = null;
		for (const sample of samples) {
			if (sample.end < from) continue;
			// A line joins what follows on one another, and no more.
			if (before === null || sample.begin - before.end > 4000) runs.push([]);
			runs[runs.length - 1].push(sample);
			before = sample;
		}
		for (const run of runs) {
			const points = run.map(sample => `${x(sample.end).toFixed(1)} ${y(sample[one.key]).toFixed(1)}`);
			if (run.length === 1)
				points.unshift(`${x(Math.max(run[0].begin, from)).toFixed(1)} ${y(run[0][one.key]).toFixed(1)}`);
			const first = points[0].split(" ")[0], last = points[points.length - 1].split(" ")[0];
			if (this.series.length === 1)
				draw("path", {class: "area", d: `M${first} ${bottom}L${points.join("L")}L${last} ${bottom}Z`}, this.svg);
			draw("path", {class: `line ${one.kind}`, d: `M${points.join("L")}`}, this.svg);
		}
	}
	summary() {
		if (samples.length === 0) return `${this.title}: nothing yet.`;
		const last = samples[samples.length - 1], peak = this.peak();
		const names = this.series.length > 1 ? ` (${this.series.map(one => one.name).join(", ")})` : "";
		return `${this.title}${names}: now ${this.reading(last)} ${this.unit}; most ${this.text(peak.value)} at `
			+ `${hourMinute(peak.end)}; since ${hourMinute(samples[0].begin)}.`;
	}
}

const charts = {
	bits: new Chart("Traffic", "bit/s", [{key: "bits", name: "bits", kind: "bits"}]),
	packets: new Chart("Packets", "packets/s", [{key: "packets", name: "packets", kind: "all"}]),
	cached: new Chart("Flows in the cache", "flows", [{key: "cached", name: "flows", kind: "cached"}], true),
	flows: new Chart("New flows", "flows/s", [{key: "flows", name: "flows", kind: "begun"}]),
	lost: new Chart("Lost", "a second", [
		{key: "packetsLost", name: "packets, by ports", kind: "packets"},
		{key: "recordsLost", name: "flow records", kind: "records"},
	]),
};
function point(sample) {
	if (sample === pointed) return;
	pointed = sample;
	for (const chart of Object.values(charts)) chart.draw();
}

// ---- Tables

const NUMBER = "number", EXTRA = "number extra";
const topColumns = title => [
	{title, name: "name"}, {title: "bit/s", name: NUMBER}, {title: "packets/s", name: NUMBER},
	{title: "flows", name: EXTRA},
];
const quiet = "Nothing moves just now.";
const show = {
	sources: table($("sources"), topColumns("address"), quiet, "ranked"),
	destinations: table($("destinations"), topColumns("address"), quiet, "ranked"),
	services: table($("services"), topColumns("protocol and port"), quiet, "ranked"),
	conversations: table($("conversations"), topColumns("between"), quiet, "ranked"),
	ports: table($("ports"), [
		{title: "port", name: "name"}, {title: "link"}, {title: "bit/s", name: NUMBER},
		{title: "packets/s", name: NUMBER}, {title: "packets", name: NUMBER},
		{title: "lost", name: NUMBER}, {title: "lost, last min", name: NUMBER},
	], "There is no port.", "stack"),
	sinks: table($("sinks"), [
		{title: "destination", name: "name"}, {title: "state"}, {title: "records/s", name: NUMBER},
		{title: "sent", name: NUMBER}, {title: "lost", name: NUMBER}, {title: "lost, why", name: "full"},
	], "Nowhere: no collector and no archive was asked for.", "stack"),
	packets: table($("packets"), [
		{title: "since the start", name: "name"}, {title: "packets", name: NUMBER},
		{title: "share", name: EXTRA}, {title: "last minute", name: NUMBER},
	], ""),
	ends: table($("ends"), [
		{title: "records, by why they were made", name: "name"}, {title: "records", name: NUMBER},
		{title: "last minute", name: NUMBER},
	], ""),
	workers: table($("workers"), [
		{title: "thread", name: "name"}, {title: "busy", name: NUMBER}, {title: "flows", name: NUMBER},
		{title: "waiting records", name: EXTRA}, {title: "lost", name: NUMBER},
	], ""),
	archive: table($("archive"), [{title: "folder", name: "name"}, {title: "", name: NUMBER}],
		"There is none; --archive keeps every record."),
};
const lostCell = n => ({text: int(n), name: n > 0 ? "bad-number" : ""});

function showTop(top) {
	const late = top && top.parts > top.parts_read
		? ` The flow cache is large: each look reads ${top.parts_read} of its ${top.parts} parts, in turn, so some`
			+ ` figures are up to ${duration(3 + 4 * Math.ceil(top.parts / top.parts_read))} old.`
		: "";
	put($("top-hint"), `By bits a second, of the flows that moved in the last seconds.${late}`);
	const rows = (list, name) => {
		const most = Math.max(1, ...list.map(row => row.bits_per_s));
		return list.map(row => {
			const [text, soft] = name(row);
			return [
				{text, soft, bar: row.bits_per_s / most}, short(row.bits_per_s),
				short(row.packets_per_s), int(row.flows),
			];
		});
	};
	show.sources(rows(top ? top.sources : [], row => [row.addr]));
	show.destinations(rows(top ? top.destinations : [], row => [row.addr]));
	show.services(rows(top ? top.ports : [], service));
	show.conversations(rows(top ? top.conversations : [], row => [`${row.addr} ↔ ${row.peer}`]));
}
function showPorts(now) {
	const seconds = Math.max(now.last_s, 1);
	show.ports(now.ports.map(port => [
		port.name,
		{text: port.up ? "up" : "down", state: port.up ? "good" : "bad"},
		short(8 * port.last_bytes / seconds), short(port.last_packets / seconds), int(port.packets),
		lostCell(port.missed + port.errors + port.no_mbuf), lostCell(port.last_lost),
	]));
}
function sinkState(sink) {
	const lost = sink.lost.reduce((sum, loss) => sum + loss.last, 0);
	if (sink.former) return {text: "removed", state: "idle"};
	if (sink.last_refusals > 0) return {text: "nobody listens", state: "bad"};
	if (lost > 0) return {text: "loses records", state: "bad"};
	if (sink.last_sent > 0) return {text: sink.collector ? "sends" : "writes", state: "good"};
	return {text: sink.records > 0 ? "quiet" : "nothing yet", state: "idle"};
}
function showSinks(now) {
	const seconds = Math.max(now.last_s, 1);
	show.sinks(now.sinks.map(sink => {
		const losses = sink.lost.filter(loss => loss.records > 0);
		const lost = losses.reduce((sum, loss) => sum + loss.records, 0);
		return [
			sink.name, sinkState(sink), short(sink.last_sent / seconds), int(sink.sent), lostCell(lost),
			losses.map(loss => `${loss.reason.replace(/_/g, " ")} ${int(loss.records)}`).join(", ")
				|| (sink.refusals > 0 ? `${int(sink.refusals)} datagrams refused` : "–"),
		];
	}));
}
function showPackets(now) {
	const all = Math.max(now.received.packets, 1), rows = [];
	const add = (name, packets, last, kind) => {
		const row = [name, int(packets), percent(packets / all), last];
		row.kind = kind;
		rows.push(row);
	};
	add("received", now.received.packets, "", "total");
	add("metered, in flows", now.metered.packets, "", "total");
	for (const reason of now.unmetered) {
		if (reason.packets === 0 && reason.reason !== "port_missed") continue;
		const lost = reason.reason.startsWith("port_");
		add(UNMETERED[reason.reason] || reason.reason, reason.packets,
			lost ? lostCell(reason.last) : int(reason.last), "indent");
	}
	show.packets(rows);
}
const fillText = make("p", "fill"), fillTrack = make("div", "track");
fillText.append(make("span"), make("span", "soft"));
fillTrack.append(make("i"));
fillTrack.setAttribute("role", "meter");
fillTrack.setAttribute("aria-label", "flow cache, in use");
$("cache-fill").append(fillText, fillTrack);
function showCache(now) {
	const share = now.cache.flows / Math.max(now.cache.capacity, 1);
	put(fillText.children[0], `${int(now.cache.flows)} of ${int(now.cache.capacity)} flows`);
	put(fillText.children[1], `${percent(share)} full`);
	dress(fillTrack, share >= 0.9 ? "track warning" : "track");
	fillTrack.firstChild.style.width = `${Math.min(100, 100 * share).toFixed(1)}%`;
	fillTrack.setAttribute("aria-valuenow", (100 * share).toFixed(1));
	show.ends(now.records.filter(end => end.records > 0 || end.reason === "resources").map(end => [
		ENDS[end.reason] || end.reason, int(end.records),
		end.reason === "resources" ? lostCell(end.last) : int(end.last),
	]));
}
function showWorkers(now) {
	const busy = (name, thread, rest) => [
		{text: name, bar: thread.busy, warning: thread.busy >= 0.9}, percent(thread.busy), ...rest,
	];
	const rows = now.workers.map((worker, i) => busy(`worker ${i}`, worker, [
		int(worker.flows), `${int(worker.ring)} of ${short(worker.ring_capacity)}`, lostCell(worker.lost),
	]));
	if (now.reader) rows.unshift(busy("reads the ports", now.reader, ["", "", ""]));
	show.workers(rows);
}
function showArchive(archive) {
	if (archive === null) { show.archive([]); return; }
	const rows = [
		[archive.dir, ""], ["records written", int(archive.archived)],
		["files closed", `${int(archive.files)}, ${sized(archive.bytes, "B")}`],
	];
	const add = (name, n, cell) => { if (n > 0) rows.push([name, cell || int(n)]); };
	add("files deleted, too old", archive.deleted);
	add("records saved of earlier runs", archive.recovered);
	add("records damaged", archive.damaged, lostCell(archive.damaged));
	add("errors of the disk", archive.errors, lostCell(archive.errors));
	rows[0].kind = "total";
	show.archive(rows);
}
function showHealth(now) {
	const lines = now.health.map(line => [line.level, line.text]);
	if (now.health_more > 0) lines.push([now.health[now.health.length - 1].level, `And ${now.health_more} more.`]);
	sayHealth(lines);
	const level = now.health[0].level;
	document.title = `${level === "bad" ? "✕ " : level === "warning" ? "! " : ""}weir ${location.host}`;
}
function sayHealth(lines) {
	const list = $("health");
	while (list.children.length > lines.length) list.lastChild.remove();
	lines.forEach(([level, text], i) => {
		const item = list.children[i] || list.appendChild(make("li"));
		dress(item, level);
		put(item, text);
	});
}
function showAbout(now) {
	put($("host"), location.host);
	const parts = [`version ${now.version}`, `up ${duration((now.time_ms - now.started_ms) / 1000)}`,
		now.dpdk];
	if (now.sampling > 1) parts.push(`1 packet of ${int(now.sampling)} is metered`);
	put($("about"), parts.join(" · "));
	const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
	put($("zone"), `Times are of ${zone || "this browser's zone"}; weir started ${new Date(now.started_ms).toLocaleString("en-GB")}.`);
}
// What stands above a chart is its last point: a figure of a shorter time could be beyond the most of
// the hour. Before there is a point it is what the sensor says of the last second.
function showCharts(now) {
	const last = samples[samples.length - 1];
	const first = {
		bits: short(now.rates.bits), packets: short(now.rates.packets),
		cached: charts.cached.text(now.cache.flows), flows: short(now.rates.flows), lost: "–",
	};
	for (const [name, chart] of Object.entries(charts))
		chart.update(last ? chart.reading(last) : first[name]);
}
function showAll(now) {
	$("all").hidden = $("foot").hidden = false;
	showHealth(now);
	showAbout(now);
	showCharts(now);
	showTop(now.top);
	showPorts(now);
	showSinks(now);
	showPackets(now);
	showCache(now);
	showWorkers(now);
	showArchive(now.archive);
}

// ---- Asking

let started = 0, answered = 0, timer = 0, asks = false;

async function get(path) {
	const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
	if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
	return answer.json();
}
function pulse(kind, text) {
	dress($("pulse"), kind);
	put($("pulse"), text);
	dress($("all"), kind === "lost" ? "stale" : "");
}
async function ask() {
	clearTimeout(timer);
	if (asks || document.hidden) return;
	asks = true;
	try {
		const now = await get("status.json");
		nowMs = now.time_ms;
		if (now.started_ms !== started) forget();
		started = now.started_ms;
		if (!merge(now.history)) {
			forget();
			merge(await get("history.json"));
		}
		answered = Date.now();
		showAll(now);
		pulse("live", `live, ${clock(answered)}`);
	} catch (error) {
		const text = answered > 0 ? `No answer from weir since ${clock(answered)}.` : "No answer from weir.";
		document.title = `? weir ${location.host}`;
		sayHealth([["bad", answered > 0 ? `${text} What is below is of then.` : text]]);
		pulse("lost", text);
	}
	asks = false;
	if (!document.hidden) timer = setTimeout(ask, ASK_MS);
}
document.addEventListener("visibilitychange", () => {
	if (document.hidden) clearTimeout(timer);
	else ask();
});
ask();
})();
