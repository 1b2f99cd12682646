// The archive as hyparquet reads it: schema, statistics of every row group, every value.

import {readFileSync, readdirSync} from "node:fs";
import {join} from "node:path";

import {parquetMetadata, parquetReadObjects} from "hyparquet";
import {compressors} from "hyparquet-compressors";

import {COLUMNS, sumUp} from "./flows.js";

// Nanoseconds as they are, not as a Date, which has milliseconds.
const parsers = {timestampFromNanoseconds: (ns) => BigInt(ns)};

export function filesOf(folder) {
	return readdirSync(folder, {recursive: true})
		.filter((name) => name.endsWith(".parquet")).sort().map((name) => join(folder, name));
}

export function typeOf({type, logical_type: logical, repetition_type: repetition}) {
	const name = logical?.type === "TIMESTAMP"
		? logical.unit === "NANOS" && logical.isAdjustedToUTC && type === "INT64" ? "time" : "?"
		: logical?.type === "STRING" ? type === "BYTE_ARRAY" ? "text" : "?"
		: logical === undefined ? type?.toLowerCase() : "?";
	return {type: name, optional: repetition === "OPTIONAL"};
}

const plain = (value, type) =>
	value === null || value === undefined ? null : type === "text" ? value : BigInt(value);

// The rows of a file, with what is wrong with its schema and statistics added to `faults`.
export async function readFile(path, faults) {
	const octets = readFileSync(path);
	const buffer = octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.byteLength);
	const metadata = parquetMetadata(buffer, {parsers});
	const fields = metadata.schema.slice(1);
	const found = fields.map((field) => ({name: field.name, ...typeOf(field)}));
	if (JSON.stringify(found) !== JSON.stringify(COLUMNS))
		faults.push(`${path}: schema ${JSON.stringify(found)}`);

	const rows = [];
	let rowStart = 0;
	for (const [i, group] of metadata.row_groups.entries()) {
		const rowEnd = rowStart + Number(group.num_rows);
		const objects = await parquetReadObjects(
			{file: buffer, metadata, compressors, parsers, rowStart, rowEnd});
		for (const object of objects)
			for (const {name, type} of COLUMNS)
				object[name] = plain(object[name], type);
		checkStatistics(`${path}, row group ${i}`, group, objects, faults);
		rows.push(...objects);
		rowStart = rowEnd;
	}
	if (metadata.num_rows !== BigInt(rows.length))
		faults.push(`${path}: ${metadata.num_rows} rows in the footer, ${rows.length} read`);
	const records = metadata.key_value_metadata.find(({key}) => key === "weir.records")?.value;
	if (records !== String(rows.length))
		faults.push(`${path}: weir.records ${records}, ${rows.length} read`);
	return rows;
}

function checkStatistics(where, group, rows, faults) {
	for (const [i, column] of COLUMNS.entries()) {
		const {statistics} = group.columns[i].meta_data;
		const wanted = sumUp(rows, column);
		const {min_value: least, max_value: most, null_count: nulls} = statistics ?? {};
		const min = plain(least, column.type), max = plain(most, column.type);
		if (nulls !== wanted.nulls)
			faults.push(`${where}, ${column.name}: ${nulls} NULLs, not ${wanted.nulls}`);
		if (min !== wanted.min || max !== wanted.max)
			faults.push(`${where}, ${column.name}: ${min} to ${max}, not ${wanted.min} to ${wanted.max}`);
	}
}
