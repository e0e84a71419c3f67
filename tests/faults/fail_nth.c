/* Preloaded into a program, this counts its calls of one kind and lets the n-th of them fail.
 *
 *   BNC_FAULT_KIND    open, read, write, print, close, sync, rename, folder, map, thread or allocate
 *   BNC_FAULT_AT      which call fails, counted from 1; 0 counts only
 *   BNC_FAULT_ERROR   the errno that it fails with
 *   BNC_FAULT_STAY    1: all later calls of the kind fail as well
 *   BNC_FAULT_SHORT   1: the first write that fails writes half of its bytes and reports these, as a disk does that fills up
 *   BNC_FAULT_UNDER   calls on files count only where these lie in that folder
 *   BNC_FAULT_COUNT   a file to which the number of calls is written in the end
 *
 * Calls count from the begin of main() on. Programs started by this one run without it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { none, opening, reading, writing, printing, closing, syncing, renaming, folders, mapping, threads, allocating };
static const char* const kind_names[] = {"",     "open",   "read",   "write", "print",  "close",
                                         "sync", "rename", "folder", "map",   "thread", "allocate"};

static enum kind wanted = none;
static long fail_at = 0;
static int fail_error = EIO, fail_stays = 0, fail_short = 0;
static char under[PATH_MAX], count_path[PATH_MAX];
static atomic_int armed = 0;
static atomic_long calls = 0;

#define REAL(result, name, parameters)                                        \
  static result(*real_##name) parameters;                                     \
  if (!real_##name) real_##name = (result(*) parameters)dlsym(RTLD_NEXT, #name)

/* 1 where this call is to fail; errno is set then. */
static int counts_and_fails(void) {
  const long call = atomic_fetch_add(&calls, 1) + 1;
  if (fail_at == 0 || (fail_stays ? call < fail_at : call != fail_at)) return 0;
  errno = fail_error;
  return 1;
}

static int fails(enum kind kind) { return kind == wanted && atomic_load(&armed) && counts_and_fails(); }

static int is_under(const char *path) { return strncmp(path, under, strlen(under)) == 0; }

static int fails_at_path(enum kind kind, const char *path) {
  return kind == wanted && atomic_load(&armed) && is_under(path) && counts_and_fails();
}

static int fails_at_descriptor(enum kind kind, int descriptor) {
  if (kind != wanted || !atomic_load(&armed)) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const long length = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_under(path) && counts_and_fails();
}

