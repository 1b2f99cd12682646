// Fuzz target of config files. Input: the file. What is taken of it has to be values that the
// settings can have, of text, each with its line; what is not has to be told.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// Not assert(): it must hold in a release build too.
static void require(bool holds) {
	if (!holds)
		abort();
}

static void on_mistake(const char *mistake, void *arg) {
	unsigned *n = arg;

	require(mistake[0] >= '1' && mistake[0] <= '9');
	require(strchr(mistake, '\n') == NULL && strchr(mistake, '\033') == NULL);
	require(strlen(mistake) < CONFIG_MISTAKE_BYTES);
	(*n)++;
}

static void check_value(const struct setting_value *value, unsigned n_lines) {
	require(value->setting >= settings && value->setting < settings + n_settings);
	require(value->text[0] != '\0' && strchr(value->text, '\n') == NULL);
	require(value->line >= 1 && value->line <= n_lines);
	if (value->setting->type == SETTING_FLAG)
		require(strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
	struct setting_values values = {0};
	unsigned n_mistakes = 0, n_lines = 1;

	if (n_bytes > CONFIG_FILE_MOST_BYTES)
		return 0;
	// YAML has more ends of line than '\n'.
	for (size_t i = 0; i < n_bytes; i++)
		n_lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80;
	int rc = config_file_parse(&values, (const char *)data, n_bytes, on_mistake, &n_mistakes);
	require(rc == 0 || rc == -EINVAL || rc == -EBADMSG || rc == -ENOMEM);
	require((n_mistakes > 0) == (rc == -EINVAL || rc == -EBADMSG));
	require(n_mistakes <= CONFIG_FILE_MOST_MISTAKES + 1);
	for (size_t i = 0; i < values.n_of_file; i++)
		check_value(&values.of_file[i], n_lines);
	setting_values_free(&values);
	return 0;
}
