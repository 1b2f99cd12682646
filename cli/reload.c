#include "reload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "log.h"
#include "options.h"

enum {
	END_S = 1,               // for a thread that prepares
	REPORT_BYTES = 16 << 10, // lines for whoever asked; what is beyond is in the log
};

enum stage {
	STAGE_IDLE,
	STAGE_PREPARING, // the thread
	STAGE_READY,     // the owner is to apply
	STAGE_FINISHING, // the thread: applied or refused
	STAGE_OVER,      // the owner is to join it
};

struct reload {
	struct reload_config config;
	pthread_t owner;
	char **running; // by setting: what applies
	enum log_level log_level;

	// Of the thread while it prepares and finishes, of the owner between.
	pthread_t thread;
	struct run_options options;
	struct sinks_change *change;
	bool *changed; // by setting
	enum reload_result result;
	char report[REPORT_BYTES];
	size_t n_report;

	pthread_mutex_t lock; // for all below
	pthread_cond_t turned;
	enum stage stage;
	bool again, ended;
	uint64_t n_asked, n_begun; // requests, and those that the last one begun answers
	uint64_t n_answered;
	struct reload_counts counts;
	char answer[REPORT_BYTES + 32];
};

const char *reload_result_name(enum reload_result result) {
	static const char *const names[] = {
		[RELOAD_NONE] = "none",
		[RELOAD_APPLIED] = "applied",
		[RELOAD_PARTLY] = "partly",
		[RELOAD_REFUSED] = "refused",
	};
	return names[result];
}

static time_ns_t time_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static enum stage stage_of(struct reload *reload) {
	pthread_mutex_lock(&reload->lock);
	enum stage stage = reload->stage;
	pthread_mutex_unlock(&reload->lock);
	return stage;
}

static void turn_to(struct reload *reload, enum stage stage) {
	pthread_mutex_lock(&reload->lock);
	reload->stage = stage;
	pthread_cond_broadcast(&reload->turned);
	pthread_mutex_unlock(&reload->lock);
}

// A line for the log, and for whoever asked.
static void say(struct reload *reload, enum log_level level, const char *line) {
	size_t room = sizeof(reload->report) - reload->n_report;
	int n = snprintf(reload->report + reload->n_report, room, "%s\n", line);

	if (n > 0 && (size_t)n < room)
		reload->n_report += (size_t)n;
	reload->report[reload->n_report] = '\0';
	log_message(level, line);
}

// What applies of a setting; of a file also when it was written, since it may have other contents.
static char *text_of(const struct setting_values *values, const struct setting *setting) {
	char *name = setting_values_text(values, setting);
	struct stat status;
	struct tm time;
	char date[32];
	char *text = NULL;

	if (name == NULL || setting->type != SETTING_FILE || stat(name, &status) < 0)
		return name;
	localtime_r(&status.st_mtim.tv_sec, &time);
	strftime(date, sizeof(date), "%F %T", &time);
	int n = asprintf(&text, "%s (%s.%09ld)", name, date, status.st_mtim.tv_nsec);
	free(name);
	return n < 0 ? NULL : text;
}

bool reload_complain(struct reload *reload, const char *message) {
	say(reload, LOG_LEVEL_ERROR, message);
	return reload->result != RELOAD_REFUSED;
}

static void on_mistake(const char *mistake, void *arg) {
	(void)reload_complain(arg, mistake);
}

// Finds what has changed. Returns whether there was memory for it.
static bool compare(struct reload *reload, bool *collectors, bool *others) {
	bool good = true;

	*collectors = *others = false;
	for (size_t i = 0; i < n_settings && good; i++) {
		char *text = text_of(&reload->options.values, &settings[i]);
		good = text != NULL;
		reload->changed[i] = good && strcmp(text, reload->running[i]) != 0;
		free(text);
		if (!reload->changed[i] || !setting_in_section(&settings[i], "export"))
			continue;
		if (strcmp(settings[i].key, "export.collectors") == 0)
			*collectors = true;
		else
			*others = true;
	}
	return good;
}

