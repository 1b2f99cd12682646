#include "capture_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>
#include <rte_branch_prediction.h>

#include "capture_stream.h"
#include "capture_walk.h"
#include "packet_filter.h"

enum {
	FILE_HEADER_BYTES = 24,
	// The walker's window holds a record of any size, and stays in the second-level cache:
	// the parser finds there what the kernel has just copied.
	WINDOW_BYTES = 512 << 10,
	// Copies of the frames that libpcap lends one at a time.
	COPIES_BYTES = 1 << 20,
};

static_assert((int)WINDOW_BYTES > CAPTURE_RECORD_HEADER_BYTES + CAPTURE_MAX_RECORD_BYTES, "");
static_assert((int)COPIES_BYTES > (int)CAPTURE_MAX_RECORD_BYTES, "");

struct capture_file {
	char *path;
	struct capture_stream *stream;
	pcap_t *pcap;
	enum link_type link;
	struct packet_filter *filter; // NULL = every packet
	int broken;                   // negative errno; met again by every further read
	char error[CAPTURE_ERROR_BYTES];

	// The first octets of the file: read to choose the way, then served to libpcap.
	uint8_t head[FILE_HEADER_BYTES];
	size_t n_head;
	uint64_t served; // octets of the file given to libpcap

	// Classic pcap is walked here, all else is read by libpcap.
	capture_walk_fn walk; // NULL = libpcap
	uint32_t snaplen;
	uint64_t offset; // of the window in the file, uncompressed
	size_t begin, end;

	uint8_t *buffer; // window, or copies
};

// Keeps "PATH: text" as the error. Returns -`error`.
[[gnu::format(printf, 3, 4)]] static int
fail(struct capture_file *file, int error, const char *format, ...) {
	int n = snprintf(
		file->error, sizeof(file->error), "%.*s: ", CAPTURE_ERROR_BYTES / 2, file->path
	);
	va_list args;

	va_start(args, format);
	vsnprintf(file->error + n, sizeof(file->error) - (size_t)n, format, args);
	va_end(args);
	return -error;
}

static int fail_stream(struct capture_file *file, int rc) {
	return fail(file, -rc, "%s", capture_stream_error(file->stream));
}

