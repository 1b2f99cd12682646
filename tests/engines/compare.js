// Compares what engines read of an archive with what weir printed. Arguments: a folder for the
// archives, and captures.

import {existsSync} from "node:fs";
import {basename, dirname, join} from "node:path";
import {fileURLToPath} from "node:url";

import * as duckdb from "./duckdb.js";
import {COLUMNS, PRINTED, keyOf, makeArchive, rowsOfCsv, sumUp, weir} from "./flows.js";
import {filesOf, readFile} from "./hyparquet.js";
import {QUERIES} from "./queries.js";

const [folder, ...captures] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const engines = [duckdb];
if (existsSync(join(here, "clickhouse")))
	engines.push(await import("./clickhouse.js"));

let passed = 0, failed = 0;

function report(what, faults) {
	if (faults.length === 0) {
		passed++;
		console.log(`ok - ${what}`);
		return;
	}
	failed++;
	console.log(`not ok - ${what}`);
	for (const fault of faults.slice(0, 5))
		console.log(`    ${fault}`);
	if (faults.length > 5)
		console.log(`    and ${faults.length - 5} more`);
}

// Differences of two bags of rows.
function differences(found, wanted, columns) {
	const left = new Map();
	for (const row of wanted)
		left.set(keyOf(row, columns), (left.get(keyOf(row, columns)) ?? 0) + 1);
	const faults = [];
	for (const row of found) {
		const key = keyOf(row, columns), n = left.get(key) ?? 0;
		if (n === 0)
			faults.push(`too many: ${key}`);
		else if (n === 1)
			left.delete(key);
		else
			left.set(key, n - 1);
	}
	for (const key of left.keys())
		faults.push(`missing: ${key}`);
	return faults;
}

const cut = (row, unit) => ({
	...row,
	time_flow_start_ns: row.time_flow_start_ns / unit * unit,
	time_flow_end_ns: row.time_flow_end_ns / unit * unit,
});

function checkLedger(rows, ledger) {
	const faults = [];
	const sums = {
		records: BigInt(rows.length),
		record_packets: sumUp(rows, {name: "packets"}).sum,
		record_octets: sumUp(rows, {name: "bytes"}).sum,
	};
	for (const [name, sum] of Object.entries(sums))
		if (BigInt(ledger[name]) !== sum)
			faults.push(`${name}: ${ledger[name]} in the ledger, ${sum} in the archive`);
	for (const sink of ledger.sinks)
		if (sink.sent !== ledger.records)
			faults.push(`${sink.name}: ${sink.sent} of ${ledger.records} records`);
	if (!ledger.balanced)
		faults.push("the ledger does not add up");
	return faults;
}

async function checkEngine(engine, archive, rows) {
	const unit = engine.unit ?? 1000n, faults = [];
	const wanted = rows.map((row) => cut(row, unit));
	await engine.open(archive);
	await engine.checkTypes(faults);
	faults.push(...differences(await engine.rows(), wanted, COLUMNS));
	for (const column of COLUMNS) {
		const found = await engine.sumUp(column), sums = sumUp(wanted, column);
		for (const what of ["n", "nulls", "min", "max", "sum"])
			if (String(found[what]) !== String(sums[what]))
				faults.push(`${column.name}: ${what} ${found[what]}, not ${sums[what]}`);
	}
	return faults;
}

async function checkCapture(capture, i) {
	const archive = join(folder, String(i)), name = basename(capture);
	const {rows: printed, ledger} = makeArchive(archive, "engines", [capture]);
	if (printed.length === 0) {
		report(`${name}: has no flows, and no archive`, filesOf(archive).map((file) => `there is ${file}`));
		return;
	}
	const faults = [], rows = [];
	for (const file of filesOf(archive))
		rows.push(...await readFile(file, faults));
	report(`${name}: hyparquet reads schema, statistics and all ${rows.length} rows`,
		[...faults, ...differences(rows, printed, PRINTED)]);
	report(`${name}: the ledger says the same`, checkLedger(rows, ledger));
	const exported = rowsOfCsv(weir(["export", "--archive", archive, "--to=csv", "--ledger=none"]).stdout);
	report(`${name}: weir export gives the same`, differences(exported, printed, PRINTED));
	report(`${name}: weir archive verify finds it good`,
		weir(["archive", "verify", "--quiet", "--archive", archive], {lenient: true})
			.stderr.split("\n").filter(Boolean));
	for (const engine of engines)
		report(`${name}: ${engine.name} reads types, sums and every value`,
			await checkEngine(engine, archive, rows));
}

const text = (rows) => JSON.stringify(rows.map((row) => Object.values(row).map((v) => (v === null ? null : String(v)))));

async function checkQueries() {
	const archive = join(folder, "all");
	captures.forEach((capture, i) => makeArchive(archive, `sensor${i}`, [capture]));
	for (const engine of engines)
		await engine.open(archive);
	const asks = weir(["query", "--help"], {lenient: true}).status === 0;
	if (!asks)
		console.log("# this weir has no query command: the engines are compared with each other");
	for (const sql of QUERIES) {
		const answers = [];
		for (const engine of engines)
			answers.push([engine.name, text(await engine.query(sql))]);
		if (asks) {
			const done = weir(["query", "--archive", archive, "--format=json", sql], {lenient: true});
			const lines = done.stdout.trim().split("\n").filter(Boolean);
			answers.push(["weir query", done.status !== 0 ? done.stderr
				: text(lines.map((line) => JSON.parse(line)))]);
		}
		const faults = answers.slice(1).filter(([, answer]) => answer !== answers[0][1]);
		report(sql, faults.length === 0 ? [] : answers.map(([name, answer]) => `${name}: ${answer.slice(0, 300)}`));
	}
}

for (const [i, capture] of captures.entries())
	await checkCapture(capture, i);
await checkQueries();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
