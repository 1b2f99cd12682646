// The inside of a Parquet reader, for the modules that it is made of.

#pragma once

#include "flow_key.h"
#include "parquet_footer.h"
#include "parquet_reader.h"

struct parquet_reader {
	struct parquet_source source;
	struct parquet_footer footer;
	struct flow_secret secret;
	// Of parquet_reader_records().
	struct parquet_vector vector;
	char sampler_address[FLOW_COLUMN_TEXT_BYTES];
};
