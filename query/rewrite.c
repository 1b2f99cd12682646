#include "rewrite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "byte_buffer.h"
#include "rewrite_top.h"
#include "sql_tokens.h"
#include "units.h"

enum {
	MOST_STEP_BYTES = 32,
};

struct rewriting {
	struct sql_tokens tokens;
	struct rewrite *out;
	struct byte_buffer sql;
	bool any; // something that is better added up first
};

// SELECT ... FROM flows [WHERE ...] and so on, once, and nothing in it for which a row is more
// than its columns.
static bool has_the_form(struct rewriting *r) {
	static const char never[] = " select union except intersect with over filter join exists"
				    " values window rowid _rowid_ oid explain ";
	static const char after[] = " where group having order limit ";
	unsigned n_from = 0;

	if (!sql_is_word(&r->tokens.at[0], "select"))
		return false;
	for (size_t i = 1; i < r->tokens.n; i++) {
		const struct sql_token *token = &r->tokens.at[i];
		if (sql_is_one_of(token, never)
		    || (token->kind == SQL_TOKEN_SIGN && strchr(";?:@$#", token->text[0]) != NULL))
			return false;
		if (token->kind == SQL_TOKEN_QUOTED && token->n == 7
		    && strncasecmp(token->text + 1, "rowid", 5) == 0)
			return false;
		if (!sql_is_word(token, "from"))
			continue;
		const struct sql_token *next = &token[2];
		if (n_from++ > 0 || !sql_is_word(&token[1], "flows")
		    || (next->kind != SQL_TOKEN_END && !sql_is_one_of(next, after)))
			return false;
	}
	return n_from == 1;
}

static void put(struct rewriting *r, const char *text) {
	byte_buffer_put(&r->sql, text, strlen(text));
}

// What stood close to the next one still does: signs such as ">=" are two tokens here.
static void put_token(struct rewriting *r, const struct sql_token *token) {
	byte_buffer_put(&r->sql, token->text, token->n);
	if (token[1].text != token->text + token->n)
		byte_buffer_put8(&r->sql, ' ');
}

static void put_value(struct rewriting *r, const char *call, const char *kind, int column) {
	put(r, call);
	put(r, kind);
	put(r, flow_columns[column].name);
	put(r, ")");
}

// An aggregate function of a column; the tokens are its name, "(", what is in it, ")". Returns how
// many tokens it took, 0 where it cannot be told by parts.
static size_t put_aggregate(struct rewriting *r, const struct sql_token *token) {
	const struct sql_token *inner = &token[2];

	// The values in a group are all in the group's key.
	if (sql_is_word(inner, "distinct")) {
		if (sql_column(&token[3]) < 0 || !sql_is_sign(&token[4], ')'))
			return 0;
		for (unsigned i = 0; i < 5; i++)
			put_token(r, &token[i]);
		return 5;
	}
	if (!sql_is_sign(&token[3], ')'))
		return 0;
	if (sql_is_word(token, "count")) {
		if (!sql_is_sign(inner, '*'))
			return 0;
		put(r, "coalesce(sum(_rows),0)");
		return 4;
	}
	int column = sql_column(inner);
	// Where values can be NULL, rows are not all that count.
	if (column < 0 || flow_columns[column].type == COLUMN_TEXT || flow_columns[column].optional)
		return 0;
	if (sql_is_word(token, "sum")) {
		put_value(r, "sum(", "_sum_", column);
	} else if (sql_is_word(token, "total")) {
		put_value(r, "total(", "_sum_", column);
	} else if (sql_is_word(token, "min")) {
		put_value(r, "min(", "_least_", column);
	} else if (sql_is_word(token, "max")) {
		put_value(r, "max(", "_greatest_", column);
	} else {
		put_value(r, "(total(", "_sum_", column);
		put(r, "/sum(_rows))");
	}
	return 4;
}

// time_bucket(column, 'step'), if it is the only one of its kind. Else it stays, and is computed
// for each value of the column.
static size_t put_bucket(struct rewriting *r, const struct sql_token *token) {
	const struct sql_token *step = &token[4];
	char text[MOST_STEP_BYTES];
	int column = sql_column(&token[2]);
	time_ns_t step_ns;

	if (column < 0 || flow_columns[column].type == COLUMN_TEXT || flow_columns[column].optional
	    || !sql_is_sign(&token[3], ',') || step->kind != SQL_TOKEN_STRING
	    || step->n - 2 >= sizeof(text) || !sql_is_sign(&token[5], ')'))
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
static int put_changed(struct rewriting *r, const struct sql_token *token) {
	static const char aggregates[] = " count sum total avg min max ";
	// Whose value depends on nothing but what they are given. Whatever is not known here may be
	// an aggregate function, and then needs rows.
	static const char plain[] = " abs round coalesce ifnull nullif iif lower upper length"
				    " substr substring printf format hex cast typeof instr replace"
				    " date time datetime strftime julianday unixepoch sign trim"
				    " ltrim rtrim likely unlikely glob like ip_in ip_family ago ts"
				    " time_text time_bucket duration_text proto_name in and or not"
				    " when then else case between by as where having select"
				    " distinct limit offset escape is ";

	if (sql_is_word(token, "flows") && sql_is_word(&token[-1], "from")) {
		put(r, "flow_groups AS flows ");
		return 1;
	}
	if (sql_is_word(token, "group")
	    || (sql_is_word(token, "distinct") && sql_is_word(&token[-1], "select")))
		r->any = true;
	// All columns at once: the group would be the row.
	if (sql_is_sign(token, '*')
	    && (sql_is_word(&token[-1], "select") || sql_is_word(&token[-1], "distinct")
		|| sql_is_sign(&token[-1], ',') || sql_is_sign(&token[-1], '.')))
		return -1;
	if (token->kind != SQL_TOKEN_WORD || !sql_is_sign(&token[1], '('))
		return token->kind == SQL_TOKEN_QUOTED && sql_is_sign(&token[1], '(') ? -1 : 0;
	if (sql_is_one_of(token, aggregates)) {
		size_t n = put_aggregate(r, token);
		r->any = true;
		return n == 0 ? -1 : (int)n;
	}
	if (sql_is_word(token, "time_bucket"))
		return (int)put_bucket(r, token);
	return sql_is_one_of(token, plain) ? 0 : -1;
}

// Returns whether all could be put.
static bool put_all(struct rewriting *r) {
	for (size_t i = 0; i < r->tokens.n;) {
		// There is always a token before, the first being SELECT.
		int n = i == 0 ? 0 : put_changed(r, &r->tokens.at[i]);
		if (n < 0)
			return false;
		if (n == 0)
			put_token(r, &r->tokens.at[i]);
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
	if (sql_tokens_take(&r->tokens, sql) && has_the_form(r) && put_all(r) && r->any)
		rc = r->sql.failed ? -ENOMEM : 1;
	if (rc == 1) {
		rewrite->sql = (char *)r->sql.bytes;
		rewrite_top_find(&r->tokens, &rewrite->top);
	} else {
		byte_buffer_done(&r->sql);
	}
	free(r);
	return rc;
}
