// weir decode: datagrams of NetFlow and IPFIX in, what they say and what is wrong with them out.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "decode_options.h"
#include "decode_print.h"
#include "decode_source.h"

static volatile sig_atomic_t stopped;

static void on_signal(int signal_number) {
	stopped = 1;
	// The second one ends weir at once.
	signal(signal_number, SIG_DFL);
}

static void flush(void *arg) {
	struct decode_print *print = arg;
	fflush(print->out);
}

static bool has_problems(const struct flow_decode *decoder, bool strict) {
	struct flow_decode_stats stats;

	flow_decode_stats(decoder, &stats);
	for (unsigned i = 0; i < FLOW_PROBLEM_KINDS; i++)
		if (stats.problems[i] > 0 && (strict || !flow_problem_is_advice(i)))
			return true;
	return false;
}

static bool read_all(struct decode_source *source, const struct decode_options *options) {
	bool ok = true;

	if (options->listen != NULL)
		return decode_source_listen(source, options->listen) == 0;
	for (unsigned i = 0; i < options->n_files && !decode_source_done(source); i++)
		ok &= decode_source_file(source, options->files[i]) == 0;
	return ok;
}

int command_decode(int argc, char **argv) {
	struct decode_options options;
	int rc = decode_options_parse(&options, argc, argv);

	if (rc != 0)
		return rc > 0 ? EXIT_OK : EXIT_USAGE;
	struct decode_print print = {
		.out = stdout,
		.format = options.format,
		.templates = options.templates,
		.quiet = options.quiet,
	};
	struct flow_decode_events events = decode_print_events(&print);
	struct flow_decode *decoder = flow_decode_new(&events);
	if (decoder == NULL) {
		fprintf(stderr, "weir decode: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	struct decode_source source = {
		.decoder = decoder,
		.stop = &stopped,
		.most = options.count,
		.port = options.port,
		.flush = flush,
		.arg = &print,
	};
	// Without SA_RESTART: a read that waits on a pipe must hear of it.
	const struct sigaction on_stop = {.sa_handler = on_signal};
	sigaction(SIGINT, &on_stop, NULL);
	sigaction(SIGTERM, &on_stop, NULL);
	bool ok = read_all(&source, &options);
	flow_decode_finish(decoder);
	decode_print_summary(&print, decoder, &source);
	ok = ok && !has_problems(decoder, options.strict) && source.cut == 0
	     && source.overflow == 0;
	flow_decode_free(decoder);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "weir decode: cannot write: %s\n", strerror(errno));
		ok = false;
	}
	return ok ? EXIT_OK : EXIT_FAILED;
}
