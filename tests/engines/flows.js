// What the records are: the columns with their types, and the rows that weir itself prints.

import {spawnSync} from "node:child_process";
import {join} from "node:path";

export const WEIR = process.env.WEIR;

// Name, type in the file, and whether it may be NULL. docs/archive.md says the same.
export const COLUMNS = [
	["time_flow_start_ns", "time", false],
	["time_flow_end_ns", "time", false],
	["src_addr", "text", false],
	["dst_addr", "text", false],
	["proto", "int32", false],
	["src_port", "int32", false],
	["dst_port", "int32", false],
	["bytes", "int64", false],
	["packets", "int64", false],
	["tcp_flags", "int32", false],
	["ip_tos", "int32", false],
	["in_if", "int32", false],
	["out_if", "int32", false],
	["src_mac", "text", false],
	["dst_mac", "text", false],
	["vlan_id", "int32", false],
	["inner_vlan_id", "int32", false],
	["icmp_type", "int32", true],
	["icmp_code", "int32", true],
	["etype", "int32", false],
	["ip_ttl", "int32", false],
	["ip_ttl_max", "int32", false],
	["sampling_rate", "int64", false],
	["sampler_address", "text", true],
	["flow_end_reason", "int32", false],
].map(([name, type, optional]) => ({name, type, optional}));

// CSV has no column for the inner tag.
export const PRINTED = COLUMNS.filter(({name}) => name !== "inner_vlan_id");

// Runs weir. Ends the program where it fails, unless `lenient`.
export function weir(args, {lenient = false} = {}) {
	const done = spawnSync(WEIR, args, {encoding: "utf8", maxBuffer: 1 << 30});
	if (done.status !== 0 && !lenient)
		throw new Error(`weir ${args.join(" ")}: exit status ${done.status}\n${done.stderr}`);
	return done;
}

// A row as text, for comparing: the printed columns in order, NULL as \N.
export function keyOf(row, columns = PRINTED) {
	return columns.map(({name}) => (row[name] === null ? "\\N" : String(row[name]))).join("|");
}

// Rows of weir's CSV, with what is not known as NULL, which CSV prints as 0 or as nothing.
export function rowsOfCsv(text) {
	const lines = text.trimEnd().split("\n");
	const names = lines[0].split(",");
	return lines.slice(1).map((line) => {
		const fields = line.split(",");
		const row = Object.fromEntries(names.map((name, i) => [name, fields[i]]));
		const icmp = row.proto === "1" && row.etype === "2048"
			|| row.proto === "58" && row.etype === "34525";
		for (const {name, type} of PRINTED)
			if (type !== "text")
				row[name] = BigInt(row[name]);
		if (!icmp)
			row.icmp_type = row.icmp_code = null;
		if (row.sampler_address === "")
			row.sampler_address = null;
		return row;
	});
}

// Least, greatest, sum and NULLs of a column; text is ordered by its octets.
export function sumUp(rows, {name, type}) {
	let min = null, max = null, sum = 0n, nulls = 0n;
	for (const row of rows) {
		const value = row[name];
		if (value === null) {
			nulls++;
			continue;
		}
		if (min === null || value < min)
			min = value;
		if (max === null || value > max)
			max = value;
		if (type !== "text")
			sum += value;
	}
	return {min, max, sum: type === "text" ? null : sum, nulls, n: BigInt(rows.length)};
}

// Replays captures into an archive, and prints the same records. Captures that are damaged give
// what could be read of them, to both.
export function makeArchive(folder, sensor, captures) {
	const done = weir(
		["replay", "--archive", folder, "--sensor", sensor, "--archive-rotate", "10m,1MiB",
			"--print=csv", "--ledger=json", ...captures],
		{lenient: true},
	);
	const ledger = done.stderr.split("\n").filter((line) => line.startsWith("{")).map(JSON.parse).at(-1);
	if (ledger === undefined)
		throw new Error(done.stderr);
	return {rows: rowsOfCsv(done.stdout), ledger};
}

export const glob = (folder) => join(folder, "date=*", "hour=*", "*.parquet");