// Whether all is at hand that the owner needs.
static bool prepare(struct reload *reload) {
	const struct run_options *old = reload->config.options;
	bool collectors, others;
	struct sinks_config wanted;

	if (run_options_again(&reload->options, old) < 0)
		return false;
	if (!compare(reload, &collectors, &others)) {
		(void)reload_complain(reload, "no memory");
		return false;
	}
	if (send_options_mpls(&reload->options.send) && !send_options_mpls(&old->send)) {
		(void)reload_complain(
			reload,
			"export.fields: MPLS labels have no room in the flow cache; they need a "
			"restart"
		);
		return false;
	}
	if (!collectors && !others)
		return true;
	reload->config.sinks_config(&wanted, &reload->options, reload->config.arg);
	reload->change = sinks_change_new(reload->config.sinks, &wanted, !others);
	return reload->change != NULL;
}

static void *work(void *arg) {
	struct reload *reload = arg;

	options_tell(on_mistake, reload);
	if (prepare(reload)) {
		turn_to(reload, STAGE_READY);
		pthread_mutex_lock(&reload->lock);
		while (reload->stage == STAGE_READY)
			pthread_cond_wait(&reload->turned, &reload->lock);
		pthread_mutex_unlock(&reload->lock);
	}
	sinks_change_finish(reload->change);
	reload->change = NULL;
	turn_to(reload, STAGE_OVER);
	return NULL;
}

// The owner's part.

static void answer(struct reload *reload) {
	pthread_mutex_lock(&reload->lock);
	reload->stage = STAGE_IDLE;
	reload->n_answered = reload->n_begun;
	reload->counts.results[reload->result]++;
	reload->counts.last = reload->result;
	if (reload->result != RELOAD_REFUSED)
		reload->counts.read_ns = time_of(CLOCK_REALTIME);
	snprintf(
		reload->answer,
		sizeof(reload->answer),
		"%s\n%s",
		reload_result_name(reload->result),
		reload->report
	);
	pthread_cond_broadcast(&reload->turned);
	pthread_mutex_unlock(&reload->lock);
}

// Tells how it went, and whoever waits for it.
static void conclude(struct reload *reload) {
	if (reload->result == RELOAD_REFUSED)
		log_event(LOG_LEVEL_ERROR, "reload", "refused; everything is as it was");
	reload->config.over(reload->result, reload->config.arg);
	answer(reload);
}

static void start(struct reload *reload) {
	pthread_mutex_lock(&reload->lock);
	reload->stage = STAGE_PREPARING;
	reload->again = false;
	reload->n_begun = reload->n_asked;
	pthread_mutex_unlock(&reload->lock);
	reload->options = (struct run_options){0};
	reload->result = RELOAD_REFUSED; // until it is not
	reload->n_report = 0;
	reload->report[0] = '\0';
	int rc = pthread_create(&reload->thread, NULL, work, reload);
	if (rc == 0)
		return;
	(void)reload_complain(reload, "reload: no thread for it");
	conclude(reload);
}

void reload_begin(struct reload *reload) {
	if (stage_of(reload) == STAGE_IDLE) {
		start(reload);
		return;
	}
	pthread_mutex_lock(&reload->lock);
	reload->again = true;
	pthread_mutex_unlock(&reload->lock);
}

static void say_change(struct reload *reload, size_t i, const char *text) {
	char line[LOG_MESSAGE_BYTES];

	snprintf(
		line,
		sizeof(line),
		"%s: %.300s -> %.300s%s",
		settings[i].key,
		reload->running[i],
		text,
		settings[i].reload ? "" : ": needs a restart"
	);
	say(reload, settings[i].reload ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, line);
}

// After it was applied. What needs a restart runs on as it did, and is told again the next time.
static void take_running(struct reload *reload) {
	unsigned n = 0;

	reload->result = RELOAD_APPLIED;
	for (size_t i = 0; i < n_settings; i++) {
		if (!reload->changed[i])
			continue;
		char *text = text_of(&reload->options.values, &settings[i]);
		n++;
		say_change(reload, i, text != NULL ? text : "?");
		if (!settings[i].reload) {
			reload->result = RELOAD_PARTLY;
			free(text);
		} else if (text != NULL) {
			free(reload->running[i]);
			reload->running[i] = text;
		}
	}
	if (n == 0)
		say(reload, LOG_LEVEL_NOTICE, "config file read again: nothing has changed");
}

