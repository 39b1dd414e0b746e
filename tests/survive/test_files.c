/*
 * test_files.c: what tessera writes is whole or not there, whatever happens while it is written.
 *
 * The target holds an old file, or none. The job is killed, or a call of it fails; then the target
 * must be the old file, or the complete new one (compared byte for byte), and nothing else may lie
 * beside it, except after a kill, where the next run removes what is left. Both writers are tried:
 * convert's models and draw's pictures.
 */
#include "drive.h"

#include "model.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A job that writes one file. */
struct job {
    const char *name;
    const char *arguments[ARGS_MAX]; /* the target's place is filled in by prepare_job */
    const char *folder, *target, *wanted, *old;
};

/* A copy that lasts as long as the test. */
static const char *keep(const char *text)
{
    static char *kept[64];
    static size_t count;
    char *const copy = count < sizeof kept / sizeof *kept ? strdup(text) : NULL;

    if (copy == NULL)
        exit(99);
    return kept[count++] = copy;
}

/* The jobs, with the file that an undisturbed run writes. */
static struct job *jobs(void)
{
    static struct job list[2];

    if (list[0].name != NULL)
        return list;
    for (int i = 0; i < 2; i++) {
        struct job *job = &list[i];
        struct outcome o;

        job->name = i == 0 ? "convert" : "draw";
        job->folder = keep(in_work("%s", job->name));
        mkdir(job->folder, 0700);
        job->target = keep(in_work("%s/out", job->name));
        job->wanted = keep(in_work("%s-wanted", job->name));
        job->old = keep(in_work("%s-old", job->name));
        file_copy(fixture("README.md"), job->old);
        const char *const convert[] = {"convert", keep(fixture("tests/fixtures/janus-a-f32")),
                                       "--type",  "q8_0",
                                       "-t",      "1",
                                       "-o",      job->target,
                                       NULL};
        const char *const draw[] = {"draw", "-m", tiny_model(), "-p", "a picture", "-s",
                                    "3",    "-t", "1",          "-o", job->target, NULL};
        if (i == 0)
            memcpy(job->arguments, convert, sizeof convert);
        else
            memcpy(job->arguments, draw, sizeof draw);
        program_run(&o, NULL, job->arguments);
        CHECK(o.code == 0, "%s: %s", job->name, o.err);
        file_copy(job->target, job->wanted);
        folder_empty(job->folder);
    }
    return list;
}

/* Puts the old file, or nothing, where the target goes. */
static void lay_out(const struct job *job, int old)
{
    folder_empty(job->folder);
    if (old)
        file_copy(job->old, job->target);
}

/* Is the target as it was, or complete? */
static int target_sound(const struct job *job, int old)
{
    if (!file_exists(job->target))
        return !old;
    return files_equal(job->target, job->wanted) || (old && files_equal(job->target, job->old));
}

static size_t left_over(const struct job *job)
{
    return files_in(job->folder, "") - (size_t)file_exists(job->target);
}

/* ---- the shim
 * ------------------------------------------------------------------------------------------ */

struct shim {
    char path[4600], log[4600], at[40], act[40], preload[4200];
    const char *environment[8];
};

/* The environment in which call `at` of the job meets `act`; from: and all later ones. */
static struct start shimmed(struct shim *s, const struct job *job, unsigned at, const char *act,
                            int from)
{
    int n = 0;

    snprintf(s->preload, sizeof s->preload, "LD_PRELOAD=%s", shim_path("io_shim"));
    snprintf(s->path, sizeof s->path, "TSR_IO_PATH=%s", job->target);
    snprintf(s->at, sizeof s->at, "TSR_IO_AT=%u", at);
    snprintf(s->act, sizeof s->act, "TSR_IO_DO=%s", act);
    snprintf(s->log, sizeof s->log, "TSR_IO_LOG=%s", in_work("io-log"));
    s->environment[n++] = s->preload;
    s->environment[n++] = s->path;
    s->environment[n++] = s->at;
    s->environment[n++] = s->act;
    s->environment[n++] = s->log;
    if (from)
        s->environment[n++] = "TSR_IO_FROM=1";
    s->environment[n] = NULL;
    return (struct start){.environment = s->environment};
}

