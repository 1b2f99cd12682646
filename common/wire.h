// Wire: numbers to and from network byte order at any alignment.

#pragma once

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

static inline uint16_t wire_get16(const uint8_t *in) {
	uint16_t v;
	memcpy(&v, in, sizeof(v));
	return rte_be_to_cpu_16(v);
}

static inline uint32_t wire_get32(const uint8_t *in) {
	uint32_t v;
	memcpy(&v, in, sizeof(v));
	return rte_be_to_cpu_32(v);
}

static inline uint64_t wire_get64(const uint8_t *in) {
	uint64_t v;
	memcpy(&v, in, sizeof(v));
	return rte_be_to_cpu_64(v);
}

static inline void wire_put16(uint8_t *out, uint16_t v) {
	v = rte_cpu_to_be_16(v);
	memcpy(out, &v, sizeof(v));
}

static inline void wire_put32(uint8_t *out, uint32_t v) {
	v = rte_cpu_to_be_32(v);
	memcpy(out, &v, sizeof(v));
}

static inline void wire_put64(uint8_t *out, uint64_t v) {
	v = rte_cpu_to_be_64(v);
	memcpy(out, &v, sizeof(v));
}
