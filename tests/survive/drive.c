/*
 * drive.c: see drive.h.
 *
 * Output of the started program goes into pipes that are read when it has ended: what a command
 * says fits into them, and a limit of a file's size does not count there. It runs in a process
 * group of its own, so that signals of the test reach it alone. The program in the build folder may
 * be libtool's wrapper script; the real one lies in .libs beside its library.
 */
#include "drive.h"

#include "../conditions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char work[200];
unsigned long checks;
static unsigned long bad, skipped;
static const char *scene_name;
static uint64_t random_state;

/* ---- files
 * --------------------------------------------------------------------------------------------- */

const char *in_work(const char *format, ...)
{
    static char buffers[16][4500];
    static unsigned next;
    char *buffer = buffers[next++ % 16];
    va_list list;
    const int used = snprintf(buffer, sizeof buffers[0], "%s/", work);

    va_start(list, format);
    vsnprintf(buffer + used, sizeof buffers[0] - (size_t)used, format, list);
    va_end(list);
    return buffer;
}

static const char *folder_of(const char *variable)
{
    const char *folder = getenv(variable);

    if (folder != NULL)
        return folder;
    fprintf(stderr, "%s is not set: run this by make check\n", variable);
    exit(99);
}

const char *fixture(const char *name)
{
    static char buffers[8][4096];
    static unsigned next;
    char *buffer = buffers[next++ % 8];

    snprintf(buffer, sizeof buffers[0], "%s/%s", folder_of("TSR_SRCDIR"), name);
    return buffer;
}

int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

uint64_t file_size(const char *path)
{
    struct stat state;

    return stat(path, &state) == 0 ? (uint64_t)state.st_size : 0;
}

/* The whole file, mapped read-only; NULL if it is absent or empty. */
static const char *file_map(const char *path, size_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *data = MAP_FAILED;

    *bytes = (size_t)file_size(path);
    if (fd >= 0 && *bytes > 0)
        data = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    return data == MAP_FAILED ? NULL : data;
}

int files_equal(const char *a, const char *b)
{
    size_t a_bytes, b_bytes;
    const char *const x = file_map(a, &a_bytes), *const y = file_map(b, &b_bytes);
    const int same = x != NULL && y != NULL && a_bytes == b_bytes && memcmp(x, y, a_bytes) == 0;

    if (x != NULL)
        munmap((void *)x, a_bytes);
    if (y != NULL)
        munmap((void *)y, b_bytes);
    return same;
}

void file_copy(const char *from, const char *to)
{
    size_t bytes;
    const char *const data = file_map(from, &bytes);
    FILE *file = fopen(to, "we");

    if (file == NULL || data == NULL || fwrite(data, 1, bytes, file) != bytes ||
        fclose(file) != 0) {
        fprintf(stderr, "cannot copy %s to %s\n", from, to);
        exit(99);
    }
    munmap((void *)data, bytes);
}

static size_t visit_folder(const char *folder, const char *prefix, int delete)
{
    DIR *entries = opendir(folder);
    size_t count = 0;

    if (entries == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        count++;
        if (delete &&unlinkat(dirfd(entries), entry->d_name, 0) != 0) {
            char path[5000];

            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            chmod(path, 0700);
            visit_folder(path, "", 1);
            rmdir(path);
        }
    }
    closedir(entries);
    return count;
}

size_t files_in(const char *folder, const char *prefix)
{
    return visit_folder(folder, prefix, 0);
}

void folder_empty(const char *folder)
{
    visit_folder(folder, "", 1);
}

const char *mini_model(void)
{
    return fixture("model/mini/mini-janus-Q8_0.gguf");
}

const char *tiny_picture(void)
{
    return fixture("tests/fixtures/janus-a-f32/small.png");
}

const char *tiny_model(void)
{
    static char path[300];
    struct outcome o;

    if (path[0] != '\0')
        return path;
    snprintf(path, sizeof path, "%s/tiny-model.gguf", work);
    RUN(&o, NULL, "convert", fixture("tests/fixtures/janus-a-f32"), "-o", path);
    CHECK(o.code == 0, "the tiny model cannot be converted: %s", o.err);
    return path;
}

/* ---- the program
 * --------------------------------------------------------------------------------------- */

const char *program_path(void)
{
    static char path[4096];
    const char *const build = folder_of("TSR_BUILDDIR");

    if (path[0] != '\0')
        return path;
    snprintf(path, sizeof path, "%s/.libs/tessera", build);
    if (!file_exists(path))
        snprintf(path, sizeof path, "%s/tessera", build);
    return path;
}

const char *shim_path(const char *name)
{
    static char paths[2][4096];
    static unsigned next;
    char *path = paths[next++ % 2];

    snprintf(path, sizeof paths[0], "%s/tests/survive/.libs/%s.so", folder_of("TSR_BUILDDIR"),
             name);
    return path;
}

const char *shims_fail(void)
{
    static char path[4096];

    if (SANITIZED)
        return "AddressSanitizer must be loaded before any other library";
    snprintf(path, sizeof path, "%s", shim_path("io_shim"));
    return file_exists(path) ? NULL : "this build has no shared libraries";
}