// Reads until `out` is full or the file ends. Returns the octets read, or a negative errno.
static ssize_t read_full(struct capture_file *file, uint8_t *out, size_t bytes) {
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = capture_stream_read(file->stream, out + done, bytes - done);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

// libpcap's FILE: first the head, then the rest of the stream.
static ssize_t serve(void *cookie, char *out, size_t bytes) {
	struct capture_file *file = cookie;
	ssize_t n;

	if (file->served < file->n_head) {
		n = (ssize_t)(file->n_head - file->served);
		if ((size_t)n > bytes)
			n = (ssize_t)bytes;
		memcpy(out, file->head + file->served, (size_t)n);
	} else {
		n = capture_stream_read(file->stream, (uint8_t *)out, bytes);
	}
	if (n < 0) {
		errno = (int)-n;
		return -1;
	}
	file->served += (uint64_t)n;
	return n;
}

// Only tells where we are, for ftello().
static int tell(void *cookie, off64_t *offset, int whence) {
	struct capture_file *file = cookie;
	if (whence != SEEK_CUR || *offset != 0) {
		errno = ESPIPE;
		return -1;
	}
	*offset = (off64_t)file->served;
	return 0;
}

static int open_libpcap(struct capture_file *file, FILE *lent) {
	char cause[PCAP_ERRBUF_SIZE] = "";

	if (lent == NULL)
		return fail(file, errno, "%s", strerror(errno));
	file->pcap =
		pcap_fopen_offline_with_tstamp_precision(lent, PCAP_TSTAMP_PRECISION_NANO, cause);
	if (file->pcap != NULL)
		return 0;
	fclose(lent);
	// Damaged compression is the stream's to tell; libpcap saw only a file that ended.
	if (*capture_stream_error(file->stream) != '\0')
		return fail_stream(file, -EBADMSG);
	return fail(
		file,
		EBADMSG,
		"not a capture file: %s; weir reads pcap and pcapng, plain or .gz or .zst",
		cause
	);
}

// libpcap validates the head of a classic pcap, and then has nothing more to read.
static int open_walker(struct capture_file *file) {
	int rc = open_libpcap(file, fmemopen(file->head, file->n_head, "r"));
	if (rc < 0)
		return rc;
	file->snaplen = (uint32_t)pcap_snapshot(file->pcap);
	file->offset = file->n_head;
	return 0;
}

static int check_link(struct capture_file *file) {
	int dlt = pcap_datalink(file->pcap);
	const char *name = pcap_datalink_val_to_name(dlt);

	file->link = packet_link_of_dlt(dlt);
	if (file->link != LINK_UNKNOWN)
		return 0;
	return fail(
		file,
		EPROTONOSUPPORT,
		"link type %d (%s) is not one that weir reads: Ethernet, Linux cooked, raw IP, BSD "
		"loopback, PPP, PPPoE, Cisco HDLC",
		dlt,
		name != NULL ? name : "not known"
	);
}

static int compile_filter(struct capture_file *file, const char *filter) {
	char cause[PACKET_FILTER_ERROR_BYTES];

	if (filter == NULL)
		return 0;
	file->filter = packet_filter_new(filter, file->pcap, cause);
	if (file->filter == NULL)
		return fail(file, errno, "filter '%s': %s; see pcap-filter(7)", filter, cause);
	return 0;
}

static int set_up(struct capture_file *file, const struct capture_file_config *config) {
	ssize_t n = read_full(file, file->head, FILE_HEADER_BYTES);
	int rc;

	if (n < 0)
		return fail_stream(file, (int)n);
	if (n == 0)
		return fail(
			file, EBADMSG, "empty; weir reads pcap and pcapng, plain or .gz or .zst"
		);
	file->n_head = (size_t)n;
	file->walk =
		n == FILE_HEADER_BYTES && !config->no_walker ? capture_walk_of(file->head) : NULL;
	if (file->walk != NULL)
		rc = open_walker(file);
	else
		rc = open_libpcap(
			file,
			fopencookie(
				file,
				"r",
				(cookie_io_functions_t){
					.read = serve,
					.seek = tell,
				}
			)
		);
	if (rc < 0)
		return rc;
	file->buffer = malloc(file->walk != NULL ? WINDOW_BYTES : COPIES_BYTES);
	if (file->buffer == NULL)
		return fail(file, ENOMEM, "%s", strerror(ENOMEM));
	rc = check_link(file);
	return rc < 0 ? rc : compile_filter(file, config->filter);
}

struct capture_file *
capture_file_open(const char *path, const struct capture_file_config *config, char *error) {
	char cause[CAPTURE_STREAM_ERROR_BYTES];
	struct capture_file *file = calloc(1, sizeof(*file));
	const char *name = path;

	if (strcmp(path, "-") == 0)
		name = "standard input";
	if (file == NULL || (file->path = strdup(name)) == NULL) {
		snprintf(error, CAPTURE_ERROR_BYTES, "%s", strerror(errno));
		free(file);
		return NULL;
	}
	file->stream = capture_stream_open(path, cause);
	int rc = file->stream != NULL ? set_up(file, config) : fail(file, errno, "%s", cause);
	if (rc < 0) {
		memcpy(error, file->error, CAPTURE_ERROR_BYTES);
		capture_file_close(file);
		errno = -rc;
		return NULL;
	}
	return file;
}

void capture_file_close(struct capture_file *file) {
	if (file == NULL)
		return;
	packet_filter_free(file->filter);
	// Closes the FILE that it was given, which reads the stream no more.
	if (file->pcap != NULL)
		pcap_close(file->pcap);
	capture_stream_close(file->stream);
	free(file->buffer);
	free(file->path);
	free(file);
}

enum link_type capture_file_link(const struct capture_file *file) {
	return file->link;
}

// Moves what is left of the window to its front and fills it up. Returns the octets that came,
// or a negative errno.
static ssize_t refill(struct capture_file *file) {
	size_t left = file->end - file->begin;
	memmove(file->buffer, file->buffer + file->begin, left);
	file->offset += file->begin;
	file->begin = 0;
	file->end = left;

	ssize_t n = capture_stream_read(file->stream, file->buffer + left, WINDOW_BYTES - left);
	if (n > 0)
		file->end += (size_t)n;
	return n;
}

// What is wrong with the record at the front, of which no more will come.
static int broken_record(struct capture_file *file, uint64_t wanted_bytes) {
	unsigned long long offset = file->offset + file->begin;
	size_t left = file->end - file->begin;

	if (left == 0)
		return 0;
	if (wanted_bytes <= CAPTURE_RECORD_HEADER_BYTES)
		return fail(
			file,
			EBADMSG,
			"cut short at offset %llu: %zu octets of a record header of %d",
			offset,
			left,
			CAPTURE_RECORD_HEADER_BYTES
		);
	return fail(
		file,
		EBADMSG,
		"cut short at offset %llu: %zu octets of a record of %llu",
		offset,
		left,
		(unsigned long long)wanted_bytes
	);
}

static int read_walker(struct capture_file *file, struct frame *frames, unsigned max) {
	for (;;) {
		struct capture_walk walk = {
			.at = file->buffer + file->begin,
			.end = file->buffer + file->end,
			.snaplen = file->snaplen,
		};
		unsigned n = file->walk(&walk, frames, max);
		file->begin = (size_t)(walk.at - file->buffer);
		if (likely(n > 0))
			return (int)n;
		unsigned long long offset = file->offset + file->begin;
		unsigned long long record_bytes = walk.wanted_bytes - CAPTURE_RECORD_HEADER_BYTES;
		if (record_bytes > CAPTURE_MAX_RECORD_BYTES)
			return fail(
				file,
				EBADMSG,
				"damaged at offset %llu: a record of %llu octets; no more than %d "
				"are possible",
				offset,
				record_bytes,
				CAPTURE_MAX_RECORD_BYTES
			);
		ssize_t got = refill(file);
		if (got == 0)
			return broken_record(file, walk.wanted_bytes);
		if (got < 0)
			return fail_stream(file, (int)got);
	}
}

// Seconds and nanoseconds as libpcap gives them, which are whatever a pcapng file says.
static time_ns_t clamp_time(int64_t seconds, int64_t ns) {
	int64_t time_ns;
	if (__builtin_mul_overflow(seconds, NS_PER_S, &time_ns)
	    || __builtin_add_overflow(time_ns, ns, &time_ns))
		return seconds < 0 ? 0 : TIME_NS_MAX;
	return time_ns < 0 ? 0 : time_ns;
}

static int fail_libpcap(struct capture_file *file) {
	const char *cause = capture_stream_error(file->stream);
	if (*cause == '\0')
		cause = pcap_geterr(file->pcap);
	return fail(
		file,
		EBADMSG,
		"damaged before offset %lld: %s",
		(long long)ftello(pcap_file(file->pcap)),
		cause
	);
}

static int read_libpcap(struct capture_file *file, struct frame *frames, unsigned max) {
	size_t used = 0;
	unsigned n = 0;

	while (n < max && COPIES_BYTES - used >= CAPTURE_MAX_RECORD_BYTES) {
		struct pcap_pkthdr *header;
		const u_char *data;
		int rc = pcap_next_ex(file->pcap, &header, &data);
		if (rc < 0) {
			if (rc != PCAP_ERROR_BREAK)
				file->broken = fail_libpcap(file);
			break;
		}
		if (header->caplen > CAPTURE_MAX_RECORD_BYTES) {
			file->broken =
				fail(file,
				     EBADMSG,
				     "damaged: a packet of %u octets; no more than %d are "
				     "possible",
				     header->caplen,
				     CAPTURE_MAX_RECORD_BYTES);
			break;
		}
		memcpy(file->buffer + used, data, header->caplen);
		frames[n++] = (struct frame){
			.data = file->buffer + used,
			.captured_bytes = header->caplen,
			.wire_bytes = header->len,
			.time_ns = clamp_time(header->ts.tv_sec, header->ts.tv_usec),
		};
		used += header->caplen;
	}
	return n > 0 ? (int)n : file->broken;
}

int capture_file_read(struct capture_file *file, struct frame *frames, unsigned max) {
	if (file->broken < 0)
		return file->broken;

	int n = file->walk != NULL ? read_walker(file, frames, max)
				   : read_libpcap(file, frames, max);
	if (n < 0)
		file->broken = n;
	else if (unlikely(file->filter != NULL))
		packet_filter_mark(file->filter, frames, (unsigned)n);
	return n;
}

const char *capture_file_error(const struct capture_file *file) {
	return file->error;
}

uint64_t capture_file_position(const struct capture_file *file) {
	return capture_stream_position(file->stream);
}

uint64_t capture_file_size(const struct capture_file *file) {
	return capture_stream_size(file->stream);
}
