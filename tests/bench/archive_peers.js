// DuckDB for tests/bench/archive_peers: reads one statement a line, as JSON text, from standard input,
// and answers each with a line of JSON: its rows, and the CPU time that it took, of all threads and in
// the kernel. The library's own start is not in it. An error is told as one.

import {createInterface} from "node:readline";

import {DuckDBInstance} from "@duckdb/node-api";

const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();

async function answer(sql) {
	const before = process.cpuUsage();
	try {
		const result = await connection.runAndReadAll(sql);
		const {user, system} = process.cpuUsage(before);
		return {cpu_s: (user + system) / 1e6, rows: result.getRows()};
	} catch (error) {
		return {error: error.message};
	}
}

for await (const line of createInterface({input: process.stdin})) {
	const text = JSON.stringify(await answer(JSON.parse(line)),
		(_, value) => (typeof value === "bigint" ? String(value) : value));
	process.stdout.write(`${text}\n`);
}
