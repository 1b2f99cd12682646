#include "setting_values.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_files.h"
#include "live_protocol.h"

int setting_values_add(
	struct setting_values *values,
	const struct setting *setting,
	const char *text,
	unsigned line
) {
	struct setting_value **list = line > 0 ? &values->of_file : &values->of_command;
	size_t *n = line > 0 ? &values->n_of_file : &values->n_of_command;

	// Doubled whenever a power of two is full.
	if ((*n & (*n - 1)) == 0) {
		size_t room = *n == 0 ? 1 : *n * 2;
		struct setting_value *more = reallocarray(*list, room, sizeof(**list));
		if (more == NULL)
			return -ENOMEM;
		*list = more;
	}
	char *copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	(*list)[(*n)++] = (struct setting_value){setting, copy, line};
	return 0;
}

static size_t index_of(const struct setting *setting) {
	size_t index = (size_t)(setting - settings);
	assert(index < sizeof(((struct setting_values *)0)->lines) / sizeof(unsigned));
	return index;
}

unsigned setting_values_line(const struct setting_values *values, const struct setting *setting) {
	return values->lines[index_of(setting)];
}

void setting_values_set_line(
	struct setting_values *values, const struct setting *setting, unsigned line
) {
	values->lines[index_of(setting)] = line;
}

// Whether they are one, or say the same thing in other words.
static bool same_matter(const struct setting *a, const struct setting *b) {
	return a == b || (a->instead_of != NULL && strcmp(a->instead_of, b->key) == 0)
	       || (b->instead_of != NULL && strcmp(b->instead_of, a->key) == 0);
}

static bool in_command(const struct setting_values *values, const struct setting *setting) {
	for (size_t i = 0; i < values->n_of_command; i++)
		if (same_matter(values->of_command[i].setting, setting))
			return true;
	return false;
}

bool setting_value_is_none(const struct setting_value *value) {
	return value->setting->none && strcmp(value->text, "none") == 0;
}

// Whether a later "none" of the same place takes it back.
static bool taken_back(const struct setting_value *values, size_t n, size_t i) {
	for (size_t j = i + 1; values[i].setting->none && j < n; j++)
		if (values[j].setting == values[i].setting && setting_value_is_none(&values[j]))
			return true;
	return false;
}

[[gnu::format(printf, 1, 2)]] static char *printed(const char *format, ...) {
	char *text = NULL;
	va_list args;

	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	return n >= 0 ? text : NULL;
}

int setting_values_of_instance(struct setting_values *values, const char *name) {
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	char host[256] = "";
	size_t n = strlen(name);

	// A dot in front would hide the socket and files; weir's is the socket of the only one.
	if (n == 0 || n > SETTING_INSTANCE_MOST || name[0] == '.' || strspn(name, allowed) != n
	    || strcmp(name, "weir") == 0)
		return -EINVAL;
	if (gethostname(host, sizeof(host) - 1) < 0 || strchr(allowed, host[0]) == NULL
	    || host[0] == '.')
		memcpy(host, "weir", sizeof("weir"));
	host[strspn(host, allowed)] = '\0';
	free(values->instance_socket);
	free(values->instance_sensor);
	values->instance_socket = printed(LIVE_SOCKET_DIR "/%s.sock", name);
	// A long host's name gives way: instances are told apart by the end.
	values->instance_sensor =
		printed("%.*s-%s", ARCHIVE_SENSOR_BYTES - 1 - SETTING_INSTANCE_MOST - 1, host, name
		);
	return values->instance_socket != NULL && values->instance_sensor != NULL ? 0 : -ENOMEM;
}

// NULL where there is none, or it is told in words.
static const char *standard_of(const struct setting_values *values, const struct setting *setting) {
	if (values->instance_socket == NULL)
		return setting->standard;
	if (strcmp(setting->key, "serve.socket") == 0)
		return values->instance_socket;
	if (strcmp(setting->key, "serve.http") == 0)
		return "none";
	if (strcmp(setting->key, "archive.sensor") == 0)
		return values->instance_sensor;
	return setting->standard;
}

