/*
 * test_terminal.c: the program on a terminal: the progress bar, `draw --preview`, Ctrl-C, chat's prompt; and
 * that nobody else gets an escape sequence.
 *
 * Each case runs the program on a pseudo-terminal of a given size and feeds what it writes to a small screen:
 * printable characters, CR, LF, erase to the end of the line, cursor up, colours; anything else is an error.
 * The screen counts wrapped lines and cursor movements beyond its top, because on a real terminal either
 * leaves rubbish behind; so does the terminal's own ^C where a bar leaves no room for it. Jobs are made long by
 * the tier `ref`, one thread and many pictures, and are ended by Ctrl-C as soon as the case has seen what it waits
 * for, so no case depends on how fast the machine is.
 *
 * A plain program: no Criterion, no Python; forkpty is in glibc.
 */
#include "conditions.h"

#include <dirent.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COLUMNS_MAX = 100, ROWS_MAX = 60, PATIENCE = 120 /* seconds, for emulators */, PATH_BYTES = 4096 };

struct screen {
    int columns, rows, x, y;
    char cell[ROWS_MAX][COLUMNS_MAX + 1];
    char escape[32]; /* the sequence being read */
    unsigned wraps, beyond, unknown, escapes, colours, blocks;
};

struct run {
    struct screen screen;
    const char *await; /* Ctrl-C once this is on the screen */
    const char *type;  /* typed then instead of Ctrl-C */
    double after;      /* Ctrl-C after so many seconds; neither: wait for the end */
    int seen;          /* it was */
    double seen_at, seconds;
    int code;
};

static char program[PATH_BYTES], model[PATH_BYTES], picture[PATH_BYTES], output[PATH_BYTES + 32], shim[PATH_BYTES];
static char folder[] = "/tmp/tessera-terminal.XXXXXX";
static const char *name; /* of the case */
static const char *pictures = "64"; /* of a long job */
static unsigned checks, bad;

static void check(int holds, const char *what)
{
    checks++;
    if (holds)
        return;
    bad++;
    printf("FAIL: %s: %s\n", name, what);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the screen ---- */

static void clear_line(struct screen *s, int y, int from)
{
    memset(s->cell[y] + from, ' ', (size_t)(s->columns - from));
    s->cell[y][s->columns] = '\0';
}

static void new_line(struct screen *s)
{
    if (++s->y < s->rows)
        return;
    s->y = s->rows - 1;
    memmove(s->cell[0], s->cell[1], sizeof s->cell[0] * (size_t)(s->rows - 1));
    clear_line(s, s->y, 0);
}

static void put(struct screen *s, char byte)
{
    if (s->x == s->columns) {
        s->wraps++;
        s->x = 0;
        new_line(s);
    }
    s->cell[s->y][s->x++] = byte;
}

static void obey_escape(struct screen *s, char last)
{
    const int count = atoi(s->escape + 2);

    s->escapes++;
    if (last == 'K' && s->escape[2] == 'K') {
        if (s->x < s->columns)
            clear_line(s, s->y, s->x);
    } else if (last == 'A' && count > 0) {
        s->beyond += count > s->y;
        s->y = count > s->y ? 0 : s->y - count;
    } else if (last == 'm') {
        s->colours++;
    } else {
        s->unknown++;
    }
}

static void feed(struct screen *s, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)text[i];
        const size_t length = strlen(s->escape);

        if (length > 0 || byte == 033) {
            s->escape[length] = text[i];
            s->escape[length + 1] = '\0';
            if (length >= 2 && byte >= '@') {
                obey_escape(s, text[i]);
                s->escape[0] = '\0';
            } else if (length > 28 || (length == 1 && byte != '[')) {
                s->unknown++;
                s->escape[0] = '\0';
            }
        } else if (byte == '\r') {
            s->x = 0;
        } else if (byte == '\n') {
            new_line(s);
        } else if (byte == 0xe2) { /* the half block: one place, three bytes */
            s->blocks++;
            put(s, '@');
        } else if (byte >= ' ' && byte < 0x7f) {
            put(s, text[i]);
        } else if (byte < ' ') {
            s->unknown++;
        }
    }
}

