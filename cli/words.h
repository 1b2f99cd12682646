// Words: whether someone who wrote one meant another.
//
// Threads and time: none.

#pragma once

#include <stddef.h>

// Letters to insert, drop, replace or swap with their neighbour until `a` is `b`: the distance of
// Damerau and Levenshtein, where no letter is touched twice. '-', '_', '.' and ' ' are one, as are
// cases. What is longer than words are is far from all.
unsigned word_distance(const char *a, const char *b);

// Up to which distance `word` may be meant for another: a third of its letters are wrong.
unsigned word_reach(const char *word);

// Which of `words`, which NULL ends, is nearest to `word`; NULL where none is within reach.
const char *word_nearest(const char *word, const char *const *words);