double now_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void wait_seconds(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

static void become_program(const struct start *how, const char *const *arguments)
{
    const char *argv[2 * ARGS_MAX];
    char libraries[4096];
    size_t count = 0;

    for (; how != NULL && how->wrapper != NULL && how->wrapper[count] != NULL; count++)
        argv[count] = how->wrapper[count];
    argv[count++] = program_path();
    for (size_t i = 0; arguments[i] != NULL && count < 2 * ARGS_MAX - 1; i++)
        argv[count++] = arguments[i];
    argv[count] = NULL;
    snprintf(libraries, sizeof libraries, "%s/.libs", folder_of("TSR_BUILDDIR"));
    setenv("LD_LIBRARY_PATH", libraries, 1);
    for (size_t i = 0; how != NULL && how->environment != NULL && how->environment[i] != NULL;
         i++) {
        if (strchr(how->environment[i], '=') != NULL)
            putenv((char *)how->environment[i]);
        else
            unsetenv(how->environment[i]);
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    if (how != NULL && how->prepare != NULL && how->prepare(how->data) != 0)
        _exit(125);
    execvp(argv[0], (char *const *)argv);
    _exit(126);
}

struct running program_start(const struct start *how, const char *const *arguments)
{
    struct running r = {.limit = how != NULL && how->limit > 0 ? how->limit : 60,
                        .begun = now_seconds()};
    const char *const input = how != NULL && how->input != NULL ? how->input : "/dev/null";
    int out[2], err[2];

    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
        perror("pipe");
        exit(99);
    }

    fflush(NULL);
    r.pid = fork();
    if (r.pid == 0) {
        const int in = open(input, O_RDONLY | O_CLOEXEC);

        setpgid(0, 0);
        if (in < 0 || dup2(in, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
            _exit(125);
        become_program(how, arguments);
    }
    if (r.pid < 0) {
        perror("cannot start the program");
        exit(99);
    }
    close(out[1]);
    close(err[1]);
    r.out = out[0];
    r.err = err[0];
    return r;
}

static size_t read_back(int fd, char *text)
{
    size_t used = 0;
    ssize_t got;

    while (used < OUT_BYTES - 1 && (got = read(fd, text + used, OUT_BYTES - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    close(fd);
    return used;
}

void program_wait(struct running *r, struct outcome *outcome)
{
    double pause = 0.0002;
    int status = 0, hung = 0;
    pid_t done;

    while ((done = waitpid(r->pid, &status, WNOHANG)) == 0 || (done < 0 && errno == EINTR)) {
        if (!hung && now_seconds() - r->begun > r->limit) {
            kill(r->pid, SIGKILL);
            hung = 1;
        }
        wait_seconds(pause);
        pause = pause < 0.005 ? pause * 1.3 : pause;
    }
    outcome->seconds = now_seconds() - r->begun;
    outcome->code = hung                  ? OUTCOME_HANG
                    : WIFSIGNALED(status) ? -WTERMSIG(status)
                                          : WEXITSTATUS(status);
    outcome->out_bytes = read_back(r->out, outcome->out);
    outcome->err_bytes = read_back(r->err, outcome->err);
}

void program_run(struct outcome *outcome, const struct start *how, const char *const *arguments)
{
    struct running r = program_start(how, arguments);

    program_wait(&r, outcome);
}

int one_line(const struct outcome *o, int code)
{
    const char *const end = strchr(o->err, '\n');

    return o->code == code && strncmp(o->err, "tessera: ", 9) == 0 && end != NULL &&
           end[1] == '\0' && o->err_bytes <= 300;
}

/* ---- scenes
 * -------------------------------------------------------------------------------------------- */

int full_run(void)
{
    const char *const how = getenv("TSR_SURVIVE");

    return how != NULL && strcmp(how, "full") == 0;
}

unsigned cases(unsigned sample, unsigned full)
{
    return full_run() ? full : repeats("cases of a sample", sample, (sample + 1) / 2);
}

uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

void figure(const char *format, ...)
{
    va_list list;

    printf("%s: ", scene_name);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

void skip(const char *format, ...)
{
    va_list list;

    skipped++;
    printf("%s: skipped: ", scene_name);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

void failed(const char *file, int line, const char *format, ...)
{
    va_list list;

    bad++;
    if (bad > 40)
        return;
    printf("%s: FAIL %s:%d: ", scene_name, file, line);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

int scenes_run(const struct scene *scenes, int argc, char **argv)
{
    const char *const base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";

    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(work, sizeof work, "%.150s/tessera-survive.XXXXXX", base);
    if (mkdtemp(work) == NULL) {
        perror(work);
        return 99;
    }
    for (; scenes->name != NULL; scenes++) {
        int chosen = argc < 2;

        for (int i = 1; i < argc; i++)
            chosen = chosen || strstr(scenes->name, argv[i]) != NULL;
        if (!chosen)
            continue;
        scene_name = scenes->name;
        random_state = 42;
        const double begun = now_seconds();
        scenes->run();
        printf("%s: %.1f s\n", scene_name, now_seconds() - begun);
    }
    folder_empty(work);
    rmdir(work);
    printf("%lu checks, %lu failed, %lu skipped\n", checks, bad, skipped);
    return bad > 0;
}
