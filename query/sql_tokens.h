// SQL tokens: a statement taken apart as far as a rewrite needs it. Signs are one character each,
// so ">=" is two tokens.
//
// Pure.

#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	SQL_MOST_TOKENS = 1000, // statements that people write have less
	SQL_LOOK_AHEAD = 8,
};

enum sql_token_kind {
	SQL_TOKEN_END,
	SQL_TOKEN_WORD,
	SQL_TOKEN_NUMBER,
	SQL_TOKEN_STRING,
	SQL_TOKEN_QUOTED, // a name in quotes or brackets
	SQL_TOKEN_SIGN,
};

struct sql_token {
	enum sql_token_kind kind;
	const char *text; // in the statement
	size_t n;
};

struct sql_tokens {
	// Ends with SQL_TOKEN_END, and with enough of them that each may look at those after it.
	struct sql_token at[SQL_MOST_TOKENS + SQL_LOOK_AHEAD];
	size_t n; // without the end
};

// Without comments and without a ";" at the end. False where it has what is not told apart here, or
// too much of it.
[[nodiscard]] bool sql_tokens_take(struct sql_tokens *tokens, const char *sql);

// Whether it is the word, in capitals or not.
bool sql_is_word(const struct sql_token *token, const char *word);

// Whether it is one of the words, which stand between blanks: " select from ".
bool sql_is_one_of(const struct sql_token *token, const char *words);

bool sql_is_sign(const struct sql_token *token, char sign);

// The column of flows of that name, or -ENOENT.
int sql_column(const struct sql_token *token);
