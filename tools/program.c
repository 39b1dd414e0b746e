/*
 * program.c: errors, interruption and what else every subcommand needs.
 *
 * Everything that goes wrong ends in one line on stderr and an exit code of enum tsr_status. Signal handlers
 * do only what is allowed in one: set a flag, call tsr_cancel (an atomic store), write, _exit.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 300 };

int program_error(int code, const char *format, ...)
{
    char line[LINE_BYTES - 10]; /* "tessera: " and the newline */
    va_list list;

    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    for (char *at = line; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
        if ((unsigned char)*at == 0xc2 && (unsigned char)at[1] < 0xa0 && at[1] != '\0')
            at[0] = at[1] = '?'; /* U+0080 to U+009F: terminals obey them, too */
    }
    fprintf(stderr, "tessera: %s\n", line);
    return code;
}

int program_fail(const struct tsr_error *error)
{
    return program_error((int)error->status, "%s", error->message);
}

int program_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return program_error(TSR_IO, "write error on standard output: %s", strerror(errno));
    return 0;
}

void program_descriptors(void)
{
    /* Opened the wrong way round, so that what is read or written there is still an error. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(TSR_IO);
}

/* ---- where a result goes -------------------------------------------------------------------------------- */

static int is_file(const struct stat *target, const char *path)
{
    struct stat other;

    return path != NULL && stat(path, &other) == 0 && other.st_dev == target->st_dev &&
           other.st_ino == target->st_ino;
}

int program_target(const char *path, const struct options *options)
{
    const char *const slash = strrchr(path, '/');
    const size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    char *const folder = length > 0 ? strndup(path, length) : strdup(".");
    struct stat target, source, parent;
    int code = 0, reads;

    if (folder == NULL)
        return program_error(TSR_MEMORY, "out of memory");
    if (access(folder, W_OK | X_OK) != 0 || stat(folder, &parent) != 0)
        code = program_error(TSR_IO, "%.200s: cannot write there: %s", path, strerror(errno));
    free(folder);
    if (code != 0 || stat(path, &target) != 0)
        return code;
    reads = is_file(&target, options->model);
    for (size_t i = 0; i < options->images.count; i++)
        reads |= is_file(&target, options->images.items[i]);
    if (options->argument_count > 0) {
        const char *const from = options->arguments[0], *const dot = strrchr(path, '.');

        reads |= is_file(&target, from) ||
                 (stat(from, &source) == 0 && source.st_dev == parent.st_dev &&
                  source.st_ino == parent.st_ino && (dot == NULL || strcmp(dot, ".gguf") != 0));
    }
    return reads ? program_error(TSR_USAGE, "-o %.200s: this file is read by the job; name another", path)
                 : 0;
}

double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- interruption: the state that signal handlers share with the program ----------------------------- */

static volatile sig_atomic_t interrupted, undoes;
static tsr_context *volatile running;

/* Threads may come here together: the first one speaks. */
static void say_and_exit(const char *line, size_t bytes, int code)
{
    static atomic_flag spoken = ATOMIC_FLAG_INIT;

    while (atomic_flag_test_and_set(&spoken))
        pause();
    if (write(STDERR_FILENO, line, bytes) < 0)
        _exit(code);
    _exit(code);
}

static void say_interrupted(void)
{
    static const char line[] = "tessera: interrupted\n";

    say_and_exit(line, sizeof line - 1, TSR_INTERRUPTED);
}

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    if (!undoes)
        say_interrupted();
    if (running != NULL)
        tsr_cancel(running);
}

/* BUS_ADRERR: an address whose file has no such byte any more. Only models are mapped. */
static void on_bus_error(int number, siginfo_t *info, void *unused)
{
    static const char line[] = "tessera: the model file was cut while in use: restore it and run again, or "
                               "load a copy with --load read\n";

    (void)unused;
    if (info->si_code == BUS_ADRERR)
        say_and_exit(line, sizeof line - 1, TSR_IO);
    signal(number, SIG_DFL);
    raise(number);
}

void program_catch(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
}

void program_undoes(int on)
{
    undoes = on;
    if (!on && interrupted)
        say_interrupted();
}

void program_cancels(tsr_context *context)
{
    running = context;
    undoes = context != NULL;
    if (interrupted && context != NULL)
        tsr_cancel(context);
}

int program_interrupted(void)
{
    return interrupted;
}

/* ---- choices that several subcommands read ------------------------------------------------------------- */

int program_tiers(const struct options *options, uint32_t *tiers)
{
    const char *const variable = getenv("TESSERA_CPU");
    const char *const text = options->tiers != NULL ? options->tiers : variable;
    uint32_t able = tsr_cpu_tiers();
    struct tsr_error error;

    if (options->math != NULL && strcmp(options->math, "exact") != 0) {
        if (strcmp(options->math, "fast") != 0)
            return program_error(TSR_USAGE, "--math %.40s: must be exact or fast", options->math);
        able |= tsr_cpu_fast_tiers();
    }
    if (tsr_tiers_parse(tiers, text, able, &error) != TSR_OK)
        return program_fail(&error);
    return 0;
}

int program_load(const struct options *options, enum tsr_load *load)
{
    static const char *const names[] = {"map", "read", "huge"};

    *load = TSR_LOAD_MAP;
    for (int i = 0; options->load != NULL; i++) {
        if (i == 3)
            return program_error(TSR_USAGE, "--load %.40s: must be map, read or huge",
                                 options->load);
        *load = (enum tsr_load)i;
        if (strcmp(options->load, names[i]) == 0)
            break;
    }
    return 0;
}