static int on_screen(const struct screen *s, const char *text)
{
    for (int y = 0; y < s->rows; y++)
        if (strstr(s->cell[y], text) != NULL)
            return 1;
    return 0;
}

/* ---- a run ---- */

/* Ctrl-C, or what is to be typed; without a terminal the signal. */
static void answer(struct run *run, int input, pid_t child)
{
    const char *const type = run->type != NULL ? run->type : "\003";

    run->seen = 1;
    if (input < 0)
        kill(child, SIGINT);
    else if (write(input, type, strlen(type)) < 0)
        check(0, "cannot type");
}

/* Reads until the end of the program; what it waits for is answered once. */
static void watch(struct run *run, int fd, int input, pid_t child)
{
    const double start = seconds();
    char text[4096];

    for (;;) {
        struct pollfd ready = {fd, POLLIN, 0};
        const int some = poll(&ready, 1, 100);
        const ssize_t got = some > 0 ? read(fd, text, sizeof text) : 0;

        if (some > 0 && got <= 0)
            break;
        feed(&run->screen, text, (size_t)got);
        run->seconds = seconds() - start;
        if (run->seconds > PATIENCE) {
            check(0, "no end");
            kill(child, SIGKILL);
            break;
        }
        if (!run->seen && ((run->await != NULL && on_screen(&run->screen, run->await)) ||
                           (run->after > 0 && run->seconds > run->after))) {
            run->seen_at = run->seconds;
            answer(run, input, child);
        }
    }
}

static void collect(struct run *run, pid_t child)
{
    int status = 0;

    waitpid(child, &status, 0);
    run->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void start_screen(struct run *run, int columns, int rows)
{
    run->screen.columns = columns;
    run->screen.rows = rows;
    for (int y = 0; y < rows; y++)
        clear_line(&run->screen, y, 0);
}

/* Runs the program on a terminal of columns x rows. */
static void on_terminal(struct run *run, int columns, int rows, const char *const *arguments)
{
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    int fd;
    pid_t child;

    start_screen(run, columns ? columns : 80, rows ? rows : 24);
    child = forkpty(&fd, NULL, NULL, &size);
    if (child == 0) {
        execv(program, (char **)(void *)arguments);
        _exit(127);
    }
    watch(run, fd, fd, child);
    close(fd);
    collect(run, child);
}

/* The same with stdout and stderr on a pipe. */
static void on_pipe(struct run *run, const char *const *arguments)
{
    int ends[2];
    pid_t child;

    start_screen(run, COLUMNS_MAX, ROWS_MAX);
    if (pipe(ends) != 0)
        exit(99);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(program, (char **)(void *)arguments);
        _exit(127);
    }
    close(ends[1]);
    watch(run, ends[0], -1, child);
    close(ends[0]);
    collect(run, child);
}

