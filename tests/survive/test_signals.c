/*
 * test_signals.c: what happens around the program while it runs: interruptions, readers that go
 * away, a locale with another decimal point, a core that is taken away, a model file that is cut, a
 * CPU that is too old.
 *
 * Jobs are first run undisturbed; then the disturbance comes at random moments of that time. A job
 * may have ended before it: then it must have ended well.
 */
#include "drive.h"

#include "../conditions.h"
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- jobs ------------------------------------------------------------------------------------ */

/* A command and the file it writes, if any. Names of files hold until the test ends. */
struct job {
    const char *arguments[ARGS_MAX];
    const char *input, *target;
    double seconds; /* of the undisturbed run */
    struct outcome right;
};

static char model_copy[300], folder[300], target[320], script[300];

enum { JOBS_MAX = 8 };

/* All commands that run for a while, on the model at `model`. */
static size_t make_jobs(struct job *jobs, const char *model)
{
    const struct job list[JOBS_MAX] = {
        {{"describe", "-m", model, "--image", tiny_picture(), "-n", "300", "--temp", "1", "-t",
          "2"},
         NULL,
         NULL,
         0,
         {0}},
        {{"draw", "-m", model, "-p", "a ring", "--count", "4", "-t", "2", "-o", target},
         NULL,
         target,
         0,
         {0}},
        {{"chat", "-m", model, "-n", "60", "--temp", "1"}, script, NULL, 0, {0}},
        {{"info", model, "--verify", "-v"}, NULL, NULL, 0, {0}},
        {{"convert", model, "-o", target, "--type", "q4_0"}, NULL, target, 0, {0}},
    };
    size_t count = 0;

    for (; list[count].arguments[0] != NULL; count++)
        jobs[count] = list[count];
    return count;
}

/* The model of the jobs: large enough to be disturbed; under an emulator the tiny one takes as long. */
static const char *original(void)
{
    return emulated() ? tiny_model() : fixture("model/mini/mini-janus-F16.gguf");
}

static void set_up(void)
{
    FILE *file;

    if (model_copy[0] != '\0')
        return;
    snprintf(folder, sizeof folder, "%s", in_work("out"));
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(model_copy, sizeof model_copy, "%s", in_work("model.gguf"));
    snprintf(script, sizeof script, "%s", in_work("script"));
    mkdir(folder, 0700);
    if (emulated())
        figure("under an emulator: jobs on the tiny model in place of the shipped one, 4 turns of a chat in place of 8");
    file_copy(original(), model_copy);
    file = fopen(script, "w");
    for (int i = 0; i < (emulated() ? 4 : 8); i++) /* at most 100 of 1,024 positions each; of 512 */
        fprintf(file, "/image %s\nWhat is this? Is there a ring?\n", tiny_picture());
    fclose(file);
}

static struct running start_job(const struct job *job)
{
    const struct start how = {.input = job->input};

    return program_start(&how, job->arguments);
}

/* Names of the files that jobs write, with what an undisturbed run put there. */
static const char *const outputs[] = {"target", "target-1", "target-2", "target-3", "target-4"};
enum { OUTPUTS = sizeof outputs / sizeof *outputs };

static void run_undisturbed(struct job *job)
{
    struct running r = start_job(job);

    program_wait(&r, &job->right);
    job->seconds = job->right.seconds;
    CHECK(job->right.code == 0, "%s: %s", job->arguments[0], job->right.err);
    for (size_t i = 0; i < OUTPUTS; i++)
        if (file_exists(in_work("out/%s", outputs[i])))
            file_copy(in_work("out/%s", outputs[i]), in_work("right-%s", outputs[i]));
    folder_empty(folder);
}

/* Whether what a job left is whole: all of it, or some of several pictures, and nothing else. */
static int leaves_whole_files(void)
{
    size_t whole = 0;

    for (size_t i = 0; i < OUTPUTS; i++)
        whole +=
            (size_t)files_equal(in_work("out/%s", outputs[i]), in_work("right-%s", outputs[i]));
    return files_in(folder, "") == whole;
}

static double random_moment(const struct job *job)
{
    return job->seconds * random_below(10000) / 10000;
}

/* ---- SIGINT and SIGTERM ---------------------------------------------------------------------- */

/*
 * Until the program catches SIGINT: before its first lines, a signal ends any process. An emulator catches all signals
 * itself; there the program is beyond those lines when it has opened its model.
 */