static size_t read_log(char *text, size_t room)
{
    FILE *file = fopen(in_work("io-log"), "re");
    const size_t got = file != NULL ? fread(text, 1, room - 1, file) : 0;

    text[got] = '\0';
    if (file != NULL)
        fclose(file);
    return got;
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* Runs the job undisturbed under the shim; the log of its calls. */
static unsigned trace(const struct job *job, char *log, size_t room)
{
    struct outcome o;
    struct shim s;
    struct start how = shimmed(&s, job, 0, "0", 0);

    unlink(in_work("io-log"));
    lay_out(job, 0);
    program_run(&o, &how, job->arguments);
    CHECK(o.code == 0 && files_equal(job->target, job->wanted), "%s under the shim: %s", job->name,
          o.err);
    read_log(log, room);
    return count_lines(log);
}

/* open < write* < fsync(file) < rename < fsync(folder), and nothing is written after the first
 * fsync. */
static void order(void)
{
    static char log[1 << 20];

    if (shims_fail() != NULL) {
        skip("%s", shims_fail());
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct job *const job = &jobs()[i];
        const unsigned calls = trace(job, log, sizeof log);
        const char *const create = strstr(log, "create "), *const write = strstr(log, "\nwrite ");
        const char *const sync = strstr(log, "\nfsync "), *const rename = strstr(log, "\nrename ");
        const char *const folder = strstr(log, "\nfsync-folder "), *last = write;

        for (const char *at = write; at != NULL; at = strstr(at + 1, "\nwrite "))
            last = at;
        CHECK(create != NULL && write > create && sync > last && rename > sync && folder > rename,
              "%s: wrong order of calls:\n%s", job->name, log);
        figure("%s: %u calls in the order create < write < fsync < rename < fsync of the folder",
               job->name, calls);
    }
}

/* After a kill: the target is sound, and the next run is as if nothing had been. */
static void after_kill(const struct job *job, const struct outcome *o, int old, const char *what,
                       unsigned at)
{
    struct outcome next;

    CHECK(target_sound(job, old), "%s, %s %u: the target is neither old nor complete", job->name,
          what, at);
    if (o->code == 0)
        return;
    program_run(&next, NULL, job->arguments);
    CHECK(next.code == 0 && files_equal(job->target, job->wanted), "%s, %s %u: the next run: %s",
          job->name, what, at, next.err);
    CHECK(left_over(job) == 0, "%s, %s %u: the next run leaves %zu files", job->name, what, at,
          left_over(job));
}

/* SIGKILL before every call on the output, and in the middle of every write. */
static void kill_at_every_call(void)
{
    static char log[1 << 20];
    unsigned kills = 0, complete = 0;

    if (shims_fail() != NULL) {
        skip("%s", shims_fail());
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct job *const job = &jobs()[i];
        const unsigned calls = trace(job, log, sizeof log), step = full_run() ? 1 : calls / cases(12, calls) + 1;

        for (unsigned n = 0; n < 2 * calls; n++) {
            const unsigned at = n / 2 + 1;
            const int old = at % 2;
            struct outcome o;
            struct shim s;
            struct start how = shimmed(&s, job, at, n % 2 ? "kill" : "tear", 0);

            if (at % step != 0 && at + 6 < calls) /* the last ones, around rename, always */
                continue;
            lay_out(job, old);
            program_run(&o, &how, job->arguments);
            CHECK(o.code == -SIGKILL, "%s: killed at call %u, but code %d: %s", job->name, at,
                  o.code, o.err);
            complete += file_exists(job->target) && files_equal(job->target, job->wanted);
            after_kill(job, &o, old, "killed at call", at);
            kills++;
        }
    }
    figure("%u kills at calls: %u left the complete file, the others the old one or none", kills,
           complete);
}

/* SIGKILL at random moments; a larger model, so that most of the time is spent writing. */
static void kill_at_random(void)
{
    const unsigned count = cases(10, 200);
    struct job job = jobs()[0];
    unsigned runs = 0, died = 0, left = 0;
    struct outcome o;

    job.arguments[1] = fixture("model/mini/checkpoint");
    job.wanted = in_work("mini-wanted");
    lay_out(&job, 0);
    program_run(&o, NULL, job.arguments);
    CHECK(o.code == 0, "%s", o.err);
    file_copy(job.target, job.wanted);
    double typical = o.seconds; /* of a run left alone: the shortest seen */
    for (unsigned i = 0; died < count && i < 5 * count; i++, runs++) {
        const int old = i % 2;
        struct running r;

        if (i % 5 == 0) /* else what the kill before has left is still there */
            lay_out(&job, old);
        const int was = file_exists(job.target);
        r = program_start(NULL, job.arguments);
        wait_seconds(typical * 1.1 * random_below(1000) / 1000);
        kill(r.pid, SIGKILL);
        program_wait(&r, &o);
        died += o.code == -SIGKILL;
        typical = o.code == 0 && o.seconds < typical ? o.seconds : typical;
        left += left_over(&job) > 0;
        CHECK(o.code == -SIGKILL || o.code == 0, "code %d: %s", o.code, o.err);
        CHECK(target_sound(&job, was) && left_over(&job) <= 1,
              "kill %u: %zu files left, or a bad target", i, left_over(&job));
    }
    program_run(&o, NULL, job.arguments);
    CHECK(o.code == 0 && files_equal(job.target, job.wanted) && left_over(&job) == 0,
          "the run after the kills: %s", o.err);
    CHECK(died == count, "only %u of %u runs were killed", died, runs);
    figure("%u of %u runs were killed, %u left a temporary file, the run after them none", died,
           runs, left);
}

/* ---- errors
 * -------------------------------------------------------------------------------------------- */

/* Every call on the output fails, once and from then on: exit 3, the old file, nothing left; or all
 * is well. */
static void fail_every_call(void)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS};
    static char log[1 << 20];
    unsigned failures = 0, unharmed = 0;

    if (shims_fail() != NULL) {
        skip("%s", shims_fail());
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct job *const job = &jobs()[i];
        const unsigned calls = trace(job, log, sizeof log), step = full_run() ? 1 : calls / cases(10, calls) + 1;

        for (unsigned at = 1; at <= calls; at++) {
            for (unsigned e = 0; e < (full_run() ? 8 : 2); e++) {
                const int old = (int)(at + e) % 2, from = (int)e % 2;
                struct outcome o;
                struct shim s;
                char number[20];

                if (at % step != 0 && at + 6 < calls)
                    continue;
                snprintf(number, sizeof number, "%d", errors[(e / 2 + at) % 4]);
                struct start how = shimmed(&s, job, at, number, from);
                lay_out(job, old);
                program_run(&o, &how, job->arguments);
                failures++;
                if (o.code == 0) { /* the call was one that is not needed */
                    unharmed++;
                    CHECK(files_equal(job->target, job->wanted),
                          "%s: call %u failed (%s), exit 0, bad file", job->name, at, number);
                } else {
                    CHECK(one_line(&o, 3), "%s: call %u failed (%s): exit %d: %s", job->name, at,
                          number, o.code, o.err);
                    CHECK(target_sound(job, old), "%s: call %u failed: bad target", job->name, at);
                }
                CHECK(left_over(job) == 0, "%s: call %u failed (%s): %zu files left", job->name, at,
                      number, left_over(job));
            }
        }
    }
    figure(
        "%u failures of calls: exit 3 and nothing left; %u of calls that are not needed: complete",
        failures, unharmed);
}

