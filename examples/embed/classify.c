/* Classifies the images of an IDX file with a network compiled by bnc: no library of bnc's, only the object and its header.
 *
 *   bnc compile examples/mnist_mlp.bn --weights run/weights.safetensors -o mnist_mlp.o --header mnist_mlp.h
 *   cc -O2 -I. classify.c mnist_mlp.o -lm -lz -o classify
 *   ./classify t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "mnist_mlp.h"

enum { pixels = 28 * 28, classes = 10, batch = 100 };

/* The data of an IDX file of unsigned bytes, gzipped or not; its dimensions go to `dims`. Ends the program if it cannot be read. */
static uint8_t *read_idx(const char *path, int rank, int64_t *dims) {
  gzFile file = gzopen(path, "rb");
  uint8_t header[16];
  const int header_bytes = 4 + 4 * rank;
  if (!file || gzread(file, header, (unsigned)header_bytes) != header_bytes || header[2] != 8 || header[3] != rank) {
    fprintf(stderr, "%s: not an IDX file of bytes with %d dimensions\n", path, rank);
    exit(1);
  }
  int64_t size = 1;
  for (int k = 0; k < rank; ++k) {
    const uint8_t *field = header + 4 + 4 * k;
    dims[k] = (int64_t)field[0] << 24 | field[1] << 16 | field[2] << 8 | field[3];
    size *= dims[k];
  }
  uint8_t *data = size <= 1 << 30 ? malloc((size_t)size) : NULL;
  if (!data || gzread(file, data, (unsigned)size) != size) {
    fprintf(stderr, "%s: cut short\n", path);
    exit(1);
  }
  gzclose(file);
  return data;
}

static int largest(const float *scores) {
  int best = 0;
  for (int k = 1; k < classes; ++k)
    if (scores[k] > scores[best]) best = k;
  return best;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s IMAGES LABELS\n", argv[0]);
    return 2;
  }
  int64_t dims[3], label_count;
  uint8_t *images = read_idx(argv[1], 3, dims);
  uint8_t *labels = read_idx(argv[2], 1, &label_count);
  if (dims[1] * dims[2] != pixels || label_count != dims[0]) {
    fprintf(stderr, "expected as many labels as images of 28 x 28 pixels\n");
    return 1;
  }

  /* The network allocates nothing: the caller brings the workspace. */
  void *workspace = malloc((size_t)mnist_mlp_workspace_bytes(batch));
  static float x[batch * pixels], y[batch * classes];
  int64_t right = 0;
  for (int64_t first = 0; first < dims[0]; first += batch) {
    const int64_t count = dims[0] - first < batch ? dims[0] - first : batch;
    for (int64_t k = 0; k < count * pixels; ++k) x[k] = (float)images[first * pixels + k] / 255.0f;
    const int error = mnist_mlp_infer(count, x, y, workspace);
    if (error) {
      fprintf(stderr, "mnist_mlp_infer returned %d\n", error);
      return 1;
    }
    for (int64_t k = 0; k < count; ++k) right += largest(y + k * classes) == labels[first + k];
  }
  printf("accuracy %.4f on %lld images\n", (double)right / (double)dims[0], (long long)dims[0]);
  free(workspace);
  free(images);
  free(labels);
  return 0;
}