unsigned setting_values_each(const struct setting_values *values, setting_take_fn take, void *arg) {
	unsigned n_refused = 0;
	int rc = 0;

	for (size_t i = 0; i < n_settings && rc <= 0; i++) {
		const struct setting *setting = &settings[i];
		const char *standard = standard_of(values, setting);
		if (standard == NULL)
			continue;
		struct setting_value value = {setting, (char *)standard, 0};
		rc = take(&value, true, arg);
		n_refused += rc != 0;
	}
	for (size_t i = 0; i < values->n_of_file && rc <= 0; i++) {
		if (in_command(values, values->of_file[i].setting)
		    || taken_back(values->of_file, values->n_of_file, i))
			continue;
		rc = take(&values->of_file[i], false, arg);
		n_refused += rc != 0;
	}
	for (size_t i = 0; i < values->n_of_command && rc <= 0; i++) {
		if (taken_back(values->of_command, values->n_of_command, i))
			continue;
		rc = take(&values->of_command[i], false, arg);
		n_refused += rc != 0;
	}
	return n_refused;
}

// Values of one setting, put together.
struct together {
	const struct setting *setting;
	FILE *out;
	bool begun; // with others than the default
};

static int put_together(const struct setting_value *value, bool is_default, void *arg) {
	struct together *together = arg;

	if (value->setting != together->setting)
		return 0;
	if (!together->setting->list || !together->begun)
		rewind(together->out);
	else
		fputs(", ", together->out);
	fputs(value->text, together->out);
	together->begun = !is_default;
	return 0;
}

char *setting_values_text(const struct setting_values *values, const struct setting *setting) {
	char *text = NULL;
	size_t bytes;
	struct together together = {.setting = setting, .out = open_memstream(&text, &bytes)};

	if (together.out == NULL)
		return NULL;
	fputs("none", together.out);
	(void)setting_values_each(values, put_together, &together);
	if (fclose(together.out) == 0)
		return text;
	free(text);
	return NULL;
}

int setting_values_copy_command(struct setting_values *copy, const struct setting_values *values) {
	for (size_t i = 0; i < values->n_of_command; i++) {
		const struct setting_value *value = &values->of_command[i];
		if (setting_values_add(copy, value->setting, value->text, 0) < 0)
			return -ENOMEM;
	}
	if (values->instance_socket == NULL)
		return 0;
	copy->instance_socket = strdup(values->instance_socket);
	copy->instance_sensor = strdup(values->instance_sensor);
	return copy->instance_socket != NULL && copy->instance_sensor != NULL ? 0 : -ENOMEM;
}

bool setting_values_given(const struct setting_values *values, const struct setting *setting) {
	bool given = false, commanded = false;

	for (size_t i = 0; i < values->n_of_command; i++)
		if (values->of_command[i].setting == setting) {
			commanded = true;
			given = !setting_value_is_none(&values->of_command[i]);
		}
	if (commanded || in_command(values, setting))
		return given;
	for (size_t i = 0; i < values->n_of_file; i++)
		if (values->of_file[i].setting == setting)
			given = !setting_value_is_none(&values->of_file[i]);
	return given;
}

void setting_values_drop_file(struct setting_values *values) {
	for (size_t i = 0; i < values->n_of_file; i++)
		free(values->of_file[i].text);
	free(values->of_file);
	values->of_file = NULL;
	values->n_of_file = 0;
	memset(values->lines, 0, sizeof(values->lines));
}

void setting_values_free(struct setting_values *values) {
	setting_values_drop_file(values);
	for (size_t i = 0; i < values->n_of_command; i++)
		free(values->of_command[i].text);
	free(values->of_command);
	free(values->file);
	free(values->instance_socket);
	free(values->instance_sensor);
	*values = (struct setting_values){0};
}
