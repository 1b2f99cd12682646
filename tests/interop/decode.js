// A line of JSON for each line of hex that is a datagram: its header and its flows, as
// node-netflowv9 decodes them.
const Collector = require("node-netflowv9");

const collector = new Collector({});
const lines = require("fs").readFileSync(0, "latin1").split("\n");
for (const line of lines.filter((text) => text !== "")) {
	const datagram = Buffer.from(line, "hex");
	const done = collector.nfPktDecode(datagram, { address: "127.0.0.1", port: 1, size: datagram.length });
	console.log(JSON.stringify([done.header, done.flows]));
}