/* Short writes and EINTR, at one call and at all: the same bytes. */
static void short_and_interrupted(void)
{
    static char log[1 << 20];
    unsigned runs = 0;

    if (shims_fail() != NULL) {
        skip("%s", shims_fail());
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct job *const job = &jobs()[i];
        const unsigned calls = trace(job, log, sizeof log), step = full_run() ? 1 : calls / 4 + 1;

        for (unsigned n = 0; n < 4 * calls; n++) {
            const unsigned at = n / 4 + 1;
            struct outcome o;
            struct shim s;
            struct start how = shimmed(&s, job, at, n % 2 ? "short" : "eintr", (int)(n / 2 % 2));

            if (at % step != 0 && at + 6 < calls && at != 1)
                continue;
            lay_out(job, (int)n % 2);
            program_run(&o, &how, job->arguments);
            CHECK(o.code == 0 && files_equal(job->target, job->wanted), "%s: %s at call %u: %s",
                  job->name, s.act, at, o.err);
            CHECK(left_over(job) == 0, "%s: %s at call %u leaves a file", job->name, s.act, at);
            runs++;
        }
    }
    figure("%u runs with short writes and EINTR wrote the same bytes", runs);
}

/* The same for what is read: short reads and EINTR change nothing, EIO is exit 3. */
static void reads(void)
{
    static char log[1 << 20];
    const struct job *const job = &jobs()[0];
    struct job source = *job;
    unsigned calls, runs = 0;
    struct outcome o;
    struct shim s;

    if (shims_fail() != NULL) {
        skip("%s", shims_fail());
        return;
    }
    source.target = fixture("tests/fixtures/janus-a-f32");
    for (unsigned at = 0, step = 1; at == 0 || at <= calls; at += step) {
        for (int n = 0; n < (at == 0 ? 1 : 3); n++) {
            struct start how = shimmed(&s, &source, at == 0 ? 0 : at,
                                       at == 0  ? "0"
                                       : n == 0 ? "short"
                                       : n == 1 ? "eintr"
                                                : "5",
                                       n == 0 && at == 1);
            s.environment[5 + (n == 0 && at == 1)] = "TSR_IO_READS=1";
            s.environment[6 + (n == 0 && at == 1)] = NULL;
            unlink(in_work("io-log"));
            lay_out(job, 0);
            program_run(&o, &how, job->arguments);
            if (at > 0 && n == 2)
                CHECK(one_line(&o, 3) && files_in(job->folder, "") == 0,
                      "EIO at read call %u: exit %d: %s", at, o.code, o.err);
            else
                CHECK(o.code == 0 && files_equal(job->target, job->wanted),
                      "%s at read call %u: %s", s.act, at, o.err);
            runs++;
        }
        if (at == 0) {
            read_log(log, sizeof log);
            calls = count_lines(log);
            CHECK(calls > 5, "only %u reads", calls);
            step = full_run() ? 1 : calls / cases(10, calls) + 1;
        }
    }
    figure("%u runs: short and interrupted reads change nothing, EIO ends in exit 3", runs);
}

