/* Prints a class for each row of a table, whose first line holds the names of its columns: `predict < rows.csv`. Which columns the network
 * takes, and how they become its input, stands in the header that `bnc compile --header` has written. A missing value is an empty
 * field. Fields in quotes are not understood. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowers.h"

enum { most_fields = 100 };

static int split(char *line, char *fields[most_fields]) {
  int count = 0;
  line[strcspn(line, "\r\n")] = '\0';
  for (char *next = line; next && count < most_fields; ++count) {
    fields[count] = next;
    if ((next = strchr(next, ','))) *next++ = '\0';
  }
  return count;
}

/* Writes the floats that a field becomes, and returns where those of the next one go; null where the column takes no such field. */
static float *encode(const struct flowers_column *column, const char *text, float *to) {
  if (!*text && !column->may_be_missing) return NULL;
  if (column->categories == 0) {
    char *end = NULL;
    *to = *text ? strtof(text, &end) : column->missing;
    return (!end || !*end) && isfinite(*to) ? to + 1 : NULL;
  }
  int known = !*text;
  for (int k = 0; k < column->categories; ++k) {
    const int is_it = strcmp(text, column->category_names[k]) == 0;
    known |= is_it;
    *to++ = is_it ? 1.0f : 0.0f;
  }
  return known ? to : NULL;
}

int main(void) {
  char names[4096], row[4096], *fields[most_fields];
  int place[flowers_COLUMNS];
  float x[flowers_FEATURES], y[flowers_CLASSES];
  void *workspace = malloc((size_t)flowers_workspace_bytes(1));
  if (!workspace || !fgets(names, sizeof names, stdin)) return 1;
  const int count = split(names, fields);
  for (int c = 0; c < flowers_COLUMNS; ++c) {
    for (place[c] = 0; place[c] < count && strcmp(fields[place[c]], flowers_columns[c].name) != 0;) ++place[c];
    if (place[c] == count) return fprintf(stderr, "there is no column %s\n", flowers_columns[c].name), 1;
  }
  while (fgets(row, sizeof row, stdin)) {
    if (split(row, fields) != count) return fprintf(stderr, "a row has another number of fields than the first line\n"), 1;
    float *to = x;
    for (int c = 0; c < flowers_COLUMNS; ++c) {
      const char *text = fields[place[c]];
      to = encode(&flowers_columns[c], text, to);
      if (!to) return fprintf(stderr, "column %s takes no `%s`\n", flowers_columns[c].name, text), 1;
    }
    if (flowers_infer(1, x, y, workspace) != flowers_infer_OK) return 1;
    int best = 0;
    for (int k = 1; k < flowers_CLASSES; ++k) best = y[k] > y[best] ? k : best;
    puts(flowers_class_names[best]);
  }
  free(workspace);
  return 0;
}