static unsigned files_left(void)
{
    DIR *const open = opendir(folder);
    const struct dirent *entry;
    char path[PATH_BYTES];
    unsigned count = 0;

    while (open != NULL && (entry = readdir(open)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (open != NULL)
        closedir(open);
    return count;
}

/* ---- the cases ---- */

#define LONG_JOB "-m", model, "-p", "a red circle", "--cpu-isa", "ref", "-t", "1", "--count", pictures

/* The bar comes, fits its line, and Ctrl-C takes it away again with everything else. */
static void bar(int columns)
{
    const char *const arguments[] = {program, "draw", LONG_JOB, "-o", output, NULL};
    struct run run = {.await = columns >= 60 || columns == 0 ? " left" : "draw"};

    on_terminal(&run, columns, 24, arguments);
    check(run.seen, "no bar");
    check(run.seen_at >= 0.5, "a bar before half a second");
    check(run.code == 130, "the exit code of Ctrl-C");
    check(run.screen.wraps == 0 || (columns > 0 && columns < 40), "a line was wrapped"); /* the error's own line may be */
    check(!on_screen(&run.screen, "/s") && !on_screen(&run.screen, "draw"), "the bar was left behind");
    check(on_screen(&run.screen, "tessera:"), "no line that says why it ended");
    check(run.screen.unknown == 0 && run.screen.colours == 0, "an escape that the bar does not need");
    check(files_left() == 0, "files left behind");
}

static void bars(void)
{
    static const int widths[] = {80, 0, 40, 20, 8};

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        char title[32];

        snprintf(title, sizeof title, "bar, %d columns", widths[i]);
        name = title;
        bar(widths[i]);
    }
}

/* Rate and time left are shown where there is room. */
static void bar_text(void)
{
    const char *const arguments[] = {program, "draw", LONG_JOB, "-o", output, NULL};
    struct run full = {.await = "codes/s  "}, done = {.await = "draw ["};

    name = "the bar's text";
    on_terminal(&full, 80, 24, arguments);
    check(full.seen, "no rate");
    on_terminal(&done, 80, 24, arguments);
    check(done.seen, "no bar at 80 columns");
    files_left();
}

/* A model that is read from a slow disk, as if: a bar, too, and Ctrl-C takes it away. */
static void slow_load(void)
{
    const char *const arguments[] = {program,  "describe", "-m",   model, "--image",
                                     picture, "--load",   "read", NULL};
    const char *const version[] = {program, "--version", NULL};
    struct run able = {0}, whole = {0}, cut = {.await = " left"};

    name = "a slow load";
    setenv("LD_PRELOAD", shim, 1);
    setenv("TSR_IO_PATH", model, 1);
    setenv("TSR_IO_READS", "1", 1);
    setenv("TSR_IO_AT", "1", 1);
    setenv("TSR_IO_FROM", "1", 1);
    setenv("TSR_IO_DO", "delay", 1);
    on_pipe(&able, version);
    if (access(shim, R_OK) != 0 || able.code != 0) { /* a sanitizer comes first, or an emulator */
        printf("skipped: %s: LD_PRELOAD cannot be used here\n", name);
    } else {
        on_terminal(&cut, 80, 24, arguments);
        check(cut.seen, "no bar");
        check(cut.code == 130, "the exit code of Ctrl-C");
        check(on_screen(&cut.screen, "tessera: interrupted"), "no line that says why it ended");
        check(!on_screen(&cut.screen, "/s") && !on_screen(&cut.screen, "load"), "the bar was left behind");
        on_terminal(&whole, 80, 24, arguments);
        check(whole.code == 0 && on_screen(&whole.screen, "background."), "no answer");
        check(whole.screen.escapes > 0 && !on_screen(&whole.screen, "load"), "the bar was left behind");
    }
    unsetenv("LD_PRELOAD");
}

/* Over within two seconds: nothing but the answer. */
static void brief_job(void)
{
    const char *const arguments[] = {program, "describe", "-m", model, "--image", picture, NULL};
    struct run run = {0};

    name = "brief job";
    on_terminal(&run, 80, 24, arguments);
    check(run.code == 0 && on_screen(&run.screen, "background."), "no answer");
    check(run.screen.escapes == 0 || run.seconds > 2, "an escape sequence");
}

/* Quiet, on a terminal that does not obey, or on none: a long job without any. */
static void silence(void)
{
    const char *const quiet[] = {program, "draw", LONG_JOB, "-q", "-o", output, NULL};
    const char *const plain[] = {program, "draw", LONG_JOB, "-o", output, NULL};
    const char *const preview[] = {program, "draw", LONG_JOB, "-o", output, "--preview", NULL};
    struct run runs[3] = {{.after = 3}, {.after = 3}, {.after = 3}}, refused = {0};

    name = "quiet, dumb, pipe";
    on_terminal(&runs[0], 80, 24, quiet);
    setenv("TERM", "dumb", 1);
    on_terminal(&runs[1], 80, 24, plain);
    setenv("TERM", "xterm", 1);
    on_pipe(&runs[2], plain);
    for (size_t i = 0; i < 3; i++) {
        check(runs[i].screen.escapes == 0, "an escape sequence");
        check(runs[i].code == 130, "the exit code of an interruption");
    }
    on_pipe(&refused, preview);
    check(refused.code == 2 && refused.screen.escapes == 0, "--preview without a terminal");
    check(files_left() == 0, "files left behind");
}

/* The picture grows in its place, with the bar below it, and stays; the path stands under it. */
static void preview(int columns, int rows, const char *no_color)
{
    const char *const arguments[] = {program, "draw", "-m", model, "-p", "a red circle", "-o", output,
                                     "--preview", NULL};
    const char *const many[] = {program, "draw", LONG_JOB, "-o", output, "--preview", NULL};
    struct run run = {0}, cut = {.await = columns >= 60 ? " left" : "draw"};
    char title[48];

    snprintf(title, sizeof title, "preview, %d x %d%s", columns, rows, no_color);
    name = title;
    setenv("NO_COLOR", no_color, 1);
    on_terminal(&run, columns, rows, arguments);
    check(run.code == 0, "exit code");
    check(run.screen.wraps == 0 || (int)strlen(output) > columns, "a line was wrapped");
    check(run.screen.beyond == 0, "the picture is larger than the screen");
    check(run.screen.unknown == 0, "an escape sequence that it does not need");
    check((run.screen.colours > 0) == (*no_color == '\0'), "colours although NO_COLOR, or none");
    check((run.screen.blocks > 0) == (*no_color == '\0'), "half blocks without colours, or none");
    check(files_left() == 1, "no picture");
    on_terminal(&cut, columns, rows, many);
    check(cut.seen && cut.code == 130, "Ctrl-C during a preview");
    check(cut.screen.beyond == 0, "the picture is larger than the screen");
    check(!on_screen(&cut.screen, "codes"), "the bar was left behind");
    check(files_left() == 0, "files left behind");
    unsetenv("NO_COLOR");
}

/* At the prompt Ctrl-C ends with its code, the end of input with 0. */
static void prompt(void)
{
    const char *const arguments[] = {program, "chat", "-m", model, NULL};
    const unsigned times = repeats("interruptions of the prompt", 20, 5);
    struct run end = {.await = "> ", .type = "\004"}, quit = {.await = "> ", .type = "/quit\n"};

    name = "chat's prompt";
    for (unsigned i = 0; i < times; i++) { /* it may come before the program reads, or while it does */
        struct run cut = {.await = "> "};

        on_terminal(&cut, 80, 24, arguments);
        check(cut.seen && cut.code == 130, "Ctrl-C");
    }
    on_terminal(&end, 80, 24, arguments);
    check(end.seen && end.code == 0, "the end of input");
    on_terminal(&quit, 80, 24, arguments);
    check(quit.seen && quit.code == 0, "/quit");
}

/* libtool's script in the build folder is run by a shell, which cannot load the shim if it is of another
 * architecture than the program. The program itself lies in .libs beside its library. */
static void find_program(const char *built)
{
    char libraries[PATH_BYTES];

    snprintf(libraries, sizeof libraries, "%s/.libs", built);
    snprintf(program, sizeof program, "%s/.libs/tessera", built);
    if (access(program, X_OK) == 0)
        setenv("LD_LIBRARY_PATH", libraries, 1);
    else
        snprintf(program, sizeof program, "%s/tessera", built);
}

int main(void)
{
    const char *const built = getenv("TSR_BUILDDIR"), *const source = getenv("TSR_SRCDIR");

    if (built == NULL || source == NULL || mkdtemp(folder) == NULL)
        return 99;
    find_program(built);
    snprintf(model, sizeof model, "%s/model/mini/mini-janus-Q8_0.gguf", source);
    snprintf(picture, sizeof picture, "%s/model/mini/example.png", source);
    snprintf(output, sizeof output, "%s/a.png", folder);
    snprintf(shim, sizeof shim, "%s/tests/survive/.libs/io_shim.so", built);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    if (emulated()) { /* where they take longer than 64 elsewhere */
        pictures = "8";
        printf("under an emulator: long jobs of 8 pictures in place of 64\n");
    }
    bars();
    bar_text();
    slow_load();
    brief_job();
    silence();
    preview(80, 24, "");
    preview(80, 24, "1");
    preview(30, 12, "");
    prompt();
    rmdir(folder);
    printf("%u checks, %u failed\n", checks, bad);
    return bad != 0;
}
