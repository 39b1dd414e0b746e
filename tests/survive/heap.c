/*
 * heap.c: see heap.h. Linked into a test, or preloaded into the program (heap_shim.c), which say
 * what a good end is.
 *
 * The real functions are glibc's __libc_ names; under AddressSanitizer, which is an allocator itself,
 * none of this is built. TSR_HEAP_ONLY=N tries only allocation N, without a fork, for a debugger; a
 * negative N: it and all later.
 */
#include "heap.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAMES = 24, HANG_SECONDS = 60 };
enum failing { NO_MORE, ONCE, FROM_HERE };

#define REAL(name) __libc_##name
#define REAL_ALIGNED __libc_memalign
void *REAL(malloc)(size_t);
void *REAL(calloc)(size_t, size_t);
void *REAL(realloc)(void *, size_t);
void *REAL_ALIGNED(size_t, size_t);
void REAL(free)(void *);

static _Atomic long live;
static unsigned stride;
static pid_t explorer; /* the process that explores, 0: not begun */
static pid_t main_thread;
static int child;
static _Thread_local int foreign; /* inside hwloc: neither made to fail nor counted */
static _Thread_local int spared;  /* inside jansson's parser: not made to fail */
static enum failing failing;
static long only;
static struct heap_count count;
static void *frames[FRAMES];
static int frame_count;

/* ---- exploring
 * ----------------------------------------------------------------------------------------- */

static void refuse_here(void)
{
    static int begun;

    if (begun)
        return;
    begun = 1;
    const enum failing mode = failing;
    failing = NO_MORE; /* backtrace may allocate */
    frame_count = backtrace(frames, FRAMES);
    failing = mode;
}

/*
 * A descriptor's position is shared across a fork: files and folders that are open are opened
 * again, so that what a child reads does not move its parent.
 */
static void part_files(void)
{
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
        char path[40];
        struct stat state;

        if (fstat(fd, &state) != 0 || (!S_ISREG(state.st_mode) && !S_ISDIR(state.st_mode)))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const off_t at = lseek(fd, 0, SEEK_CUR);
        const int own = open(path, (fcntl(fd, F_GETFL) & O_ACCMODE) | O_CLOEXEC);

        if (own < 0)
            continue;
        lseek(own, at, SEEK_SET);
        dup3(own, fd, O_CLOEXEC);
        close(own);
    }
}

/* In a new child: the place, and an end to what hangs. */
static void enter_child(enum failing mode)
{
    child = 1;
    alarm(HANG_SECONDS);
    part_files();
    heap_child_begins();
    failing = mode;
    refuse_here();
    if (mode == ONCE)
        failing = NO_MORE;
}

