/*
 * test_hostile.c: every case of the catalogue of malformed inputs, against the program itself.
 *
 * Each row of the tables (hostile/hostile.h) is run in a process of its own and held to the
 * contract of errors: the exit code; on stderr exactly one line of at most 300 bytes that begins
 * "tessera: ", has no control byte and says the right word; nothing on stdout and no output file;
 * within a bound of processor time and memory over those of a program that does nothing. At the end
 * every number of the catalogue must have been met. Besides: cuts and flipped bits of good files,
 * and files of 100,000 names.
 *
 * Under a sanitizer or an emulator time and memory are theirs, not the program's, and are not judged.
 */
#include <config.h>

#include "conditions.h"
#include "hostile/hostile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 300,
    WORDS_MAX = 64,
    SMALL = 1 << 20,       /* bytes of a file; the bounds of refusing it: */
    MILLISECONDS = 50,     /* of processor time, over an idle run */
    KIB = 16 << 10,        /* of memory, over an idle run */
    LARGE_MILLISECONDS = 3000,
    LARGE_KIB = 512 << 10, /* files of up to 200 MB */
    PATIENCE = 60          /* seconds until a process is killed */
};

struct suite {
    const char *title;
    const struct hostile_case *cases;
    hostile_maker *make;
    const char *file, *command;
};

static const struct suite suites[] = {
    {"GGUF", gguf_cases, make_script, "bad.gguf", "info bad.gguf"},
    {"models", model_cases, make_change, "bad.gguf", "describe -m bad.gguf --image good.png -n 1"},
    {"safetensors", safetensors_cases, make_script, "folder/model.safetensors", "convert folder -o x.gguf"},
    {"index", index_cases, make_script, "sharded/model.safetensors.index.json", "convert sharded -o x.gguf"},
    {"config", config_cases, make_script, "folder/config.json", "convert folder -o x.gguf"},
    {"numbers", number_cases, make_number, "folder/config.json", "convert folder -o x.gguf"},
    {"tokenizers", tokenizer_cases, make_script, "folder/tokenizer.json", "convert folder -o x.gguf"},
    {"PNG", png_cases, make_script, "bad.png", "describe -m model.gguf --image bad.png -n 1"},
    {"JPEG", jpeg_cases, make_jpeg, "bad.png", "describe -m model.gguf --image bad.png -n 1"},
    {"command line", flag_cases, NULL, NULL, NULL},
};

/* ---- a run of the program ---- */

struct result {
    int code; /* or 1000 + the signal */
    size_t out_bytes, err_bytes;
    char err[4096];
    double milliseconds; /* of processor time */
    long kib;
};

static const char *program_path(void)
{
    static char path[4096];
    const char *build = getenv("TSR_BUILDDIR");

    snprintf(path, sizeof path, "%s/tessera", build != NULL ? build : ".");
    return path;
}

/* Splits a command at blanks, quotes removed; @A stands for 131,072 times A... of which the kernel
 * takes at most 131,071 in one argument. */
static int split(char *text, char **words)
{
    static char many[131072];
    int count = 0;

    for (char *at = text; *at != '\0' && count < WORDS_MAX - 1;) {
        char end = *at == '\'' ? '\'' : ' ';

        if (*at == ' ') {
            at++;
            continue;
        }
        at += end == '\'';
        words[count++] = at;
        at += strcspn(at, (char[]){end, '\0'});
        if (*at != '\0')
            *at++ = '\0';
        if (strcmp(words[count - 1], "@A") == 0)
            words[count - 1] = memset(many, 'A', sizeof many - 1);
    }
    words[count] = NULL;
    return count;
}

static void redirect(int to, const char *file, int flags)
{
    int fd;

    if (strcmp(file, "closed") == 0) {
        close(to);
        return;
    }
    fd = open(file, flags, 0600);
    if (fd < 0 || dup2(fd, to) < 0)
        _exit(99);
    close(fd);
}

/* In the child: takes NAME=VALUE words, then becomes the program. */
static void become(char **words)
{
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, "stdout", O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, "stderr", O_WRONLY | O_CREAT | O_TRUNC);
    unsetenv("TESSERA_CPU");
    for (; *words != NULL && strchr(*words, '=') != NULL && **words != '-'; words++) {
        if (strncmp(*words, "stdout=", 7) == 0)
            redirect(STDOUT_FILENO, *words + 7, O_WRONLY);
        else if (strncmp(*words, "stdin=", 6) == 0)
            redirect(STDIN_FILENO, *words + 6, O_RDONLY);
        else
            putenv(*words);
    }
    words[-1] = (char *)program_path(); /* there is always room before the first */
    execv(words[-1], words - 1);
    _exit(98);
}

static void read_result(struct result *result)
{
    struct stat facts;
    FILE *file = fopen("stderr", "rb");

    cr_assert_not_null(file);
    result->err_bytes = fread(result->err, 1, sizeof result->err - 1, file);
    result->err[result->err_bytes] = '\0';
    fclose(file);
    result->out_bytes = stat("stdout", &facts) == 0 ? (size_t)facts.st_size : 0;
}

static struct result run(const char *command)
{
    struct result result = {0};
    struct rusage usage;
    char *text = strdup(command), *words[WORDS_MAX + 1];
    int state;
    pid_t child;

    split(text, words + 1);
    unlink("stdout");
    unlink("stderr");
    child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        alarm(PATIENCE);
        become(words + 1);
    }
    cr_assert(wait4(child, &state, 0, &usage) == child);
    free(text);
    result.code = WIFEXITED(state) ? WEXITSTATUS(state) : 1000 + WTERMSIG(state);
    result.milliseconds = 1e3 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                          1e-3 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    result.kib = usage.ru_maxrss;
    read_result(&result);
    return result;
}

