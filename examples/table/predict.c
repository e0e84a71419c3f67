/* Prints a class for each row of a table, whose first line holds the names of its columns: `predict < rows.csv`. Which columns the network
 * takes, and how they become its input, stands in the header that `bnc compile --header` has written. Fields in quotes are not understood. */
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
      const struct flowers_column *column = &flowers_columns[c];
      const char *text = fields[place[c]];
      if (column->categories == 0) *to++ = *text ? strtof(text, NULL) : column->missing;
      for (int k = 0; k < column->categories; ++k) *to++ = strcmp(text, column->category_names[k]) == 0 ? 1.0f : 0.0f;
    }
    if (flowers_infer(1, x, y, workspace) != flowers_infer_OK) return 1;
    int best = 0;
    for (int k = 1; k < flowers_CLASSES; ++k) best = y[k] > y[best] ? k : best;
    puts(flowers_class_names[best]);
  }
  free(workspace);
  return 0;
}
