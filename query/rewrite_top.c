#include "rewrite_top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scan.h"
#include "sql_tokens.h"

enum {
	MOST_ITEMS = 32,
	NO_VALUE = -2, // of value_of()
	ROWS = -1,
};

#define MOST_TOP 1000000 // above that SQLite may as well have them all

struct span {
	const struct sql_token *begin, *end;
};

struct item {
	struct span what;              // without its alias
	const struct sql_token *alias; // NULL = none
};

struct clauses {
	struct span where, group, order, limit; // empty = not there
	struct item items[MOST_ITEMS];
	unsigned n_items;
};

static bool is_empty(struct span span) {
	return span.begin == span.end;
}

static size_t length(struct span span) {
	return (size_t)(span.end - span.begin);
}

// Where the span ends that begins at `at`, before a comma that is in no bracket, or at `end`.
static const struct sql_token *comma(const struct sql_token *at, const struct sql_token *end) {
	for (int depth = 0; at < end; at++) {
		depth += sql_is_sign(at, '(') ? 1 : sql_is_sign(at, ')') ? -1 : 0;
		if (depth == 0 && sql_is_sign(at, ','))
			break;
	}
	return at;
}

static bool take_items(struct clauses *clauses, struct span select) {
	for (const struct sql_token *at = select.begin; at < select.end;) {
		const struct sql_token *end = comma(at, select.end);
		if (clauses->n_items == MOST_ITEMS)
			return false;
		struct item *item = &clauses->items[clauses->n_items++];
		*item = (struct item){.what = {at, end}};
		if (end - at > 2 && sql_is_word(end - 2, "as")) {
			item->alias = end - 1;
			item->what.end = end - 2;
		}
		at = end < select.end ? end + 1 : end;
	}
	return true;
}

// There are no statements within it, so each word is there once, or is not what it looks like.
static bool take_clauses(const struct sql_tokens *tokens, struct clauses *clauses) {
	const struct sql_token *end = &tokens->at[tokens->n];
	struct span *last = NULL, select = {&tokens->at[1], end};

	*clauses = (struct clauses){0};
	for (const struct sql_token *at = tokens->at; at < end; at++) {
		bool by = sql_is_word(at + 1, "by");
		struct span *next = NULL;
		if (sql_is_word(at, "having") || sql_is_word(at, "distinct"))
			return false;
		if (sql_is_word(at, "from"))
			select.end = at;
		else if (sql_is_word(at, "where"))
			next = &clauses->where;
		else if (sql_is_word(at, "group") && by)
			next = &clauses->group;
		else if (sql_is_word(at, "order") && by)
			next = &clauses->order;
		else if (sql_is_word(at, "limit"))
			next = &clauses->limit;
		if (next == NULL)
			continue;
		if (last != NULL)
			last->end = at;
		*next = (struct span){at + (by ? 2 : 1), end};
		last = next;
	}
	return take_items(clauses, select);
}

// The sum that the tokens are, ROWS, or NO_VALUE.
static int value_of(struct span what) {
	const struct sql_token *at = what.begin;

	if (length(what) != 4 || !sql_is_sign(at + 1, '(') || !sql_is_sign(at + 3, ')'))
		return NO_VALUE;
	if (sql_is_word(at, "count") && sql_is_sign(at + 2, '*'))
		return ROWS;
	int column = sql_column(at + 2);
	// total() is no whole number: what differs by little may be equal there.
	return sql_is_word(at, "sum") && column >= 0 ? column : NO_VALUE;
}

// A whole number that fits, or 0.
static uint64_t number_of(const struct sql_token *token) {
	char *end;

	if (token->kind != SQL_TOKEN_NUMBER || token->n > 9)
		return 0;
	uint64_t number = strtoull(token->text, &end, 10);
	return end == token->text + token->n ? number : 0;
}

static const struct item *item_of(const struct clauses *clauses, const struct sql_token *token) {
	uint64_t number = number_of(token);
	return number >= 1 && number <= clauses->n_items ? &clauses->items[number - 1] : NULL;
}

// ORDER BY a sum DESC, and whatever follows.
static int order_value(const struct clauses *clauses) {
	struct span first = {clauses->order.begin, comma(clauses->order.begin, clauses->order.end)};

	if (length(first) < 2 || !sql_is_word(first.end - 1, "desc"))
		return NO_VALUE;
	first.end--;
	if (length(first) > 1)
		return value_of(first);
	const struct item *item = item_of(clauses, first.begin);
	for (unsigned i = 0; i < clauses->n_items && item == NULL; i++) {
		const struct sql_token *alias = clauses->items[i].alias;
		if (alias != NULL && first.begin->kind == SQL_TOKEN_WORD
		    && alias->kind == SQL_TOKEN_WORD && alias->n == first.begin->n
		    && strncasecmp(alias->text, first.begin->text, alias->n) == 0)
			item = &clauses->items[i];
	}
	return item != NULL ? value_of(item->what) : NO_VALUE;
}