static void wait_for_handler(pid_t pid)
{
    char path[40], line[PATH_MAX + 100];
    int begun = 0;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, emulated() ? "maps" : "status");
    for (int tries = 0; tries < 10000 && !begun; tries++) {
        FILE *const file = fopen(path, "re");

        while (file != NULL && fgets(line, sizeof line, file) != NULL)
            if (emulated())
                begun = begun || strstr(line, model_copy) != NULL;
            else if (strncmp(line, "SigCgt:", 7) == 0)
                begun = (int)(strtoull(line + 7, NULL, 16) >> (SIGINT - 1) & 1);
        if (file != NULL)
            fclose(file);
        wait_seconds(0.0001);
    }
}

static void interrupt(struct job *job, int number, double *slowest, unsigned *caught)
{
    struct outcome o;
    struct running r = start_job(job);

    wait_for_handler(r.pid);
    wait_seconds(random_moment(job));
    const double sent = now_seconds();
    kill(r.pid, number);
    program_wait(&r, &o);
    const double took = now_seconds() - sent;

    *caught += o.code == 130;
    *slowest = o.code == 130 && took > *slowest ? took : *slowest;
    CHECK((o.code == 130 && o.err_bytes > 0 ? one_line(&o, 130) : o.code == 0 || o.code == 130),
          "%s: signal %d: code %d: %s", job->arguments[0], number, o.code, o.err);
    CHECK(leaves_whole_files(), "%s: signal %d leaves a part of a file", job->arguments[0], number);
    CHECK(took <= 0.25 || company() != NULL, "%s: signal %d: took %.0f ms", job->arguments[0],
          number, 1e3 * took);
    folder_empty(folder);
}

static void interruptions(void)
{
    struct job jobs[JOBS_MAX];
    size_t count;
    const unsigned n = cases(8, 100);

    set_up();
    count = make_jobs(jobs, model_copy);
    for (size_t i = 0; i < count; i++) {
        double slowest = 0;
        unsigned caught = 0;

        run_undisturbed(&jobs[i]);
        for (unsigned j = 0; j < n; j++)
            interrupt(&jobs[i], j % 4 == 3 ? SIGTERM : SIGINT, &slowest, &caught);
        figure("%s (%.0f ms): %u signals at random moments, %u ended it, at most %.0f ms later",
               jobs[i].arguments[0], 1e3 * jobs[i].seconds, n, caught, 1e3 * slowest);
    }
    if (company() != NULL)
        skip("how soon a signal ends a job is not judged under %s", company());
}

/* ---- nobody reads ---------------------------------------------------------------------------- */

static int close_reader(void *data)
{
    int ends[2];

    (void)data;
    if (pipe(ends) != 0)
        return -1;
    close(ends[0]);
    return dup2(ends[1], STDOUT_FILENO) < 0;
}

static int full_device(void *data)
{
    const int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)data;
    return fd < 0 || dup2(fd, STDOUT_FILENO) < 0;
}

static void readers(void)
{
    static int (*const ends[])(void *) = {close_reader, full_device};
    const char *const commands[][10] = {
        {"describe", "-m", model_copy, "--image", tiny_picture()},
        {"draw", "-m", model_copy, "-p", "a ring", "-o", target},
        {"info", model_copy, "--json"},
        {"info", "--kernels"},
        {"chat", "-m", model_copy, "-n", "60"},
        {"convert", fixture("tests/fixtures/janus-a-f32"), "-o", target},
        {"help", "draw"},
        {"--version"},
    };
    struct outcome o;

    set_up();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        for (int j = 0; j < 2; j++) {
            const struct start how = {.prepare = ends[j], .input = script};

            program_run(&o, &how, commands[i]);
            CHECK(one_line(&o, TSR_IO) && strstr(o.err, "output") != NULL, "%s: code %d: %s",
                  commands[i][0], o.code, o.err);
            folder_empty(folder);
        }
    figure("%zu commands into a closed pipe and a full device", sizeof commands / sizeof *commands);
}

/* ---- a decimal comma ------------------------------------------------------------------------- */

static void same_output(const char *name, const char *const *arguments,
                        const char *const *environment)
{
    const struct start how = {.environment = environment};
    struct outcome plain, other;

    program_run(&plain, NULL, arguments);
    if (file_exists(target))
        file_copy(target, in_work("first"));
    folder_empty(folder);
    program_run(&other, &how, arguments);
    CHECK(plain.code == other.code && plain.out_bytes == other.out_bytes &&
              memcmp(plain.out, other.out, plain.out_bytes) == 0 &&
              strcmp(plain.err, other.err) == 0,
          "%s: code %d and %d: %s", name, plain.code, other.code, other.err);
    CHECK(!file_exists(target) || files_equal(target, in_work("first")), "%s: another file", name);
    folder_empty(folder);
}

