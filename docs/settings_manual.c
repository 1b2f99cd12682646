// Prints a manual page with the keys of weir.yaml where it says @KEYS@, from the table by which
// weir reads the file.

#include <stdio.h>
#include <string.h>

#include "settings.h"

int main(int argc, char **argv) {
	char line[1024];
	FILE *page = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (page == NULL) {
		fprintf(stderr, "usage: settings_manual PAGE\n");
		return 2;
	}
	while (fgets(line, sizeof(line), page) != NULL) {
		if (strcmp(line, "@KEYS@\n") == 0)
			settings_manual(stdout);
		else
			fputs(line, stdout);
	}
	fclose(page);
	return fflush(stdout) != 0;
}