// GROUP BY plain columns: by name, flows.name or number. 0 where it is more.
static uint64_t group_columns(const struct clauses *clauses) {
	uint64_t columns = 0;

	for (const struct sql_token *at = clauses->group.begin; at < clauses->group.end;) {
		struct span term = {at, comma(at, clauses->group.end)};
		at = term.end < clauses->group.end ? term.end + 1 : term.end;
		if (length(term) == 1 && item_of(clauses, term.begin) != NULL)
			term = item_of(clauses, term.begin)->what;
		if (length(term) == 3 && sql_is_word(term.begin, "flows")
		    && sql_is_sign(term.begin + 1, '.'))
			term.begin += 2;
		int column = length(term) == 1 ? sql_column(term.begin) : -ENOENT;
		if (column < 0)
			return 0;
		columns |= UINT64_C(1) << column;
	}
	return columns;
}

// A number or text that is the same for all rows. Returns whether it was there, and is behind it.
static bool take_constant(const struct sql_token **at) {
	const struct sql_token *first = *at;

	if (sql_is_sign(first, '-') && first[1].kind == SQL_TOKEN_NUMBER) {
		*at += 2;
		return true;
	}
	if (sql_is_one_of(first, " ago ts ") && sql_is_sign(first + 1, '(')
	    && first[2].kind == SQL_TOKEN_STRING && sql_is_sign(first + 3, ')')) {
		*at += 4;
		return true;
	}
	*at += 1;
	return first->kind == SQL_TOKEN_NUMBER || first->kind == SQL_TOKEN_STRING;
}

static bool take_list(const struct sql_token **at) {
	do
		++*at; // the bracket or comma
	while (take_constant(at) && sql_is_sign(*at, ','));
	return sql_is_sign((*at)++, ')');
}

// = <> == != < <= > >=. Text is only compared for being equal.
static bool take_comparison(const struct sql_token **at, bool text) {
	bool equal = true;
	unsigned n = 0;

	for (; n < 2 && (*at)->kind == SQL_TOKEN_SIGN && strchr("<>=!", (*at)->text[0]) != NULL;
	     n++)
		++*at;
	const struct sql_token *sign = *at - n;
	if (n > 0 && (sql_is_sign(sign, '<') || sql_is_sign(sign, '>')))
		equal = sql_is_sign(sign, '<') && n == 2 && sql_is_sign(sign + 1, '>');
	return n > 0 && (equal || !text);
}

// One condition of those that constraints.c takes. Counts the filters that it makes.
static bool take_term(const struct sql_token **at, unsigned *n_filters) {
	const struct sql_token *first = *at;

	++*n_filters;
	if (sql_is_word(first, "ip_in")) {
		int column = sql_is_sign(first + 1, '(') ? sql_column(first + 2) : -ENOENT;
		*at += 6;
		return column >= 0 && flow_columns[column].type == COLUMN_TEXT
		       && sql_is_sign(first + 3, ',') && first[4].kind == SQL_TOKEN_STRING
		       && sql_is_sign(first + 5, ')');
	}
	int column = sql_column(first);
	if (column < 0)
		return false;
	bool text = flow_columns[column].type == COLUMN_TEXT;
	++*at;
	if (sql_is_word(*at, "in") && sql_is_sign(*at + 1, '(')) {
		++*at;
		return take_list(at);
	}
	if (sql_is_word(*at, "between") && !text) {
		++*n_filters;
		++*at;
		if (!take_constant(at) || !sql_is_word(*at, "and"))
			return false;
		++*at;
		return take_constant(at);
	}
	return take_comparison(at, text) && take_constant(at);
}

// Terms with AND between them, in any number of brackets.
static bool is_simple(struct span where) {
	const struct sql_token *at = where.begin;
	unsigned n_filters = 0, depth = 0;

	if (is_empty(where))
		return true;
	for (;;) {
		for (; at < where.end && sql_is_sign(at, '('); at++)
			depth++;
		if (!take_term(&at, &n_filters))
			return false;
		for (; depth > 0 && sql_is_sign(at, ')'); at++)
			depth--;
		if (at == where.end)
			return depth == 0 && n_filters <= SCAN_MAX_FILTERS;
		if (!sql_is_word(at++, "and"))
			return false;
	}
}

// LIMIT n, or LIMIT n OFFSET m.
static uint64_t limit_of(struct span limit) {
	uint64_t n = is_empty(limit) ? 0 : number_of(limit.begin), offset = 0;

	if (length(limit) == 3 && sql_is_word(limit.begin + 1, "offset"))
		offset = number_of(limit.begin + 2);
	else if (length(limit) != 1)
		return 0;
	return n + offset <= MOST_TOP ? n + offset : 0;
}

void rewrite_top_find(const struct sql_tokens *tokens, struct rewrite_top *top) {
	struct clauses clauses;

	*top = (struct rewrite_top){0};
	if (!take_clauses(tokens, &clauses) || is_empty(clauses.group) || is_empty(clauses.order)
	    || !is_simple(clauses.where))
		return;
	top->by = order_value(&clauses);
	top->group = group_columns(&clauses);
	if (top->by != NO_VALUE && top->group != 0)
		top->n = limit_of(clauses.limit);
}
