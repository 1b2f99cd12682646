#include "rewrite.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "byte_buffer.h"
#include "units.h"

enum {
	MOST_TOKENS = 1000, // statements that people write have less
	LOOK_AHEAD = 8,
	MOST_STEP_BYTES = 32,
};

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_QUOTED, // a name in quotes or brackets
	TOKEN_SIGN,
};

struct token {
	enum token_kind kind;
	const char *text;
	size_t n;
};

struct rewriting {
	// Ends with TOKEN_END, and with enough of it that each may look at those after it.
	struct token tokens[MOST_TOKENS + LOOK_AHEAD];
	size_t n;
	struct rewrite *out;
	struct byte_buffer sql;
	bool any; // something that is better added up first
};

static bool is_word(const struct token *token, const char *word) {
	return token->kind == TOKEN_WORD && token->n == strlen(word)
	       && strncasecmp(token->text, word, token->n) == 0;
}

static bool is_sign(const struct token *token, char sign) {
	return token->kind == TOKEN_SIGN && token->text[0] == sign;
}

// `words` ends with NULL.
static bool is_one_of(const struct token *token, const char *const *words) {
	for (; *words != NULL; words++)
		if (is_word(token, *words))
			return true;
	return false;
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

// What begins with a quote ends with it; twice it stands for itself.
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

// False where it has what is not told apart here, or too much of it.
static bool take_tokens(struct rewriting *r, const char *at) {
	for (;;) {
		struct token token = {TOKEN_SIGN, at, 1};
		size_t n_blank = blank(at);
		if (n_blank > 0) {
			at += n_blank;
			continue;
		}
		if (*at == '\0')
			break;
		if (*at == '\'') {
			token.kind = TOKEN_STRING;
			token.n = quoted(at, '\'');
		} else if (*at == '"' || *at == '`' || *at == '[') {
			token.kind = TOKEN_QUOTED;
			token.n = quoted(at, *at == '[' ? ']' : *at);
		} else if (name_begins(*at)) {
			token.kind = TOKEN_WORD;
			token.n = name_length(at);
		} else if (isdigit((unsigned char)*at)) {
			token.kind = TOKEN_NUMBER;
			token.n = strspn(at, "0123456789abcdefABCDEFxX.");
		}
		if (token.n == 0 || r->n == MOST_TOKENS)
			return false;
		r->tokens[r->n++] = token;
		at += token.n;
	}
	if (r->n > 0 && is_sign(&r->tokens[r->n - 1], ';'))
		r->n--;
	r->tokens[r->n] = (struct token){.kind = TOKEN_END};
	return true;
}

// SELECT ... FROM flows [WHERE ...] and so on, once, and nothing in it for which a row is more
// than its columns.
static bool has_the_form(struct rewriting *r) {
	static const char *const never[] = {
		"select",
		"union",
		"except",
		"intersect",
		"with",
		"over",
		"filter",
		"join",
		"exists",
		"values",
		"window",
		"rowid",
		"_rowid_",
		"oid",
		"explain",
		NULL,
	};
	static const char *const after[] = {"where", "group", "having", "order", "limit", NULL};
	unsigned n_from = 0;

	if (!is_word(&r->tokens[0], "select"))
		return false;
	for (size_t i = 1; i < r->n; i++) {
		const struct token *token = &r->tokens[i];
		if (is_one_of(token, never)
		    || (token->kind == TOKEN_SIGN && strchr(";?:@$#", token->text[0]) != NULL))
			return false;
		if (token->kind == TOKEN_QUOTED && token->n == 7
		    && strncasecmp(token->text + 1, "rowid", 5) == 0)
			return false;
		if (!is_word(token, "from"))
			continue;
		const struct token *next = &token[2];
		if (n_from++ > 0 || !is_word(&token[1], "flows")
		    || (next->kind != TOKEN_END && !is_one_of(next, after)))
			return false;
	}
	return n_from == 1;
}

static void put(struct rewriting *r, const char *text) {
	byte_buffer_put(&r->sql, text, strlen(text));
}

// What stood close to the next one still does: signs such as ">=" are two tokens here.
static void put_token(struct rewriting *r, const struct token *token) {
	byte_buffer_put(&r->sql, token->text, token->n);
	if (token[1].text != token->text + token->n)
		byte_buffer_put8(&r->sql, ' ');
}

static int column_of(const struct token *token) {
	char name[32];

	if (token->kind != TOKEN_WORD || token->n >= sizeof(name))
		return -ENOENT;
	for (size_t i = 0; i < token->n; i++)
		name[i] = (char)tolower((unsigned char)token->text[i]);
	name[token->n] = '\0';
	return flow_column_find(name);
}

static void put_value(struct rewriting *r, const char *call, const char *kind, int column) {
	put(r, call);
	put(r, kind);
	put(r, flow_columns[column].name);
	put(r, ")");
}

// An aggregate function of a column; the tokens are its name, "(", what is in it, ")". Returns how
// many tokens it took, 0 where it cannot be told by parts.
static size_t put_aggregate(struct rewriting *r, const struct token *token) {
	const struct token *inner = &token[2];

	// The values in a group are all in the group's key.
	if (is_word(inner, "distinct")) {
		if (column_of(&token[3]) < 0 || !is_sign(&token[4], ')'))
			return 0;
		for (unsigned i = 0; i < 5; i++)
			put_token(r, &token[i]);
		return 5;
	}
	if (!is_sign(&token[3], ')'))
		return 0;
	if (is_word(token, "count")) {
		if (!is_sign(inner, '*'))
			return 0;
		put(r, "coalesce(sum(_rows),0)");
		return 4;
	}
	int column = column_of(inner);
	// Where values can be NULL, rows are not all that count.
	if (column < 0 || flow_columns[column].type == COLUMN_TEXT || flow_columns[column].optional)
		return 0;
	if (is_word(token, "sum")) {
		put_value(r, "sum(", "_sum_", column);
	} else if (is_word(token, "total")) {
		put_value(r, "total(", "_sum_", column);
	} else if (is_word(token, "min")) {
		put_value(r, "min(", "_least_", column);
	} else if (is_word(token, "max")) {
		put_value(r, "max(", "_greatest_", column);
	} else {
		put_value(r, "(total(", "_sum_", column);
		put(r, "/sum(_rows))");
	}
	return 4;
}

// time_bucket(column, 'step'), if it is the only one of its kind. Else it stays, and is computed
// for each value of the column.
static size_t put_bucket(struct rewriting *r, const struct token *token) {
	const struct token *step = &token[4];
	char text[MOST_STEP_BYTES];
	int column = column_of(&token[2]);
	time_ns_t step_ns;

	if (column < 0 || flow_columns[column].type == COLUMN_TEXT || flow_columns[column].optional
	    || !is_sign(&token[3], ',') || step->kind != TOKEN_STRING || step->n - 2 >= sizeof(text)
	    || !is_sign(&token[5], ')'))
		return 0;
	memcpy(text, step->text + 1, step->n - 2);
	text[step->n - 2] = '\0';
	if (units_duration(text, &step_ns) < 0 || step_ns == 0)
		return 0;
	if (r->out->bucket_step != 0
	    && (r->out->bucket_step != step_ns || (int)r->out->bucket_column != column))
		return 0;
	r->out->bucket_step = step_ns;
	r->out->bucket_column = (enum flow_column)column;
	put(r, "_bucket ");
	return 6;
}

// What begins at a token and is not simply copied. Returns how many tokens it took; 0 = none, -1 =
// the statement must stay as it is.
static int put_changed(struct rewriting *r, const struct token *token) {
	static const char *const aggregates[] = {
		"count", "sum", "total", "avg", "min", "max", NULL};
	// Whose value depends on nothing but what they are given. Whatever is not known here may be
	// an aggregate function, and then needs rows.
	static const char *const plain[] = {
		"abs",
		"round",
		"coalesce",
		"ifnull",
		"nullif",
		"iif",
		"lower",
		"upper",
		"length",
		"substr",
		"substring",
		"printf",
		"format",
		"hex",
		"cast",
		"typeof",
		"instr",
		"replace",
		"date",
		"time",
		"datetime",
		"strftime",
		"julianday",
		"unixepoch",
		"sign",
		"trim",
		"ltrim",
		"rtrim",
		"likely",
		"unlikely",
		"glob",
		"like",
		"ip_in",
		"ip_family",
		"ago",
		"ts",
		"time_text",
		"time_bucket",
		"duration_text",
		"proto_name",
		// and words of the language before a "("
		"in",
		"and",
		"or",
		"not",
		"when",
		"then",
		"else",
		"case",
		"between",
		"by",
		"as",
		"where",
		"having",
		"select",
		"distinct",
		"limit",
		"offset",
		"escape",
		"is",
		NULL,
	};

	if (is_word(token, "flows") && is_word(&token[-1], "from")) {
		put(r, "flow_groups AS flows ");
		return 1;
	}
	if (is_word(token, "group")
	    || (is_word(token, "distinct") && is_word(&token[-1], "select")))
		r->any = true;
	// All columns at once: the group would be the row.
	if (is_sign(token, '*')
	    && (is_word(&token[-1], "select") || is_word(&token[-1], "distinct")
		|| is_sign(&token[-1], ',') || is_sign(&token[-1], '.')))
		return -1;
	if (token->kind != TOKEN_WORD || !is_sign(&token[1], '('))
		return token->kind == TOKEN_QUOTED && is_sign(&token[1], '(') ? -1 : 0;
	if (is_one_of(token, aggregates)) {
		size_t n = put_aggregate(r, token);
		r->any = true;
		return n == 0 ? -1 : (int)n;
	}
	if (is_word(token, "time_bucket"))
		return (int)put_bucket(r, token);
	return is_one_of(token, plain) ? 0 : -1;
}

// Returns whether all could be put.
static bool put_all(struct rewriting *r) {
	for (size_t i = 0; i < r->n;) {
		// There is always a token before, the first being SELECT.
		int n = i == 0 ? 0 : put_changed(r, &r->tokens[i]);
		if (n < 0)
			return false;
		if (n == 0)
			put_token(r, &r->tokens[i]);
		i += n > 0 ? (size_t)n : 1;
	}
	byte_buffer_put8(&r->sql, '\0');
	return true;
}

int rewrite_sql(const char *sql, struct rewrite *rewrite) {
	struct rewriting *r = calloc(1, sizeof(*r));
	int rc = 0;

	*rewrite = (struct rewrite){0};
	if (r == NULL)
		return -ENOMEM;
	r->out = rewrite;
	if (take_tokens(r, sql) && has_the_form(r) && put_all(r) && r->any)
		rc = r->sql.failed ? -ENOMEM : 1;
	if (rc == 1)
		rewrite->sql = (char *)r->sql.bytes;
	else
		byte_buffer_done(&r->sql);
	free(r);
	return rc;
}