/* ---- disks that are full
 * --------------------------------------------------------------------------------- */

static int limit_file_size(void *data)
{
    const struct rlimit limit = {*(rlim_t *)data, *(rlim_t *)data};

    return setrlimit(RLIMIT_FSIZE, &limit);
}

static void file_size_limit(void)
{
    unsigned refused = 0, runs = 0;

    for (int i = 0; i < 2; i++) {
        const struct job *const job = &jobs()[i];
        const uint64_t size = file_size(job->wanted), steps = cases(6, 50);

        for (uint64_t n = 0; n <= steps; n++, runs++) {
            rlim_t limit = (rlim_t)(size * n / steps);
            struct start how = {.prepare = limit_file_size, .data = &limit};
            struct outcome o;

            lay_out(job, n % 2 == 0);
            program_run(&o, &how, job->arguments);
            if (n == steps)
                CHECK(o.code == 0 && files_equal(job->target, job->wanted), "%s: just enough: %s",
                      job->name, o.err);
            else
                CHECK(one_line(&o, 3), "%s: limit %llu: exit %d: %s", job->name,
                      (unsigned long long)limit, o.code, o.err);
            refused += o.code == 3;
            CHECK(target_sound(job, n % 2 == 0) && left_over(job) == 0, "%s: limit %llu", job->name,
                  (unsigned long long)limit);
        }
    }
    figure("%u of %u limits of a file's size refused, the last is enough", refused, runs);
}

/* In a child: tmpfs of *bytes at the job's folder, in a mount namespace of its own. */
static int mount_small(const char *folder, uint64_t bytes)
{
    char options[60];

    snprintf(options, sizeof options, "size=%llu", (unsigned long long)bytes);
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return -1;
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return mount("tmpfs", folder, "tmpfs", 0, options);
}

/* One run on a small disk, in a child that has it mounted: 0 complete, 3 refused and clean, else
 * what is wrong. */
