// Parquet peer: reads back what the writer's tests wrote, written from the format's
// specification alone and sharing nothing with exporter/. Plain and slow; a file it cannot read
// fails the test that asked.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A value of a struct in Thrift's compact protocol; the outermost is `parent` -1.
struct peer_field {
	int parent; // the struct or list it is in
	int id;     // of the field, or the index in the list
	int type;
	int64_t number;       // also the length of a list
	const uint8_t *bytes; // of a binary of `number` octets
};

struct peer_tree {
	struct peer_field *fields;
	unsigned n, size;
	size_t bytes; // that it was read from
};

void peer_parse(struct peer_tree *tree, const uint8_t *at, size_t n);
void peer_done(struct peer_tree *tree);

// The field at a path of ids that ends with -1, or NULL.
const struct peer_field *peer_at(const struct peer_tree *tree, const int *path);
#define PEER_AT(tree, ...) peer_at(tree, (const int[]){__VA_ARGS__, -1})
#define PEER_NUMBER(tree, ...) peer_number(PEER_AT(tree, __VA_ARGS__))
int64_t peer_number(const struct peer_field *field); // fails the test where there is none

// Values of `width` bits; returns the octets used.
size_t peer_hybrid(const uint8_t *at, size_t n_bytes, unsigned width, uint32_t *values, size_t n);
void peer_delta(const uint8_t *at, size_t n_bytes, int64_t *values, size_t n);

struct peer_value {
	bool null;
	int64_t number;
	char text[64]; // of a text column
};

struct peer_file {
	const uint8_t *bytes;
	size_t n;
	struct peer_tree footer;
};

void peer_open(struct peer_file *file, const uint8_t *bytes, size_t n);
void peer_close(struct peer_file *file);

// The values of column `column` (its place in the schema) in a row group; checks all lengths,
// counts and checksums on the way. Freed by the caller.
struct peer_value *peer_column(const struct peer_file *file, int group, int column);