static void write_count(void) {
  if (!count_path[0]) return;
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
  const long descriptor = syscall(SYS_openat, AT_FDCWD, count_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (descriptor < 0) return;
  syscall(SYS_write, descriptor, text, length);
  syscall(SYS_close, descriptor);
}

static void copy_setting(const char *name, char *to) {
  const char *value = getenv(name);
  if (value) strncpy(to, value, PATH_MAX - 1);
}

static long number_setting(const char *name, long otherwise) {
  const char *value = getenv(name);
  return value ? atol(value) : otherwise;
}

__attribute__((constructor)) static void read_settings(void) {
  const char *name = getenv("BNC_FAULT_KIND");
  for (enum kind kind = opening; name && kind <= allocating; ++kind)
    if (strcmp(name, kind_names[kind]) == 0) wanted = kind;
  fail_at = number_setting("BNC_FAULT_AT", 0);
  fail_error = (int)number_setting("BNC_FAULT_ERROR", EIO);
  fail_stays = (int)number_setting("BNC_FAULT_STAY", 0);
  fail_short = (int)number_setting("BNC_FAULT_SHORT", 0);
  copy_setting("BNC_FAULT_UNDER", under);
  copy_setting("BNC_FAULT_COUNT", count_path);
  unsetenv("LD_PRELOAD");
}

static int (*real_main)(int, char **, char **);
static int counted_main(int argc, char **argv, char **environment) {
  atomic_store(&armed, 1);
  const int code = real_main(argc, argv, environment);
  write_count();
  return code;
}

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void* stack) {
  typedef int start(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
  start *next = (start *)dlsym(RTLD_NEXT, "__libc_start_main");
  real_main = main;
  return next(counted_main, argc, argv, init, fini, rtld_fini, stack);
}

/* Files. */
#define MODE(flags)                            \
  mode_t mode = 0;                             \
  if ((flags) & (O_CREAT | O_TMPFILE)) {       \
    va_list list;                              \
    va_start(list, flags);                     \
    mode = va_arg(list, mode_t);               \
    va_end(list);                              \
  }

int open(const char *path, int flags, ...) {
  MODE(flags)
  REAL(int, open, (const char *, int, ...));
  return fails_at_path(opening, path) ? -1 : real_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  MODE(flags)
  REAL(int, open64, (const char *, int, ...));
  return fails_at_path(opening, path) ? -1 : real_open64(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
  MODE(flags)
  REAL(int, openat, (int, const char *, int, ...));
  return fails_at_path(opening, path) ? -1 : real_openat(folder, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode) {
  REAL(FILE *, fopen, (const char *, const char *));
  return fails_at_path(opening, path) ? NULL : real_fopen(path, mode);
}

FILE *fopen64(const char *path, const char *mode) {
  REAL(FILE *, fopen64, (const char *, const char *));
  return fails_at_path(opening, path) ? NULL : real_fopen64(path, mode);
}

int mkostemp(char *pattern, int flags) {
  REAL(int, mkostemp, (char *, int));
  return fails_at_path(opening, pattern) ? -1 : real_mkostemp(pattern, flags);
}

int mkostemp64(char *pattern, int flags) {
  REAL(int, mkostemp64, (char *, int));
  return fails_at_path(opening, pattern) ? -1 : real_mkostemp64(pattern, flags);
}

char *mkdtemp(char *pattern) {
  REAL(char *, mkdtemp, (char *));
  return fails(folders) ? NULL : real_mkdtemp(pattern);
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, mkdir, (const char *, mode_t));
  return fails_at_path(folders, path) ? -1 : real_mkdir(path, mode);
}

DIR *opendir(const char *path) {
  REAL(DIR *, opendir, (const char *));
  return fails_at_path(folders, path) ? NULL : real_opendir(path);
}

struct dirent *readdir(DIR *folder) {
  REAL(struct dirent *, readdir, (DIR *));
  return fails_at_descriptor(folders, dirfd(folder)) ? NULL : real_readdir(folder);
}

ssize_t read(int descriptor, void *to, size_t count) {
  REAL(ssize_t, read, (int, void *, size_t));
  return fails_at_descriptor(reading, descriptor) ? -1 : real_read(descriptor, to, count);
}

ssize_t pread(int descriptor, void *to, size_t count, off_t offset) {
  REAL(ssize_t, pread, (int, void *, size_t, off_t));
  return fails_at_descriptor(reading, descriptor) ? -1 : real_pread(descriptor, to, count, offset);
}

size_t fread(void *to, size_t size, size_t count, FILE *file) {
  REAL(size_t, fread, (void *, size_t, size_t, FILE *));
  return fails_at_descriptor(reading, fileno(file)) ? 0 : real_fread(to, size, count, file);
}

/* What is written to the standard output has a kind of its own. */
static int write_fails(int descriptor) {
  return descriptor == STDOUT_FILENO ? fails(printing) : fails_at_descriptor(writing, descriptor);
}

ssize_t write(int descriptor, const void *from, size_t count) {
  REAL(ssize_t, write, (int, const void *, size_t));
  if (!write_fails(descriptor)) return real_write(descriptor, from, count);
  if (!fail_short || count < 2) return -1;
  fail_short = 0;
  return real_write(descriptor, from, count / 2);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, (int, const struct iovec *, int));
  return write_fails(descriptor) ? -1 : real_writev(descriptor, parts, count);
}

size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
  REAL(size_t, fwrite, (const void *, size_t, size_t, FILE *));
  return write_fails(fileno(file)) ? 0 : real_fwrite(from, size, count, file);
}

/* A descriptor is closed even where the system says that what was written before is lost. */
int close(int descriptor) {
  REAL(int, close, (int));
  const int failed = fails_at_descriptor(closing, descriptor), error = errno;
  const int result = real_close(descriptor);
  if (failed) errno = error;
  return failed ? -1 : result;
}

int fsync(int descriptor) {
  REAL(int, fsync, (int));
  return fails_at_descriptor(syncing, descriptor) ? -1 : real_fsync(descriptor);
}

int rename(const char *from, const char *to) {
  REAL(int, rename, (const char *, const char *));
  return fails_at_path(renaming, to) ? -1 : real_rename(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  REAL(int, renameat2, (int, const char *, int, const char *, unsigned));
  return fails_at_path(renaming, to) ? -1 : real_renameat2(from_folder, from, to_folder, to, flags);
}

/* Memory and threads. */
void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
  REAL(void *, mmap, (void *, size_t, int, int, int, off_t));
  return fails(mapping) ? MAP_FAILED : real_mmap(address, length, protection, flags, descriptor, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
  REAL(void *, mmap64, (void *, size_t, int, int, int, off_t));
  return fails(mapping) ? MAP_FAILED : real_mmap64(address, length, protection, flags, descriptor, offset);
}

int mprotect(void *address, size_t length, int protection) {
  REAL(int, mprotect, (void *, size_t, int));
  return fails(mapping) ? -1 : real_mprotect(address, length, protection);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *));
  return fails(threads) ? fail_error : real_pthread_create(thread, attributes, run, argument);
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { return fails(allocating) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails(allocating) ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return fails(allocating) ? NULL : __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return fails(allocating) ? NULL : __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails(allocating) ? NULL : __libc_memalign(alignment, size); }
int posix_memalign(void **to, size_t alignment, size_t size) {
  if (fails(allocating)) return fail_error;
  void *memory = __libc_memalign(alignment, size);
  if (!memory) return ENOMEM;
  *to = memory;
  return 0;
}
