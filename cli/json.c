#include "json.h"

#include "utf8.h"

void json_string(FILE *out, const char *text) {
	fputc('"', out);
	while (*text != '\0') {
		unsigned char c = (unsigned char)*text;
		size_t n = utf8_bytes(text);
		if (n == 0)
			fputs("\xef\xbf\xbd", out);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			fwrite(text, 1, n, out);
		text += n > 0 ? n : 1;
	}
	fputc('"', out);
}
