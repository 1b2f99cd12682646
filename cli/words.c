#include "words.h"

#include <ctype.h>
#include <string.h>

enum {
	LONGEST_WORD = 64, // what is longer is no slip of the fingers
};

static char plain(char c) {
	return c == '-' || c == ' ' || c == '.' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least_of(unsigned a, unsigned b) {
	return a < b ? a : b;
}

unsigned word_distance(const char *a, const char *b) {
	unsigned rows[3][LONGEST_WORD + 1];
	size_t n_a = strlen(a), n_b = strlen(b);

	if (n_a > LONGEST_WORD || n_b > LONGEST_WORD)
		return LONGEST_WORD;
	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			char x = plain(a[i - 1]), y = plain(b[j - 1]);
			row[j] = least_of(above[j - 1] + (x != y), above[j] + 1);
			row[j] = least_of(row[j], row[j - 1] + 1);
			if (i > 1 && j > 1 && x == plain(b[j - 2]) && y == plain(a[i - 2]))
				row[j] = least_of(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[n_a % 3][n_b];
}

unsigned word_reach(const char *word) {
	return (unsigned)strlen(word) / 3 + 1;
}

const char *word_nearest(const char *word, const char *const *words) {
	const char *nearest = NULL;
	unsigned least = word_reach(word) + 1;

	for (; *words != NULL; words++) {
		unsigned found = word_distance(word, *words);
		if (found < least) {
			least = found;
			nearest = *words;
		}
	}
	return nearest;
}