static void decimal_comma(void)
{
    char command[900], path[320], name[400];
    const char *const environment[] = {path, name, NULL};

    set_up();
    snprintf(command, sizeof command,
             "localedef -c -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", work);
    if (system(command) != 0) {
        skip("no locale with a decimal comma can be made here (package locales)");
        return;
    }
    snprintf(path, sizeof path, "LOCPATH=%s", work);
    snprintf(name, sizeof name, "LC_ALL=de_DE.UTF-8");
    same_output("draw",
                (const char *const[]){"draw", "-m", model_copy, "-p", "a ring", "-o", target,
                                      "--temp", "0.5", "--cfg-scale", "1.5", "--top-p", "0.9",
                                      NULL},
                environment);
    same_output("a comma",
                (const char *const[]){"draw", "-m", model_copy, "-p", "a", "-o", target, "--temp",
                                      "0,5", NULL},
                environment);
    same_output("info", (const char *const[]){"info", model_copy, "--json", NULL}, environment);
    same_output("convert",
                (const char *const[]){"convert", fixture("tests/fixtures/janus-a-f32"), "-o",
                                      target, "--json", NULL},
                environment);

    /* a host of the library that has set its locale */
    setenv("LOCPATH", work, 1);
    const struct tsr_convert_options how = {.format = TSR_T8,
                                            .part_format = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}};
    struct tsr_error error = {.message = ""};
    const int comma =
        setlocale(LC_ALL, "de_DE.UTF-8") != NULL && localeconv()->decimal_point[0] == ',';
    const tsr_status status =
        tsr_convert(fixture("tests/fixtures/janus-a-f32"), target, &how, &error);
    setlocale(LC_ALL, "C");
    CHECK(comma, "the locale that was made cannot be set");
    CHECK(status == TSR_OK && files_equal(target, tiny_model()),
          "the library with a decimal comma: %s", error.message);
    folder_empty(folder);
}

/* ---- a core is taken away -------------------------------------------------------------------- */

static void fewer_cores(void)
{
    struct job jobs[JOBS_MAX], *const draw = &jobs[1];
    cpu_set_t all, one;
    const unsigned n = cases(4, 50);

    set_up();
    make_jobs(jobs, model_copy);
    if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < 2) {
        skip("one core only");
        return;
    }
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    run_undisturbed(draw);
    for (unsigned i = 0; i < n; i++) {
        struct outcome o;
        struct running r = start_job(draw);

        wait_seconds(random_moment(draw));
        sched_setaffinity(r.pid, sizeof one, &one); /* the caller's thread; the worker keeps both */
        program_wait(&r, &o);
        CHECK(o.code == 0 && leaves_whole_files(), "code %d: %s", o.code, o.err);
        folder_empty(folder);
    }
    figure("%u times a core was taken from a drawing: the same pictures", n);
}

/* ---- a model file that is cut ---------------------------------------------------------------- */

/* Cuts at `size`, at a random moment; the job ends well, before it, or with one line and exit 3. */
static int cut_while_running(struct job *job, uint64_t size)
{
    struct outcome o;
    struct running r = start_job(job);

    wait_seconds(random_moment(job));
    if (truncate(model_copy, (off_t)size) != 0)
        CHECK(0, "cannot cut: %s", strerror(errno));
    program_wait(&r, &o);
    if (o.code == 0) {
        CHECK(o.out_bytes == job->right.out_bytes &&
                  memcmp(o.out, job->right.out, o.out_bytes) == 0,
              "%s: exit 0 with another result", job->arguments[0]);
    } else if (o.code != TSR_MALFORMED ||
               o.out_bytes > 0) { /* malformed: cut before it was opened */
        /* what was printed or drawn before stands; the error is the last line */
        const char *const line = strstr(o.err, "tessera: ");
        CHECK(o.code == TSR_IO && line != NULL && strchr(line, '\n') == o.err + o.err_bytes - 1,
              "%s cut at %llu: code %d: %s", job->arguments[0], (unsigned long long)size, o.code,
              o.err);
    }
    CHECK(leaves_whole_files(), "%s cut: leaves a part of a file", job->arguments[0]);
    folder_empty(folder);
    unlink(model_copy);
    file_copy(original(), model_copy);
    return o.code == TSR_IO;
}

