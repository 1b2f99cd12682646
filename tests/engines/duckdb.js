// The archive as DuckDB reads it.

import {DuckDBInstance} from "@duckdb/node-api";

import {COLUMNS, glob} from "./flows.js";

const TYPES = {
	time: "TIMESTAMP WITH TIME ZONE", // of microseconds: what lies below is cut off
	text: "VARCHAR",
	int32: "INTEGER",
	int64: "BIGINT",
};

const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();
await connection.run("SET TimeZone = 'UTC'");

export async function query(sql) {
	const result = await connection.runAndReadAll(sql);
	return result.getRowObjects();
}

export const name = "DuckDB";

// A view `flows` of the archive, as docs/archive.md advises.
export async function open(folder) {
	await connection.run(
		`CREATE OR REPLACE VIEW flows AS SELECT * FROM read_parquet('${glob(folder)}', hive_partitioning = true)`);
}

export async function checkTypes(faults) {
	const found = (await query("DESCRIBE flows")).filter(({column_name: n}) => n !== "date" && n !== "hour");
	const types = found.map((row) => [row.column_name, row.column_type]);
	const wanted = COLUMNS.map((column) => [column.name, TYPES[column.type]]);
	if (JSON.stringify(types) !== JSON.stringify(wanted))
		faults.push(`DuckDB: types ${JSON.stringify(types)}`);
}

// Every row, in no order. Times in whole microseconds.
export async function rows() {
	const list = COLUMNS.map(({name: column, type}) =>
		type === "time" ? `epoch_us(${column}) * 1000 AS ${column}`
		: type === "text" ? column : `CAST(${column} AS BIGINT) AS ${column}`);
	return query(`SELECT ${list.join(", ")} FROM flows`);
}

// Least, greatest, sum and NULLs of a column, worked out by the engine, with pushed-down filters and
// statistics as it likes.
export async function sumUp({name: column, type}) {
	const value = type === "time" ? `epoch_us(${column}) * 1000` : column;
	const number = (what) => (type === "text" ? what : `CAST(${what} AS HUGEINT)`);
	const sum = type === "text" ? "NULL" : `sum(CAST(${value} AS HUGEINT))`;
	const [row] = await query(
		`SELECT ${number(`min(${value})`)} AS min, ${number(`max(${value})`)} AS max, `
		+ `${sum} AS sum, count(*) - count(${column}) AS nulls, count(*) AS n FROM flows`);
	return {...row, sum: type === "text" ? null : row.sum ?? 0n};
}