static int run_on_small_disk(const struct job *job, uint64_t bytes, int by_library)
{
    struct tsr_convert_options how = {.format = TSR_T8};
    struct tsr_error error;
    struct outcome o;

    if (mount_small(job->folder, bytes) != 0)
        return 77;
    if (by_library) {
        for (int i = 0; i < TSR_PARTS; i++)
            how.part_format[i] = ~0u;
        o.code = (int)tsr_convert(job->arguments[1], job->target, &how, &error);
        if (o.code == 3 &&
            (strstr(error.message, job->target) == NULL || strlen(error.message) > 290))
            return 50;
    } else {
        program_run(&o, NULL, job->arguments);
        if (o.code == 3 && !one_line(&o, 3))
            return 51;
    }
    if (left_over(job) != 0 || (o.code == 0) != file_exists(job->target) || !target_sound(job, 0))
        return 52;
    return o.code;
}

static void full_disk(void)
{
    unsigned counts[100] = {0}, runs = 0;

    for (int i = 0; i < 3; i++) { /* convert, draw, tsr_convert */
        const struct job *const job = &jobs()[i % 2];
        const uint64_t steps = cases(5, 50), most = file_size(job->wanted) + 8192;

        for (uint64_t n = 1; n <= steps; n++, runs++) {
            int status, code;
            pid_t pid;

            lay_out(job, 0);
            fflush(NULL);
            pid = fork();
            if (pid == 0)
                _exit(run_on_small_disk(job, most * n / steps, i == 2));
            waitpid(pid, &status, 0);
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
            counts[code < 100 ? code : 99]++;
            if (code == 77) {
                skip("no file system can be mounted here");
                return;
            }
            CHECK(code == 0 || code == 3, "%s on a disk of %llu bytes: %d",
                  i == 2 ? "tsr_convert" : job->name, (unsigned long long)(most * n / steps), code);
        }
    }
    CHECK(counts[0] >= 3 && counts[3] >= 3, "%u complete, %u refused", counts[0], counts[3]);
    figure("%u disks: %u too small (exit 3, nothing left), %u large enough", runs, counts[3],
           counts[0]);
}

/* ---- two at once
 * ------------------------------------------------------------------------------------------ */

/* Two or three conversions to one name, of different types; some are killed. The target is one of
 * the results. */
static void two_to_one_name(void)
{
    static const char *const types[] = {"q8_0", "f16", "q4_0"};
    const struct job *const job = &jobs()[0];
    struct job variants[3];
    unsigned rounds = cases(6, 100), won[3] = {0};
    struct outcome o;

    for (int i = 0; i < 3; i++) {
        variants[i] = *job;
        variants[i].arguments[3] = types[i];
        variants[i].wanted = keep(in_work("wanted-%s", types[i]));
        lay_out(job, 0);
        program_run(&o, NULL, variants[i].arguments);
        CHECK(o.code == 0, "%s", o.err);
        file_copy(job->target, variants[i].wanted);
    }
    for (unsigned round = 0; round < rounds; round++) {
        struct running r[3];
        int sound = 0;

        if (round % 3 == 0)
            lay_out(job, 0);
        for (int i = 0; i < 3; i++)
            r[i] = program_start(NULL, variants[i].arguments);
        wait_seconds(0.0001 * random_below(300));
        if (round % 3 == 2)
            kill(r[0].pid, SIGKILL);
        for (int i = 0; i < 3; i++) {
            program_wait(&r[i], &o);
            CHECK(o.code == 0 || (i == 0 && round % 3 == 2 && o.code == -SIGKILL),
                  "round %u: exit %d: %s", round, o.code, o.err);
        }
        for (int i = 0; i < 3; i++) {
            const int it = files_equal(job->target, variants[i].wanted);

            sound += it;
            won[i] += (unsigned)it;
        }
        CHECK(sound == 1, "round %u: the target is none of the results", round);
        CHECK(round % 3 == 2 || left_over(job) == 0, "round %u: %zu files left", round,
              left_over(job));
    }
    program_run(&o, NULL, job->arguments);
    CHECK(o.code == 0 && left_over(job) == 0, "the last run leaves files");
    figure("%u rounds of three conversions to one name: %u, %u, %u times one won whole", rounds,
           won[0], won[1], won[2]);
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        {"order of calls", order},
        {"killed at every call", kill_at_every_call},
        {"killed at random", kill_at_random},
        {"every call fails", fail_every_call},
        {"short and interrupted writes", short_and_interrupted},
        {"reads", reads},
        {"limit of a file's size", file_size_limit},
        {"full disk", full_disk},
        {"two to one name", two_to_one_name},
        {NULL, NULL},
    };

    return scenes_run(scenes, argc, argv);
}
