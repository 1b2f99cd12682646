#include "ipfix_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipfix.h"

enum {
	MESSAGE_BYTES = 8192,
};

struct ipfix_file {
	const char *path;
	FILE *out;
	struct ipfix *encoder;
	uint64_t records; // given
	uint64_t in_messages;
	uint64_t written, lost; // known once it is flushed
	int error;              // negative errno of the first failure, or 0
};

static void write_message(const struct ipfix_message *message, void *arg) {
	struct ipfix_file *file = arg;

	file->in_messages += message->n_records;
	if (file->error == 0 && fwrite(message->octets, 1, message->n, file->out) != message->n)
		file->error = errno != 0 ? -errno : -EIO;
}

struct ipfix_file *ipfix_file_new(const char *path, uint32_t domain) {
	struct ipfix_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return NULL;
	file->path = path;
	file->encoder = ipfix_new(
		&(struct ipfix_config){
			.domain = domain,
			.message_bytes = MESSAGE_BYTES,
			.sampling_interval = 1,
			.sampling_algorithm = 1,
		},
		write_message,
		file
	);
	file->out = file->encoder != NULL ? fopen(path, "w") : NULL;
	if (file->out == NULL) {
		int error = errno;
		ipfix_file_free(file);
		errno = error;
		return NULL;
	}
	return file;
}

void ipfix_file_free(struct ipfix_file *file) {
	if (file == NULL)
		return;
	if (file->out != NULL)
		fclose(file->out);
	ipfix_free(file->encoder);
	free(file);
}

void ipfix_file_add(
	struct ipfix_file *file,
	const struct flow_record *records,
	size_t n,
	uint32_t sampling_interval,
	uint8_t sampling_algorithm,
	int64_t now_ms
) {
	file->records += n;
	ipfix_set_sampling(file->encoder, sampling_interval, sampling_algorithm);
	ipfix_add(file->encoder, records, n, now_ms);
}

int ipfix_file_finish(struct ipfix_file *file) {
	ipfix_flush(file->encoder);
	if (file->error == 0 && fflush(file->out) != 0)
		file->error = -errno;
	// What of a file that could not be written whole can be read is not known: all of it is
	// lost.
	file->written = file->error == 0 ? file->in_messages : 0;
	file->lost = file->records - file->written;
	return file->error;
}

void ipfix_file_count(const struct ipfix_file *file, struct ledger_sink *sink) {
	*sink = (struct ledger_sink
	){.name = file->path, .records = file->records, .sent = file->written};
	ledger_sink_add_loss(sink, "write_error", file->lost);
}
