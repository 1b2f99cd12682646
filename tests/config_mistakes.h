// Config mistakes: what people get wrong in a config file, and the line that they get for it.

#pragma once

#include <stddef.h>

struct config_mistake {
	const char *text; // of the file
	const char *line; // behind "weir check-config: weir.yaml:"; "..." is a list of keys
};

extern const struct config_mistake config_mistakes[];
extern const size_t n_config_mistakes;
