#include "top_keys.h"

#include <stdio.h>
#include <string.h>

#include "top_options.h"

enum {
	FAR = 1 << 20, // rows; the layout takes back what is too much
};

static unsigned moved(unsigned scroll, int key, unsigned page) {
	unsigned step = page > 1 ? page - 1 : 1;

	switch (key) {
	case TOP_KEY_UP:
		return scroll > 0 ? scroll - 1 : 0;
	case TOP_KEY_DOWN:
		return scroll + 1;
	case TOP_KEY_PAGE_UP:
		return scroll > step ? scroll - step : 0;
	case TOP_KEY_PAGE_DOWN:
		return scroll + step;
	case TOP_KEY_HOME:
		return 0;
	case TOP_KEY_END:
		return FAR;
	default:
		return scroll;
	}
}

static bool moves(int key) {
	return key >= TOP_KEY_UP && key <= TOP_KEY_END;
}

static enum top_action apply_filter(struct top_choice *choice) {
	char error[TOP_FILTER_ERROR_BYTES];

	choice->edits = false;
	choice->scroll = 0;
	if (top_filter_parse(choice->edited, &choice->filter, error) < 0)
		snprintf(
			choice->message,
			sizeof(choice->message),
			"filter: %.90s; '?' shows how",
			error
		);
	return TOP_DRAW;
}

static enum top_action edit(struct top_choice *choice, int key) {
	size_t n = strlen(choice->edited);

	if (key == TOP_KEY_ENTER)
		return apply_filter(choice);
	if (key == TOP_KEY_ESCAPE)
		choice->edits = false;
	else if (key == TOP_KEY_BACKSPACE && n > 0)
		choice->edited[n - 1] = '\0';
	else if (key == 'U' - '@') // Ctrl-U, as in a shell
		choice->edited[0] = '\0';
	else if (key >= ' ' && key < 127 && n < sizeof(choice->edited) - 1) {
		choice->edited[n] = (char)key;
		choice->edited[n + 1] = '\0';
	}
	return TOP_DRAW;
}

static enum top_action read_help(struct top_choice *choice, int key, unsigned page) {
	if (moves(key))
		choice->help_scroll = moved(choice->help_scroll, key, page);
	else if (key == 'q')
		return TOP_QUIT;
	else
		choice->help = false;
	return TOP_DRAW;
}

static void look_at(struct top_choice *choice, unsigned view) {
	choice->view = view;
	choice->scroll = 0;
}

static void sort_by(struct top_choice *choice, unsigned sort) {
	choice->sort = (enum top_sort)(sort % TOP_SORT_COUNT);
	choice->scroll = 0;
}

static enum top_action change_pace(struct top_choice *choice, double factor) {
	double interval_s = choice->interval_s * factor;

	if (interval_s * 1e9 >= (double)TOP_LEAST_INTERVAL_NS
	    && interval_s * 1e9 <= (double)TOP_MOST_INTERVAL_NS)
		choice->interval_s = interval_s;
	snprintf(choice->message, sizeof(choice->message), "every %.4g s", choice->interval_s);
	return TOP_PACE;
}

enum top_action top_keys_press(struct top_choice *choice, int key, unsigned page) {
	if (key == TOP_KEY_NONE)
		return TOP_NOTHING;
	if (key == TOP_KEY_RESIZE)
		return TOP_REDRAW;
	choice->message[0] = '\0';
	if (choice->edits)
		return edit(choice, key);
	if (choice->help)
		return read_help(choice, key, page);
	if (moves(key)) {
		choice->scroll = moved(choice->scroll, key, page);
		return TOP_DRAW;
	}
	if (key >= '1' && key < '1' + (int)TOP_ALL_VIEWS) {
		look_at(choice, (unsigned)(key - '1'));
		return TOP_DRAW;
	}
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case '\t':
		look_at(choice, (choice->view + 1) % TOP_ALL_VIEWS);
		break;
	case 's':
		sort_by(choice, choice->sort + 1U);
		break;
	case 'b':
		sort_by(choice, TOP_BY_BITS);
		break;
	case 'k':
		sort_by(choice, TOP_BY_PACKETS);
		break;
	case 'l':
		sort_by(choice, TOP_BY_FLOWS);
		break;
	case 'f':
	case '/':
		choice->edits = true;
		memcpy(choice->edited, choice->filter.text, sizeof(choice->edited));
		break;
	case 'p':
	case ' ':
		choice->paused = !choice->paused;
		return TOP_PACE;
	case 'n':
		choice->names = !choice->names;
		break;
	case '+':
		return change_pace(choice, 2);
	case '-':
		return change_pace(choice, 0.5);
	case 'r':
	case 'L' - '@':
		return TOP_REDRAW;
	case '?':
	case 'h':
		choice->help = true;
		choice->help_scroll = 0;
		break;
	default:
		break;
	}
	return TOP_DRAW;
}