static void cut_files(void)
{
    struct job jobs[JOBS_MAX];
    size_t count;
    const unsigned n = cases(6, 60);
    uint64_t whole;

    set_up();
    count = make_jobs(jobs, model_copy);
    whole = file_size(model_copy);
    for (size_t i = 0; i < count; i++) {
        unsigned seen = 0;

        run_undisturbed(&jobs[i]);
        for (unsigned j = 0; j < n; j++) /* anywhere; within the last page, every other time */
            seen +=
                (unsigned)cut_while_running(&jobs[i], j % 2 == 0 ? random_below((uint32_t)whole)
                                                                 : whole - 1 - random_below(4000));
        figure("%s: cut %u times while running, %u times in time to end it", jobs[i].arguments[0],
               n, seen);
    }
}

/* ---- a damaged file -------------------------------------------------------------------------- */

/* info --verify of the damaged copy: refused, with one line. */
static int found(const char *path)
{
    struct outcome o;

    RUN(&o, NULL, "info", path, "--verify");
    return (o.code == TSR_CHECKSUM || o.code == TSR_MALFORMED || o.code == TSR_UNSUPPORTED) &&
           one_line(&o, o.code);
}

static void damage(void)
{
    const char *const path = in_work("damaged.gguf");
    const uint64_t bytes = file_size(tiny_model());
    const unsigned flips = cases(50, 1000), cuts = cases(8, 64);

    file_copy(tiny_model(), path);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    for (unsigned i = 0; i < flips; i++) {
        const off_t at = (off_t)((double)bytes * random_below(1 << 20) / (1 << 20));
        unsigned char byte = 0, bad;

        CHECK(pread(fd, &byte, 1, at) == 1, "cannot read at %lld", (long long)at);
        bad = byte ^ (unsigned char)(1 << random_below(8));
        CHECK(pwrite(fd, &bad, 1, at) == 1 && found(path), "a bit flipped at %lld is not found",
              (long long)at);
        CHECK(pwrite(fd, &byte, 1, at) == 1, "cannot write at %lld", (long long)at);
    }
    CHECK(!found(path), "the file that was mended is refused");
    for (unsigned i = 0; i < cuts; i++) {
        const off_t size =
            (off_t)(bytes - 1 - (i % 2 == 0 ? random_below(100) : random_below((uint32_t)bytes)));

        file_copy(tiny_model(), path);
        CHECK(truncate(path, size) == 0 && found(path), "a cut at %lld is not found",
              (long long)size);
    }
    close(fd);
    figure("%u single bits flipped, %u cuts: all found by info --verify", flips, cuts);
}

/* ---- a CPU below the floor ------------------------------------------------------------------- */

static void old_cpu(void)
{
#if defined(__x86_64__)
    static const char *const cpus[] = {"Nehalem", "max,-avx2"};
    static const char *const commands[] = {"convert", "info",  "describe", "draw",
                                           "chat",    "probe", "bench",    "help"};
    const int is_static = system("command -v qemu-x86_64-static >/dev/null") == 0;

    if (SANITIZED) {
        skip("AddressSanitizer does not run under an emulator");
        return;
    }
    if (!is_static && system("command -v qemu-x86_64 >/dev/null") != 0) {
        skip("no emulator of x86-64 (package qemu-user-static)");
        return;
    }
    for (int i = 0; i < 2; i++)
        for (size_t j = 0; j < sizeof commands / sizeof *commands; j++) {
            const char *const wrapper[] = {is_static ? "qemu-x86_64-static" : "qemu-x86_64", "-cpu",
                                           cpus[i], NULL};
            const struct start how = {.wrapper = wrapper};
            struct outcome o;

            RUN(&o, &how, commands[j], "--json");
            CHECK(one_line(&o, TSR_CPU), "%s on %s: code %d: %s", commands[j], cpus[i], o.code,
                  o.err);
        }
    figure(
        "every command on an emulated Nehalem, and on one with AVX but no AVX2: exit 7, one line");
#else
    skip("not an x86-64 program");
#endif
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        {"interruptions", interruptions},
        {"nobody reads", readers},
        {"decimal comma", decimal_comma},
        {"fewer cores", fewer_cores},
        {"cut files", cut_files},
        {"damaged files", damage},
        {"old CPU", old_cpu},
        {NULL, NULL},
    };

    return scenes_run(scenes, argc, argv);
}
