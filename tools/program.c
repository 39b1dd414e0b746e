/*
 * program.c: errors, interruption and what else every subcommand needs.
 *
 * Everything that goes wrong ends in one line on stderr and an exit code of enum tsr_status. Signal handlers
 * do only what is allowed in one: set a flag, call tsr_cancel (an atomic store), write, _exit.
 */
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
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

double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- interruption: the state that signal handlers share with the program ----------------------------- */

static volatile sig_atomic_t interrupted;
static tsr_context *volatile running;
static const char *volatile guarded;
static volatile size_t guarded_bytes;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    if (running != NULL)
        tsr_cancel(running);
}

static void on_bus_error(int number, siginfo_t *info, void *unused)
{
    static const char line[] = "tessera: the model file was cut or changed while in use: restore it and "
                               "run again, or load a copy with --load read\n";
    const char *const at = info->si_addr;

    (void)unused;
    if (guarded != NULL && at >= guarded && at < guarded + guarded_bytes) {
        if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
            _exit(TSR_IO);
        _exit(TSR_IO);
    }
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

void program_cancels(tsr_context *context)
{
    running = context;
    if (interrupted && context != NULL)
        tsr_cancel(context);
}

int program_interrupted(void)
{
    return interrupted;
}

void program_guards(const tsr_gguf *file)
{
    const void *base = NULL;
    size_t bytes = 0;

    guarded = NULL;
    if (file == NULL)
        return;
    tsr_gguf_range(file, &base, &bytes);
    guarded_bytes = bytes;
    guarded = base;
}

/* ---- choices that several subcommands read ------------------------------------------------------------- */

int program_tiers(const struct options *options, uint32_t *tiers)
{
    const char *const variable = getenv("TESSERA_CPU");
    const char *const text = options->tiers != NULL ? options->tiers : variable;
    struct tsr_error error;

    if (tsr_tiers_parse(tiers, text, tsr_cpu_tiers(), &error) != TSR_OK)
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

int program_pool(const struct options *options, tsr_pool **pool)
{
    const struct tsr_pool_options wanted = {.threads = (unsigned)options->threads,
                                            .pin = options->pin};
    struct tsr_error error;

    if (tsr_pool_new(pool, &wanted, &error) != TSR_OK)
        return program_fail(&error);
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

enum { BAR_WIDTH = 30 };

void progress_start(struct progress *progress, const struct options *options, const char *what,
                    const char *unit)
{
    *progress = (struct progress){.what = what,
                                  .unit = unit,
                                  .start = seconds_now(),
                                  .enabled = !options->quiet && isatty(STDERR_FILENO)};
}

void progress_show(struct progress *progress, double done, double total)
{
    const double now = seconds_now(), passed = now - progress->start;
    const double rate = passed > 0 ? done / passed : 0;
    const double left = rate > 0 ? (total - done) / rate : 0;
    char bar[BAR_WIDTH + 1];
    int filled;

    /* Nothing for what is over within two seconds; then ten times a second. */
    if (!progress->enabled || passed < 0.5 || now - progress->shown < 0.1 ||
        (!progress->visible && passed + left < 2))
        return;
    filled = total > 0 ? (int)(BAR_WIDTH * done / total) : 0;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '=', (size_t)(filled < BAR_WIDTH ? filled : BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %.0f/%.0f  %.1f %s/s  %d:%02d left \033[K", progress->what, bar, done,
            total, rate, progress->unit, (int)left / 60, (int)left % 60);
    fflush(stderr);
    progress->shown = now;
    progress->visible = 1;
}

void progress_end(struct progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
    progress->visible = progress->enabled = 0;
}