static void apply(struct reload *reload) {
	const struct reload_todo todo = {&reload->options, reload->change};

	int rc = reload->config.apply(&todo, reload->config.arg);
	if (rc == 0) {
		// What changed is told if the old level or the new one would tell it.
		enum log_level level = reload->options.log_level;
		log_set(level > reload->log_level ? level : reload->log_level,
			reload->options.log_format);
		take_running(reload);
		log_set(level, reload->options.log_format);
		reload->log_level = level;
	} else {
		(void)reload_complain(
			reload,
			rc == -EBUSY ? "reload: the exporter is held up, by whoever reads what "
				       "--print prints; nothing has changed"
				     : strerror(-rc)
		);
	}
	turn_to(reload, STAGE_FINISHING);
}

static void finish(struct reload *reload) {
	pthread_join(reload->thread, NULL);
	run_options_done(&reload->options);
	conclude(reload);
}

bool reload_update(struct reload *reload) {
	switch (stage_of(reload)) {
	case STAGE_IDLE:
		return false;
	case STAGE_READY:
		apply(reload);
		return true;
	case STAGE_OVER:
		finish(reload);
		break;
	default:
		return true;
	}
	pthread_mutex_lock(&reload->lock);
	bool again = reload->again && !reload->ended;
	pthread_mutex_unlock(&reload->lock);
	if (again)
		start(reload);
	return again;
}

void reload_read_counts(struct reload *reload, struct reload_counts *counts) {
	pthread_mutex_lock(&reload->lock);
	*counts = reload->counts;
	pthread_mutex_unlock(&reload->lock);
}

void reload_ask(struct reload *reload, FILE *out) {
	time_ns_t until_ns = time_of(CLOCK_MONOTONIC) + RELOAD_PATIENCE_NS;
	struct timespec until = {until_ns / NS_PER_S, until_ns % NS_PER_S};
	int rc = 0;

	pthread_mutex_lock(&reload->lock);
	uint64_t number = ++reload->n_asked;
	// The owner waits for signals.
	if (!reload->ended)
		pthread_kill(reload->owner, SIGHUP);
	while (rc == 0 && !reload->ended && reload->n_answered < number)
		rc = pthread_cond_timedwait(&reload->turned, &reload->lock, &until);
	if (reload->n_answered >= number)
		fputs(reload->answer, out);
	else
		fprintf(out,
			"%s\n%s\n",
			reload_result_name(RELOAD_REFUSED),
			reload->ended ? "the sensor stops" : "it takes too long; see the log");
	pthread_mutex_unlock(&reload->lock);
}

// Its beginning and its end.

static void init_waits(struct reload *reload) {
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&reload->lock, NULL);
	pthread_cond_init(&reload->turned, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct reload *reload_new(const struct reload_config *config) {
	struct reload *reload = calloc(1, sizeof(*reload));

	if (reload == NULL)
		return NULL;
	reload->config = *config;
	reload->owner = pthread_self();
	reload->log_level = config->options->log_level;
	reload->counts.read_ns = time_of(CLOCK_REALTIME);
	init_waits(reload);
	reload->changed = calloc(n_settings, sizeof(reload->changed[0]));
	reload->running = calloc(n_settings, sizeof(reload->running[0]));
	bool good = reload->changed != NULL && reload->running != NULL;
	for (size_t i = 0; i < n_settings && good; i++) {
		reload->running[i] = text_of(&config->options->values, &settings[i]);
		good = reload->running[i] != NULL;
	}
	if (good)
		return reload;
	reload_free(reload);
	errno = ENOMEM;
	return NULL;
}

bool reload_end(struct reload *reload) {
	struct timespec until;
	int rc = 0;

	if (reload == NULL)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_S;
	pthread_mutex_lock(&reload->lock);
	reload->ended = true;
	// Not applied any more.
	bool under_way = reload->stage != STAGE_IDLE;
	pthread_cond_broadcast(&reload->turned);
	while (rc == 0 && reload->stage == STAGE_PREPARING)
		rc = pthread_cond_timedwait(&reload->turned, &reload->lock, &until);
	bool hangs = reload->stage == STAGE_PREPARING;
	if (reload->stage == STAGE_READY)
		reload->stage = STAGE_FINISHING;
	pthread_cond_broadcast(&reload->turned);
	pthread_mutex_unlock(&reload->lock);
	if (under_way && !hangs)
		finish(reload);
	return !hangs;
}

void reload_free(struct reload *reload) {
	if (reload == NULL)
		return;
	for (size_t i = 0; reload->running != NULL && i < n_settings; i++)
		free(reload->running[i]);
	free(reload->running);
	free(reload->changed);
	pthread_cond_destroy(&reload->turned);
	pthread_mutex_destroy(&reload->lock);
	free(reload);
}
