#include "utf8.h"

size_t utf8_bytes(const char *string) {
	const unsigned char *text = (const unsigned char *)string;
	static const struct {
		unsigned char first, last;     // of the first octet
		unsigned char second, largest; // of the second
		size_t n;
	} forms[] = {
		{0x00, 0x7f, 0x00, 0x00, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (forms[i].n > 1 && (text[1] < forms[i].second || text[1] > forms[i].largest))
			return 0;
		for (size_t j = 2; j < forms[i].n; j++)
			if ((text[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].n;
	}
	return 0;
}