/* ---- the contract ---- */

static struct result idle;       /* of --version */
static double slowest, largest;  /* of refusing small files, over idle */

static void check_bounds(const char *name, const struct result *r, const char *file)
{
    struct stat facts;
    const int large = file != NULL && stat(file, &facts) == 0 && facts.st_size > SMALL;
    const double milliseconds = r->milliseconds - idle.milliseconds;
    const double kib = (double)(r->kib - idle.kib);

    if (company() != NULL)
        return;
    if (!large && milliseconds > slowest)
        slowest = milliseconds;
    if (!large && kib > largest)
        largest = kib;
    cr_expect(milliseconds <= (large ? LARGE_MILLISECONDS : MILLISECONDS), "%s: %.0f ms", name, milliseconds);
    cr_expect(kib <= (large ? LARGE_KIB : KIB), "%s: %.0f KiB", name, kib);
}

static void check_line(const char *name, const struct result *r, const char *says)
{
    const size_t length = strcspn(r->err, "\n");

    cr_expect(r->out_bytes == 0, "%s: %zu bytes on stdout", name, r->out_bytes);
    cr_expect(r->err_bytes <= LINE_MAX_BYTES, "%s: a line of %zu bytes", name, r->err_bytes);
    cr_expect(length + 1 == r->err_bytes, "%s: not one line: %s", name, r->err);
    cr_expect(strncmp(r->err, "tessera: ", 9) == 0, "%s: %s", name, r->err);
    cr_expect(strstr(r->err, says) != NULL, "%s: '%s' does not say '%s'", name, r->err, says);
    for (size_t i = 0; i < length; i++)
        cr_expect((unsigned char)r->err[i] >= ' ' && r->err[i] != 0x7f, "%s: a control byte", name);
    cr_expect(strstr(r->err, "\xc2\x9b") == NULL, "%s: a control character", name);
}

static void check_case(const struct suite *suite, const struct hostile_case *row)
{
    const char *command = suite->command != NULL ? suite->command : row->make;
    struct result r;

    if (suite->make != NULL)
        suite->make(suite->file, row->make);
    r = run(command);
    for (int again = 0; again < 3 && company() == NULL && r.milliseconds - idle.milliseconds > MILLISECONDS; again++)
        r = run(command); /* a busy machine makes processor time longer, too */
    cr_expect(r.code == row->code, "%s: exit code %d, expected %d: %s", row->name, r.code, row->code, r.err);
    if (r.code != 0) {
        check_line(row->name, &r, row->says);
        /* What takes its time reads a whole script or answers first; it is bounded by alarm(). */
        if (strncmp(command, "std", 3) != 0)
            check_bounds(row->name, &r, suite->file);
        cr_expect(access("x.gguf", F_OK) != 0 && access("x.png", F_OK) != 0, "%s: an output", row->name);
    }
    unlink("x.gguf");
    unlink("x.png");
    if (suite->file != NULL)
        make_good(suite->file);
}

/* ---- the catalogue ---- */

static const struct {
    char letter;
    int last;
} catalogue[] = {{'G', 40}, {'S', 22}, {'C', 16}, {'T', 14}, {'P', 15}, {'J', 13}, {'F', 14}};

enum { CATALOGUES = sizeof catalogue / sizeof *catalogue, LAST = 40 };

/* met[letter][number]: rows run; not_met: rows that do not apply. */
static int met[CATALOGUES][LAST + 1], not_met[CATALOGUES][LAST + 1];

static void note(const struct hostile_case *row)
{
    for (const char *at = row->name; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        for (size_t i = 0; i < CATALOGUES; i++) {
            const int number = at[0] == catalogue[i].letter ? atoi(at + 1) : 0;

            if (number >= 1 && number <= catalogue[i].last)
                (row->code == DOES_NOT_APPLY ? not_met : met)[i][number]++;
        }
    }
    if (row->code == DOES_NOT_APPLY)
        printf("  %s: does not apply: %s\n", row->name, row->make);
}

static void report(int rows)
{
    printf("%d rows run; idle: %.1f ms, %ld KiB\n", rows, idle.milliseconds, idle.kib);
    if (judged("the bounds of time and memory"))
        printf("refusing up to 1 MiB over idle: at most %.1f ms, %.0f KiB\n", slowest, largest);
    for (size_t i = 0; i < CATALOGUES; i++) {
        int run_cases = 0, others = 0;

        for (int number = 1; number <= catalogue[i].last; number++) {
            run_cases += met[i][number] > 0;
            others += met[i][number] == 0 && not_met[i][number] > 0;
            cr_expect(met[i][number] + not_met[i][number] > 0, "%c%02d has no row", catalogue[i].letter,
                      number);
        }
        printf("  %c: %d of %d cases run, %d do not apply\n", catalogue[i].letter, run_cases,
               catalogue[i].last, others);
    }
}

static char *work;

static void enter(void)
{
    work = folder_make();
    cr_assert(chdir(work) == 0);
    make_work(program_path());
    idle = run("--version");
}

static void leave(void)
{
    cr_assert(chdir("/") == 0);
    folder_remove(work);
}

Test(hostile, every_case, .init = enter, .fini = leave, .timeout = 1200)
{
    int rows = 0;

    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        for (const struct hostile_case *row = suites[i].cases; row->name != NULL; row++) {
            note(row);
            if (row->code == DOES_NOT_APPLY)
                continue;
            check_case(&suites[i], row);
            rows++;
        }
    }
    report(rows);
}