static void keep_account(int status, enum failing mode)
{
    enum heap_end end = HEAP_WRONG_STATUS;

    count.tried++;
    if (WIFSIGNALED(status))
        count.signals++;
    else
        count.ends[end = heap_child_ended(status)]++;
    if (end <= HEAP_TOLERATED || count.shown++ >= HEAP_SHOWN_MAX)
        return;
    char line[200];
    const int length = snprintf(line, sizeof line, "FAIL: allocation %lu fails%s: %s %d\n",
                                count.allocations, mode == FROM_HERE ? " and all later ones" : "",
                                WIFSIGNALED(status) ? "died of signal" : "ended as",
                                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(99);
    frame_count = backtrace(frames, FRAMES);
    backtrace_symbols_fd(frames, frame_count, STDERR_FILENO);
}

/* Shall this allocation fail? In the explorer never: its children try. */
static int fails(void)
{
    if (foreign > 0 || spared > 0) {
        count.spared += stride != 0 && !child;
        return 0;
    }
    if (failing == FROM_HERE)
        return 1;
    if (explorer == 0 || child || stride == 0 || (pid_t)syscall(SYS_gettid) != main_thread)
        return 0;
    count.allocations++;
    if (only != 0) {
        if ((long)count.allocations != labs(only))
            return 0;
        enter_child(only > 0 ? ONCE : FROM_HERE);
        return 1;
    }
    if (count.allocations % stride != 0)
        return 0;
    const int saved = errno;
    const unsigned step = stride;
    stride = 0; /* what follows allocates */
    for (enum failing mode = ONCE; mode <= FROM_HERE; mode++) {
        int status = 0;
        const pid_t pid = fork();

        if (pid == 0) {
            enter_child(mode);
            return 1;
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        keep_account(status, mode);
    }
    stride = step;
    errno = saved;
    return 0;
}

void heap_explore(unsigned every)
{
    void *warm[4];

    backtrace(warm, 4); /* loads the unwinder */
    if (explorer == 0) {
        const char *const number = getenv("TSR_HEAP_ONLY");

        only = number != NULL ? strtol(number, NULL, 10) : 0;
        main_thread = (pid_t)syscall(SYS_gettid);
        explorer = (pid_t)syscall(SYS_getpid);
    }
    if (every != 0) {
        memset(&count, 0, sizeof count);
    }
    stride = child ? 0 : every;
}

struct heap_count heap_counted(void)
{
    return count;
}

long heap_live(void)
{
    return atomic_load(&live);
}

int heap_in_child(void)
{
    return child;
}

void heap_report(enum heap_end end, const char *format, ...)
{
    char line[500];
    va_list list;

    failing = NO_MORE;
    va_start(list, format);
    const int length = vsnprintf(line, sizeof line - 1, format, list);
    va_end(list);
    if (length > 0 && syscall(SYS_write, STDERR_FILENO, strcat(line, "\n"), strlen(line) + 1) < 0)
        _exit(99);
    if (end > HEAP_TOLERATED)
        backtrace_symbols_fd(frames, frame_count, STDERR_FILENO);
    _exit((int)end);
}

/* ---- in the place of the C library
 * ----------------------------------------------------------------------- */

static void *counted(void *block)
{
    if (block != NULL && foreign == 0)
        atomic_fetch_add(&live, 1);
    return block;
}

static void *refuse(void)
{
    refuse_here();
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t bytes)
{
    return fails() ? refuse() : counted(REAL(malloc)(bytes));
}

void *calloc(size_t items, size_t bytes)
{
    return fails() ? refuse() : counted(REAL(calloc)(items, bytes));
}

void *realloc(void *block, size_t bytes)
{
    if (bytes == 0 && block != NULL) {
        free(block);
        return NULL;
    }
    if (fails())
        return refuse();
    return block == NULL ? counted(REAL(malloc)(bytes)) : REAL(realloc)(block, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    return fails() ? refuse() : counted(REAL_ALIGNED(alignment, bytes));
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes)
{
    const int saved = errno;
    void *const got = memalign(alignment, bytes);

    errno = saved;
    if (got == NULL)
        return ENOMEM;
    *block = got;
    return 0;
}

void free(void *block)
{
    if (block != NULL && foreign == 0)
        atomic_fetch_sub(&live, 1);
    REAL(free)(block);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (fails()) {
        refuse();
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

/* ---- what children share with their parent, and what they have lost
 * ---------------------------------------- */

pid_t getpid(void)
{
    return explorer != 0 ? explorer : (pid_t)syscall(SYS_getpid);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    return child && fd > STDERR_FILENO ? (ssize_t)bytes : syscall(SYS_write, fd, data, bytes);
}

int unlink(const char *path)
{
    return child ? 0 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *old, const char *new)
{
    return child ? 0 : (int)syscall(SYS_renameat, AT_FDCWD, old, AT_FDCWD, new);
}

/* Threads: a start may fail like an allocation; a child has lost the ones that ran. */

enum { OWN_MAX = 64 };
static pthread_t own[OWN_MAX]; /* threads of this child's */
static unsigned own_count;
static int (*real_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static int (*real_join)(pthread_t, void **);

__attribute__((constructor)) static void find_threads(void)
{
    *(void **)&real_create = dlsym(RTLD_NEXT, "pthread_create");
    *(void **)&real_join = dlsym(RTLD_NEXT, "pthread_join");
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *data)
{
    int code;

    if (fails())
        return EAGAIN;
    code = real_create(thread, attributes, start, data);
    if (child && code == 0 && own_count < OWN_MAX)
        own[own_count++] = *thread;
    return code;
}

int pthread_join(pthread_t thread, void **result)
{
    for (unsigned i = 0; i < own_count; i++)
        if (pthread_equal(own[i], thread))
            return real_join(thread, result);
    return child ? 0 : real_join(thread, result);
}

/* ---- hwloc
 * -------------------------------------------------------------------------------------------------
 */

/*
 * hwloc asserts that its allocations succeed (tessera reserves memory before it calls it: topo.c),
 * and the plugins that it loads keep blocks for ever. So what happens inside its three calls that
 * allocate much, and in the first one that reads a binding, is neither made to fail nor counted. The
 * topology is an opaque pointer.
 */
int hwloc_topology_init(void **topology);
int hwloc_topology_load(void *topology);
void hwloc_topology_destroy(void *topology);
int hwloc_get_cpubind(void *topology, void *set, int flags);

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

int hwloc_topology_init(void **topology)
{
    int (*init)(void **);
    int code;

    foreign++;
    *(void **)&init = real("hwloc_topology_init");
    code = init(topology);
    foreign--;
    return code;
}

int hwloc_topology_load(void *topology)
{
    int (*load)(void *);
    int code;

    foreign++;
    *(void **)&load = real("hwloc_topology_load");
    code = load(topology);
    foreign--;
    return code;
}

void hwloc_topology_destroy(void *topology)
{
    void (*destroy)(void *);

    foreign++;
    *(void **)&destroy = real("hwloc_topology_destroy");
    destroy(topology);
    foreign--;
}

int hwloc_get_cpubind(void *topology, void *set, int flags)
{
    static int counted_cpus;
    int (*get)(void *, void *, int);
    int code;

    foreign += !counted_cpus;
    *(void **)&get = real("hwloc_get_cpubind");
    code = get(topology, set, flags);
    foreign -= !counted_cpus;
    counted_cpus = 1;
    return code;
}

/* ---- jansson ---- */

/* Its lexer asserts, or loses a byte, where its buffer cannot grow (tessera makes sure of memory
 * first: json.c). */
void *json_loadb(const char *text, size_t bytes, size_t flags, void *error);

void *json_loadb(const char *text, size_t bytes, size_t flags, void *error)
{
    void *(*load)(const char *, size_t, size_t, void *);
    void *value;

    spared++;
    *(void **)&load = real("json_loadb");
    value = load(text, bytes, flags, error);
    spared--;
    return value;
}
