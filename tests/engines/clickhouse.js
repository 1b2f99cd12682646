// The archive as ClickHouse reads it, in this process (chdb).

import {createRequire} from "node:module";

import {COLUMNS, glob} from "./flows.js";

const {query: ask} = createRequire(new URL("./clickhouse/", import.meta.url))("chdb");

const TYPES = {time: "DateTime64(9, 'UTC')", text: "String", int32: "Int32", int64: "Int64"};

let source = "";

// Numbers of 64 bits come as text, since they may be longer than a double.
function rowsOf(sql) {
	const lines = ask(`${sql} SETTINGS output_format_json_quote_64bit_integers = 1`, "JSONEachRow").trim();
	return lines === "" ? [] : lines.split("\n").map((line) => JSON.parse(line));
}

export const name = "ClickHouse";
export const unit = 1n; // it keeps nanoseconds

export async function query(sql) {
	return rowsOf(sql.replaceAll(/\bFROM flows\b/g, `FROM ${source}`));
}

export async function open(folder) {
	source = `file('${glob(folder)}', Parquet)`;
}

export async function checkTypes(faults) {
	const lines = ask(`DESCRIBE TABLE ${source}`, "JSONEachRow").trim().split("\n").map((line) => JSON.parse(line));
	const found = lines.map(({name: column, type}) => [column, type]).filter(([n]) => n !== "date" && n !== "hour");
	const wanted = COLUMNS.map(({name: column, type, optional}) =>
		[column, optional ? `Nullable(${TYPES[type]})` : TYPES[type]]);
	if (JSON.stringify(found) !== JSON.stringify(wanted))
		faults.push(`ClickHouse: types ${JSON.stringify(found)}`);
}

const asInteger = ({name: column, type}) =>
	type === "time" ? `toUnixTimestamp64Nano(${column})` : column;

function withBigInts(row, names) {
	for (const column of names)
		row[column] = row[column] === null ? null : BigInt(row[column]);
	return row;
}

export async function rows() {
	// Not under the column's own name, by which ClickHouse would take it.
	const list = COLUMNS.map((column, i) => `${asInteger(column)} AS c${i}`);
	return rowsOf(`SELECT ${list.join(", ")} FROM ${source}`).map((found) =>
		withBigInts(
			Object.fromEntries(COLUMNS.map(({name: column}, i) => [column, found[`c${i}`]])),
			COLUMNS.filter(({type}) => type !== "text").map(({name: column}) => column),
		));
}

export async function sumUp(column) {
	const value = asInteger(column), text = column.type === "text";
	const [row] = rowsOf(
		`SELECT min(${value}) AS least, max(${value}) AS most, `
		+ `${text ? "NULL" : `toString(sum(toInt256(${value})))`} AS total, `
		+ `count() - count(${column.name}) AS nulls, count() AS n FROM ${source}`);
	return {min: row.least, max: row.most, sum: text ? null : row.total ?? 0n, nulls: row.nulls, n: row.n};
}
