#include "sql_tokens.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "flow_columns.h"

enum {
	MOST_WORD_BYTES = 32, // of a word that is looked for
};

bool sql_is_word(const struct sql_token *token, const char *word) {
	return token->kind == SQL_TOKEN_WORD && token->n == strlen(word)
	       && strncasecmp(token->text, word, token->n) == 0;
}

bool sql_is_sign(const struct sql_token *token, char sign) {
	return token->kind == SQL_TOKEN_SIGN && token->text[0] == sign;
}

// In small letters, between `edge`s, into MOST_WORD_BYTES + 2. False where it is no such word.
static bool plain_word(const struct sql_token *token, const char *edge, char *word) {
	if (token->kind != SQL_TOKEN_WORD || token->n >= MOST_WORD_BYTES)
		return false;
	snprintf(word, MOST_WORD_BYTES + 2, "%s%.*s%s", edge, (int)token->n, token->text, edge);
	for (; *word != '\0'; word++)
		*word = (char)tolower((unsigned char)*word);
	return true;
}

bool sql_is_one_of(const struct sql_token *token, const char *words) {
	char word[MOST_WORD_BYTES + 2];
	return plain_word(token, " ", word) && strstr(words, word) != NULL;
}

int sql_column(const struct sql_token *token) {
	char word[MOST_WORD_BYTES + 2];
	return plain_word(token, "", word) ? flow_column_find(word) : -ENOENT;
}

static size_t blank(const char *at) {
	size_t n = strspn(at, " \t\r\n\f");

	if (n > 0)
		return n;
	if (strncmp(at, "--", 2) == 0)
		return strcspn(at, "\n");
	if (strncmp(at, "/*", 2) == 0) {
		const char *end = strstr(at + 2, "*/");
		return end != NULL ? (size_t)(end + 2 - at) : strlen(at);
	}
	return 0;
}

// What begins with a quote ends with it; twice it stands for itself. 0 where it does not end.
static size_t quoted(const char *at, char end) {
	size_t n = 1;

	while (at[n] != '\0' && (at[n] != end || (end != ']' && at[n + 1] == end)))
		n += at[n] == end ? 2 : 1;
	return at[n] != '\0' ? n + 1 : 0;
}

static bool name_begins(char c) {
	return isalpha((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

static size_t name_length(const char *at) {
	size_t n = 0;

	while (name_begins(at[n]) || isdigit((unsigned char)at[n]) || at[n] == '$')
		n++;
	return n;
}

static struct sql_token token_at(const char *at) {
	struct sql_token token = {SQL_TOKEN_SIGN, at, 1};

	if (*at == '\'') {
		token.kind = SQL_TOKEN_STRING;
		token.n = quoted(at, '\'');
	} else if (*at == '"' || *at == '`' || *at == '[') {
		token.kind = SQL_TOKEN_QUOTED;
		token.n = quoted(at, *at == '[' ? ']' : *at);
	} else if (name_begins(*at)) {
		token.kind = SQL_TOKEN_WORD;
		token.n = name_length(at);
	} else if (isdigit((unsigned char)*at)) {
		token.kind = SQL_TOKEN_NUMBER;
		token.n = strspn(at, "0123456789abcdefABCDEFxX.");
	}
	return token;
}

bool sql_tokens_take(struct sql_tokens *tokens, const char *sql) {
	const char *at = sql;

	memset(tokens, 0, sizeof(*tokens));
	while (*at != '\0') {
		size_t n_blank = blank(at);
		if (n_blank > 0) {
			at += n_blank;
			continue;
		}
		struct sql_token token = token_at(at);
		if (token.n == 0 || tokens->n == SQL_MOST_TOKENS)
			return false;
		tokens->at[tokens->n++] = token;
		at += token.n;
	}
	if (tokens->n > 0 && sql_is_sign(&tokens->at[tokens->n - 1], ';'))
		tokens->at[--tokens->n] = (struct sql_token){.kind = SQL_TOKEN_END};
	return true;
}
