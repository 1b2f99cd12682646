#include "exposition.h"

#include <inttypes.h>
#include <stdarg.h>

#include "utf8.h"

static const char *suffix_of(const struct exposition *exposition) {
	return exposition->type == EXPOSITION_COUNTER ? "_total" : "";
}

void exposition_family(
	struct exposition *exposition, enum exposition_type type, const char *name, const char *help
) {
	static const char *const types[] = {
		[EXPOSITION_COUNTER] = "counter",
		[EXPOSITION_GAUGE] = "gauge",
		[EXPOSITION_HISTOGRAM] = "histogram",
	};

	exposition->name = name;
	exposition->type = type;
	// OpenMetrics names the family, the older format its samples.
	const char *suffix = exposition->openmetrics ? "" : suffix_of(exposition);
	fprintf(exposition->out, "# HELP %s%s %s\n", name, suffix, help);
	fprintf(exposition->out, "# TYPE %s%s %s\n", name, suffix, types[type]);
}

static void put_value(FILE *out, const char *text) {
	while (*text != '\0') {
		size_t n = utf8_bytes(text);
		if (n == 0)
			fputs("\xef\xbf\xbd", out); // U+FFFD
		else if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fwrite(text, 1, n, out);
		text += n > 0 ? n : 1;
	}
}

static void put_sample(const struct exposition *exposition, va_list labels) {
	FILE *out = exposition->out;
	const char *between = "{", *label;

	fprintf(out, "%s%s", exposition->name, suffix_of(exposition));
	while ((label = va_arg(labels, const char *)) != NULL) {
		fprintf(out, "%s%s=\"", between, label);
		put_value(out, va_arg(labels, const char *));
		fputc('"', out);
		between = ",";
	}
	fputs(*between == ',' ? "} " : " ", out);
}

void exposition_count(struct exposition *exposition, uint64_t value, ...) {
	va_list labels;

	va_start(labels, value);
	put_sample(exposition, labels);
	va_end(labels);
	fprintf(exposition->out, "%" PRIu64 "\n", value);
}

void exposition_real(struct exposition *exposition, double value, ...) {
	va_list labels;

	va_start(labels, value);
	put_sample(exposition, labels);
	va_end(labels);
	fprintf(exposition->out, "%.15g\n", value);
}

void exposition_bucket(struct exposition *exposition, const char *le, uint64_t value) {
	fprintf(exposition->out,
		"%s_bucket{le=\"%s\"} %" PRIu64 "\n",
		exposition->name,
		le != NULL ? le : "+Inf",
		value);
}

void exposition_sum(struct exposition *exposition, double sum, uint64_t count) {
	fprintf(exposition->out, "%s_sum %.15g\n", exposition->name, sum);
	fprintf(exposition->out, "%s_count %" PRIu64 "\n", exposition->name, count);
}

void exposition_end(struct exposition *exposition) {
	if (exposition->openmetrics)
		fputs("# EOF\n", exposition->out);
}

const char *exposition_content_type(bool openmetrics) {
	return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			   : "text/plain; version=0.0.4; charset=utf-8";
}
