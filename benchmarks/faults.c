/* Counts what a process changes on disk below one folder, and lets the n-th change fail; loaded by LD_PRELOAD.

   FAULTS names a file that all processes map: how many changes there were, which one fails, how, and the folder. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE, KILL, FULL, BROKEN };
enum { TAKES_ROOM = 1 }; /* a change that a full disk refuses, for all the rest of the process */

struct state {
    long count;
    long at;
    long kind;
    long hit;
    char folder[1024];
};

static struct state *state;
static int trace = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) state = mapped;
    const char *log = getenv("FAULTS_TRACE");
    if (log) trace = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* Whether this change fails; errno is set then. A lock is no change: it holds nothing. */
static int fails(const char *what, const char *path, int flags) {
    if (!state || !path || strncmp(path, state->folder, strlen(state->folder))) return 0;
    size_t length = strlen(path);
    if (length > 5 && !strcmp(path + length - 5, ".lock")) return 0;
    long number = __atomic_add_fetch(&state->count, 1, __ATOMIC_SEQ_CST);
    if (trace >= 0) dprintf(trace, "%ld %s %s\n", number, what, path + strlen(state->folder));
    if (state->kind == NONE) return 0;
    if (state->kind == FULL && state->hit && (flags & TAKES_ROOM)) {
        errno = ENOSPC;
        return 1;
    }
    if (number < state->at || state->hit) return 0;
    if (state->kind == FULL && !(flags & TAKES_ROOM)) return 0; /* the next one that takes room */
    state->hit = number;
    if (state->kind == KILL) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = state->kind == FULL ? ENOSPC : EIO;
    return 1;
}

static int fails_in(const char *what, int file, int flags) {
    char link[64], path[4096];
    if (!state) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return fails(what, path, flags);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails_in("write", file, TAKES_ROOM) ? -1 : real(file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return fails_in("write", file, TAKES_ROOM) ? -1 : real(file, parts, count);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return fails_in("write", file, TAKES_ROOM) ? -1 : real(file, data, size, at);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return fails_in("write", file, TAKES_ROOM) ? -1 : real(file, data, size, at);
}

/* How Python copies files. */
ssize_t sendfile(int to, int from, off_t *at, size_t size) {
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t);
    return fails_in("write", to, TAKES_ROOM) ? -1 : real(to, from, at, size);
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    return fails_in("write", to, TAKES_ROOM) ? -1 : real(to, from, at, size);
}

int fsync(int file) {
    REAL(int, "fsync", int);
    return fails_in("fsync", file, TAKES_ROOM) ? -1 : real(file);
}

int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    return fails_in("fsync", file, TAKES_ROOM) ? -1 : real(file);
}

int ftruncate(int file, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    return fails_in("truncate", file, 0) ? -1 : real(file, size);
}

int ftruncate64(int file, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    return fails_in("truncate", file, 0) ? -1 : real(file, size);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return fails("rename", to, 0) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return fails("unlink", path, 0) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return fails("mkdir", path, TAKES_ROOM) ? -1 : real(path, mode);
}
