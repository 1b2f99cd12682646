#include "config_mistakes.h"

const struct config_mistake config_mistakes[] = {
	// The example as it is
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  collectors: [192.0.2.10:2055]\n",
	 "4: export.collectors: 192.0.2.10:2055 is only an example; set this to your collector, "
	 "and "
	 "capture.ports, line 2, to the ports to meter"},
	{"capture:\n"
	 "  ports: [eth1, eth2]\n"
	 "export:\n"
	 "  collectors: [192.0.2.10:2055]\n",
	 "4: export.collectors: 192.0.2.10:2055 is only an example; set this to your collector"},
	// Names
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "chache:\n"
	 "  entries: 1k\n",
	 "3: chache: no such section; did you mean cache? There are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "metrics:\n"
	 "  port: 1\n",
	 "3: metrics: no such section; there are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache-entries: 5000\n",
	 "3: cache-entries: not a section; did you mean cache.entries? Then write 'cache:', and "
	 "below it, indented, 'entries:'"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache.entries: 5000\n",
	 "3: cache.entries: not a section; did you mean cache.entries? Then write 'cache:', and "
	 "below it, indented, 'entries:'"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  fitler: tcp\n",
	 "3: capture.fitler: not known; did you mean capture.filter? Here there are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  entries: 5\n"
	 "  dir: /a\n",
	 "4: archive.entries: not known; did you mean cache.entries? Here there are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  active-timeout: 60s\n",
	 "4: cache.active-timeout: not known; did you mean cache.active_timeout? Here there are "
	 "..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  Entries: 5000\n",
	 "4: cache.Entries: not known; did you mean cache.entries? Here there are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  colour: red\n",
	 "4: cache.colour: not known; here there are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "<<:\n"
	 "  a: b\n",
	 "3: <<: no such section; there are ..."},
	// Twice
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 5000\n"
	 "  entries: 6000\n",
	 "5: cache.entries: given twice, first in line 4; remove one of them"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 5000\n"
	 "log:\n"
	 "  level: info\n"
	 "cache:\n"
	 "  memory: 1GiB\n",
	 "7: cache: given twice, first in line 3; put its keys together"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 5000\n"
	 "  memory: 1GiB\n",
	 "5: cache.memory: line 4 says the same with cache.entries; remove one of them"},
	{"capture:\n"
	 "  ports: [eth1, eth1]\n",
	 "2: capture.ports: eth1: given twice; name it once"},
	// Shapes
	{"capture:\n"
	 "  ports: eth1\n",
	 "2: capture.ports: eth1: one value where a list is due; write 'ports: [eth1]', or '- "
	 "eth1' in a line below"},
	{"capture:\n"
	 "  ports: []\n",
	 "2: capture.ports: an empty list; add a line such as '- eth1', or remove the key"},
	{"capture:\n"
	 "  ports:\n",
	 "2: capture.ports: no value; use eth1, af_packet:eth1, af_xdp:eth1, a PCI address such as "
	 "0000:03:00.0, or vdev:NAME,ARGUMENTS, or remove the line"},
	{"capture:\n"
	 "  ports: [[eth1]]\n",
	 "2: capture.ports: a list inside of the list; write one value in each line, and put one "
	 "with ': ' in quotes"},
	{"capture:\n"
	 "  ports:\n"
	 "    - name: eth1\n",
	 "3: capture.ports: a section inside of the list; write one value in each line, and put "
	 "one with ': ' in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "log:\n"
	 "  level: [info]\n",
	 "4: log.level: a list where one value is due; write 'level: info', without brackets or "
	 "'-', or in quotes if the brackets are its own"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "log:\n"
	 "  level:\n"
	 "    is: info\n",
	 "5: log.level: keys below a key that has a value; write 'level: info' in one line"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache: 5000\n",
	 "3: cache: 5000: a value where a section is due; write 'key: value' in lines below it, "
	 "indented, with a space behind the colon; its keys are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache: [entries]\n",
	 "3: cache: a list where a section is due; write 'key: value' in lines below it, indented, "
	 "with a space behind the colon; its keys are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries:\n",
	 "4: cache.entries: no value; use a whole number from 16 to 1073741824, or remove the "
	 "line"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: ''\n",
	 "4: cache.entries: no value; use a whole number from 16 to 1073741824, or remove the "
	 "line"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: ~\n",
	 "4: cache.entries: no value; use a whole number from 16 to 1073741824, or remove the "
	 "line"},
	{"- eth1\n",
	 "1: a list where sections are due; write such as 'capture:', and its keys in lines below "
	 "it, indented"},
	{"eth1\n",
	 "1: a value where sections are due; write such as 'capture:', and its keys in lines below "
	 "it, indented"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "? [a]\n"
	 ": b\n",
	 "3: a list or a section where a key is due; write 'key: value'"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: |\n"
	 "    tcp\n"
	 "    port 443\n",
	 "3: capture.filter: tcp?port 443?: a value of several lines; write it on one"},
	// Values
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 12x\n",
	 "4: cache.entries: 12x: must be a whole number from 16 to 1073741824"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 4\n",
	 "4: cache.entries: 4: must be a whole number from 16 to 1073741824"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  active_timeout: 60\n",
	 "4: cache.active_timeout: 60: not a duration; use a number and a unit, such as 60s, 500ms "
	 "or 2m, or 0 for never"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  active_timeout: 25h\n",
	 "4: cache.active_timeout: 25h: too long; at most 24h, or 0 for never"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  idle_timeout: 15 seconds\n",
	 "4: cache.idle_timeout: 15 seconds: not a duration; use a number and a unit, such as 60s, "
	 "500ms or 2m, or 0 for never"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  memory: 1Gig\n",
	 "4: cache.memory: 1Gig: not a size; use a number and a unit, such as 512MiB or 1GiB"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  memory: 1KiB\n",
	 "4: cache.memory: 1KiB: too small; at least 10752 octets are needed"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  hugepages: maybe\n",
	 "4: cache.hugepages: maybe: use true or false"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "log:\n"
	 "  level: verbose\n",
	 "4: log.level: verbose: not known; use error, warning, notice, info or debug"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "log:\n"
	 "  format: xml\n",
	 "4: log.format: xml: not known; use text or json"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "log:\n"
	 "  report: 10ms\n",
	 "4: log.report: 10ms: at least 1s, or 0 for none"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "threads:\n"
	 "  workers: 0\n",
	 "4: threads.workers: 0: must be a whole number from 1 to 64"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "threads:\n"
	 "  cores: 1;3\n",
	 "4: threads.cores: 1;3: not a list of cores; use numbers and ranges, each core once, such "
	 "as 1,3 or 2-5"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "threads:\n"
	 "  idle: sleep\n",
	 "4: threads.idle: sleep: not known; use adaptive or poll"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  deduplicate: 5s\n",
	 "3: capture.deduplicate: 5s: use a time from 10us to 1s, such as 5ms, and then as needed "
	 ",routed (a router lies between the copies) and ,copies=N (1 to 15)"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  sample: 1:1000\n",
	 "3: capture.sample: 1:1000: use N for every Nth packet, random:N for one of N, up to "
	 "1000000000"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: tcp prt 443\n",
	 "3: capture.filter: tcp prt 443: can't parse filter expression: syntax error; 'man "
	 "pcap-filter' tells what may be written"},
	{"capture:\n"
	 "  ports: [dpdk:eth1]\n",
	 "2: capture.ports: port 'dpdk:eth1': driver not known; there are af_packet:, af_xdp:, "
	 "vdev: and PCI addresses such as 0000:03:00.0"},
	{"capture:\n"
	 "  ports: [an-interface-of-this-length]\n",
	 "2: capture.ports: port 'an-interface-of-this-length': no name of an interface; use "
	 "af_packet:eth1, af_xdp:eth1, eth1, a PCI address such as 0000:03:00.0, or "
	 "vdev:NAME,ARGUMENTS"},
	{"capture:\n"
	 "  ports: [eth1, none]\n"
	 "export:\n"
	 "  datagram_size: 9000\n",
	 "4: export.datagram_size: 9000: must be a whole number from 512 to 8952"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  source_id: 0\n",
	 "4: export.source_id: 0: must be a whole number from 1 to 4294967295"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  template_interval: 0\n",
	 "4: export.template_interval: 0: at least 1s"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  collectors: [192.0.2.10]\n",
	 "4: export.collectors: 192.0.2.10: no port; use HOST:PORT or \"[IPV6]:PORT\" in quotes, "
	 "such as 192.0.2.10:2055"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  collectors: ['2001:db8::1:2055']\n",
	 "4: export.collectors: 2001:db8::1:2055: an IPv6 address must stand in brackets; use "
	 "HOST:PORT or \"[IPV6]:PORT\" in quotes, such as 192.0.2.10:2055"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  rate: fast\n",
	 "4: export.rate: fast: not a rate; use records a second, such as 500000, or 100Mbit, or "
	 "20000datagrams, up to 10^12 of them, or 0 for no limit"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  distribute: both\n",
	 "4: export.distribute: both: not known; use mirror or balance"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  fields: standard,+nosuch\n",
	 "4: export.fields: standard,+nosuch: field nosuch: no such name: a group, an element of "
	 "IANA or its id"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  timestamps: local\n",
	 "4: export.timestamps: local: not known; use uptime, absolute or both"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  tls_ca: /nowhere/ca.pem\n",
	 "4: export.tls_ca: /nowhere/ca.pem: cannot be read: No such file or directory; name a "
	 "file that can"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  export-rate: 5\n",
	 "4: export.export-rate: not known; did you mean export.rate? Here there are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "output:\n"
	 "  ledger: yaml\n",
	 "4: output.ledger: yaml: not known; use text, json or none"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "output:\n"
	 "  print: netflow\n",
	 "4: output.print: netflow: not known; use text, csv or json"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  sensor: at home\n",
	 "5: archive.sensor: at home: use up to 64 letters, digits, '-', '_' and '.', such as "
	 "athome"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  level: 20\n",
	 "5: archive.level: 20: must be a whole number from 1 to 19"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  rotate: 90m,1kB\n",
	 "5: archive.rotate: 90m,1kB: use whole seconds up to 24h, and then as needed a size of at "
	 "least 1MiB, such as 1h,1GiB"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  retain: always\n",
	 "5: archive.retain: always: use an age, a size behind a comma, or both: 30d or ,500GiB or "
	 "30d,500GiB"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  sync: always\n",
	 "5: archive.sync: always: not known; use none, close or flush"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  flush: 1ms\n",
	 "5: archive.flush: 1ms: use a time from 10ms to 1h, such as 5s"},
	// Together
	{"cache:\n"
	 "  entries: 5000\n",
	 " no port given; add 'capture:', and below it, indented, 'ports: [eth1]'"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  rotate: 2h\n",
	 "4: archive.rotate: says nothing without archive.dir; add that, such as dir: "
	 "/var/lib/weir, or remove this"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "archive:\n"
	 "  dir: /a\n"
	 "  retain: 10m\n",
	 "5: archive.retain: a file is longer than that; use a shorter archive.rotate"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 64\n"
	 "threads:\n"
	 "  workers: 8\n",
	 "6: threads.workers: 8: 64 cache entries are too few for them; at least 16 each"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  tls_cert: /dev/null\n",
	 "4: export.tls_cert: needs its key; add export.tls_key"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "export:\n"
	 "  tls_key: /dev/null\n",
	 "4: export.tls_key: needs its certificate; add export.tls_cert"},
	// YAML
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "\tentries: 5000\n",
	 "4: column 1: a tab in the indentation, of which every editor makes something else; use "
	 "spaces"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 5000\n"
	 " idle_timeout: 1s\n",
	 "5: column 2: the line fits neither the section above it nor the top; indent the keys of "
	 "a section alike, and put values with quotes inside in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries: 5000\n"
	 "   idle_timeout: 1s\n",
	 "5: column 16: a second ': ' in the line, or a key that is indented further than the one "
	 "above; put a value with ': ' in quotes, and indent the keys of a section alike"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache\n",
	 "4: column 1: a key without its colon, or a value that runs over several lines; write "
	 "'key: value', with a space behind the colon"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries 5000\n",
	 "4: cache: entries 5000: a value where a section is due; write 'key: value' in lines "
	 "below it, indented, with a space behind the colon; its keys are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache:\n"
	 "  entries:5000\n",
	 "4: cache: entries:5000: a value where a section is due; write 'key: value' in lines "
	 "below it, indented, with a space behind the colon; its keys are ..."},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "serve:\n"
	 "  http: a: b\n",
	 "4: column 10: a second ': ' in the line, or a key that is indented further than the one "
	 "above; put a value with ': ' in quotes, and indent the keys of a section alike"},
	{"capture:\n"
	 "  ports: [eth1\n"
	 "cache:\n"
	 "  entries: 5000\n",
	 "2: column 10: a list in brackets that is not closed; write [a, b]"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "cache: {entries: 5000\n",
	 "3: column 8: braces that are not closed; write a section as lines below its key"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: 'tcp\n",
	 "3: column 11: quotes that are opened and not closed; close them"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: \"tcp\\q\"\n",
	 "3: column 15: in double quotes '\\' begins an escape; use single quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: *tcp\n",
	 "3: *tcp: an alias, which is not used here; write the value itself, or put it in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: &x tcp\n",
	 "3: &x: an anchor, which is not used here; remove it, or put the value in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: !tcp port\n",
	 "3: !tcp: a tag, which is not used here; remove it, or put the value in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: !a!b tcp\n",
	 "3: column 11: a value that begins with '!', which means something to YAML; put it in "
	 "quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: @tcp\n",
	 "3: column 11: a value that begins with a character which YAML keeps for itself; put it "
	 "in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: * tcp\n",
	 "3: column 12: a value that begins with '*' or '&', which means something to YAML; put it "
	 "in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "serve:\n"
	 "  http: [1234]\n",
	 "4: serve.http: a list where one value is due; write 'http: 127.0.0.1:9480', without "
	 "brackets or '-', or in quotes if the brackets are its own"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "serve:\n"
	 "  http: localhost\n",
	 "4: serve.http: localhost: no address; use PORT, HOST:PORT, \"[IPV6]:PORT\" in quotes, or "
	 "none"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "serve:\n"
	 "  http: 127.0.0.1:94800\n",
	 "4: serve.http: 127.0.0.1:94800: no address; use PORT, HOST:PORT, \"[IPV6]:PORT\" in "
	 "quotes, or none"},
	{"capture:\n"
	 "  ports: - eth1\n",
	 "2: column 10: a '- ' that no list can have here; begin a list below its key"},
	{"capture:\n"
	 "  ports:\n"
	 "    - eth1\n"
	 "   - eth2\n",
	 "4: column 4: the line fits neither the section above it nor the top; indent the keys of "
	 "a section alike, and put values with quotes inside in quotes"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "---\n"
	 "cache:\n"
	 "  entries: 5000\n",
	 "3: a second document; remove the '---' or '...' before it"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "...\n"
	 "cache:\n",
	 "4: column 1: something stands before the first key or behind the last; a file is "
	 "sections with keys alone"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: tcp \x01\n",
	 "3: column 15: the control character 0x01; remove it"},
	{"capture:\n"
	 "  ports: [eth1]\n"
	 "  filter: M\xfc"
	 "ller\n",
	 "3: column 12: the octet 0xFC is no character; save the file as UTF-8"},
};
const size_t n_config_mistakes = sizeof(config_mistakes) / sizeof(config_mistakes[0]);