static int verify(const tsr_gguf *file, const struct options *options)
{
    const size_t parts = tsr_gguf_tensor_count(file) + 2;
    struct progress progress;
    struct tsr_error error;
    tsr_status status = TSR_OK;
    const void *base;
    size_t total, done = 0;

    tsr_gguf_range(file, &base, &total);
    progress_start(&progress, options, "verify", "MB");
    for (size_t i = 0; i < parts && status == TSR_OK && !interrupted; i++) {
        status = tsr_gguf_verify_part(file, i, &error);
        done += i > 0 && i + 1 < parts ? tsr_gguf_tensor_at(file, i - 1)->bytes : 0;
        progress_show(&progress, (double)done / 1e6, (double)total / 1e6);
    }
    progress_end(&progress);
    return status == TSR_OK ? 0 : program_fail(&error);
}

/* Of a model that is read into memory; stops it after an interruption. */
static int show_load(void *data, size_t done, size_t total)
{
    progress_show(data, (double)done / 1e6, (double)total / 1e6);
    return interrupted;
}

int program_model(tsr_model **model, const char *path, const struct options *options)
{
    struct progress progress;
    struct tsr_load_options how = {.progress = show_load, .data = &progress};
    struct tsr_error error;
    tsr_status status;
    int code = program_load(options, &how.load);

    *model = NULL;
    if (code != 0)
        return code;
    program_undoes(1); /* of it only the bar: it is taken away before the program ends */
    progress_start(&progress, options, "load", "MB");
    status = tsr_model_open(model, path, &how, &error);
    progress_end(&progress);
    if (status == TSR_OK && options->verify)
        code = verify(tsr_model_file(*model), options);
    program_undoes(0);
    return status == TSR_OK ? code : program_fail(&error);
}

int program_pool(const struct options *options, tsr_pool **pool)
{
    const struct tsr_pool_options wanted = {.threads = (unsigned)options->threads,
                                            .pin = options->pin,
                                            .numa = options->numa};
    struct tsr_error error;

    if (tsr_pool_new(pool, &wanted, &error) != TSR_OK)
        return program_fail(&error);
    if (tsr_pool_numa(*pool) != 0) /* the work is right all the same */
        program_error(0, "--numa %.40s: the system refuses (%s): memory lies where it is first touched", options->numa,
                      strerror(tsr_pool_numa(*pool)));
    return 0;
}

int pictures_read(struct tsr_picture *pictures, const struct texts *paths)
{
    struct tsr_error error;

    for (size_t i = 0; i < paths->count; i++) {
        if (tsr_picture_read(&pictures[i], paths->items[i], &error) != TSR_OK) {
            pictures_free(pictures, i);
            return program_fail(&error);
        }
    }
    return 0;
}

void pictures_free(struct tsr_picture *pictures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tsr_picture_free(&pictures[i]);
}

void program_trim_first(struct tsr_event *event)
{
    if (event->bytes > 0 && event->text[0] == ' ') {
        event->text++;
        event->bytes--;
    }
}

/* ---- progress --------------------------------------------------------------------------------------------- */

enum { BAR_WIDTH = 30, BAR_LEAST = 8, SHOWN_BYTES = 128 };

struct winsize terminal_size(void)
{
    struct winsize size = {0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

int terminal_obeys(void)
{
    const char *const kind = getenv("TERM");

    return isatty(STDERR_FILENO) && (kind == NULL || strcmp(kind, "dumb") != 0);
}

void progress_start(struct progress *progress, const struct options *options, const char *what,
                    const char *unit)
{
    *progress = (struct progress){.what = what,
                                  .unit = unit,
                                  .start = seconds_now(),
                                  .enabled = !options->quiet && terminal_obeys()};
}

void progress_show(struct progress *progress, double done, double total)
{
    const double now = seconds_now(), passed = now - progress->start;
    const double rate = passed > 0 ? done / passed : 0;
    const double left = rate > 0 ? fmin((total - done) / rate, 359999) : 0;
    static const char full[] = "==============================", none[] = "                              ";
    char tail[SHOWN_BYTES], line[2 * SHOWN_BYTES];
    int columns, bar, filled;

    /* Nothing for what is over within two seconds; then ten times a second. */
    if (!progress->enabled || passed < 0.5 || now - progress->shown < 0.1 ||
        (!progress->visible && passed + left < 2))
        return;
    snprintf(tail, sizeof tail, " %.0f/%.0f  %.1f %s/s  %d:%02d left", done, total, rate, progress->unit,
             (int)left / 60, (int)left % 60);
    /* A line that is wrapped cannot be taken back: the bar gives way, then the line is cut. One column stays
     * free for the cursor, two for the ^C that the terminal may add. */
    columns = (int)terminal_size().ws_col - 3;
    columns = columns > 1 ? columns : 1;
    bar = columns - (int)(strlen(progress->what) + strlen(tail) + strlen(" []"));
    bar = bar < BAR_WIDTH ? bar : BAR_WIDTH;
    filled = total > 0 && done < total ? (int)(bar * done / total) : bar;
    if (bar < BAR_LEAST)
        snprintf(line, sizeof line, "%s%s", progress->what, tail);
    else
        snprintf(line, sizeof line, "%s [%.*s%.*s]%s", progress->what, filled, full, bar - filled, none, tail);
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
    progress->shown = now;
    progress->visible = 1;
}

void progress_hide(struct progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
    progress->visible = 0;
}

void progress_end(struct progress *progress)
{
    progress_hide(progress);
    progress->enabled = 0;
}
