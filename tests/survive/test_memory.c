/*
 * test_memory.c: every allocation of a job may fail: the library says TSR_MEMORY, and frees
 * everything.
 *
 * Two jobs, on the tiny checkpoint: it is converted; it is loaded, reads a PNG and a JPEG, writes 8
 * tokens, draws a small picture, writes that as PNG, and is unloaded. Allocations are tessera's own
 * and those of libpng, libjpeg, jansson, PCRE2, zlib, hwloc and the C library, and mmap and
 * pthread_create (heap.h). An undisturbed run comes first: it fills what libraries keep for ever
 * and tells the right result.
 */
#include "drive.h"
#include "heap.h"

#include "../conditions.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOKENS = 8 };

/* What a job yields: its status and a hash of its results. */
struct yield {
    tsr_status status;
    uint64_t hash;
    struct tsr_error error;
};

static void hash_more(struct yield *y, const void *data, size_t bytes)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < bytes; i++)
        y->hash = (y->hash ^ at[i]) * 1099511628211u;
}

/* Reads the stream to its end; the picture goes to a file too. */
static tsr_status run_stream(tsr_context *context, unsigned want, const char *path, struct yield *y)
{
    tsr_status status = tsr_want(context, want, &y->error);
    struct tsr_event event;

    while (status == TSR_OK && (status = tsr_next(context, &event, &y->error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_TEXT)
            hash_more(y, event.text, event.bytes);
        if (event.kind != TSR_EVENT_PICTURE)
            continue;
        hash_more(y, event.picture.rgb, event.picture.width * event.picture.height * 3);
        status = tsr_picture_write(
            &event.picture, path,
            (const char *const[]){"prompt", "two \xe2\x82\xac", "seed", "1", NULL}, &y->error);
        if (status != TSR_OK)
            break;
    }
    return status == TSR_END ? TSR_OK : status;
}

static tsr_status converse(tsr_context *context, const struct tsr_picture pictures[2],
                           struct yield *y)
{
    tsr_status status = tsr_prompt_system(context, "Be brief.", &y->error);

    if (status == TSR_OK)
        status = tsr_prompt_user(context, "What is this? caf\xc3\xa9 42", pictures, 2, &y->error);
    if (status == TSR_OK)
        status = run_stream(context, TSR_TEXT, NULL, y);
    if (status == TSR_OK)
        status = tsr_prompt_user(context, "a red ring", NULL, 0, &y->error);
    if (status == TSR_OK)
        status = run_stream(context, TSR_PICTURE, in_work("memory.png"), y);
    return status;
}

static void use_model(struct yield *y)
{
    const struct tsr_settings settings = {.seed = 3,
                                          .temperature = 1,
                                          .top_p = 1,
                                          .guidance = 2,
                                          .tokens_max = TOKENS,
                                          .count = 1,
                                          .cache_format = ~0u};
    const struct tsr_pool_options threads = {.threads = 2};
    const char *const paths[2] = {tiny_picture(),
                                  fixture("tests/fuzz/corpus/picture/progressive.jpg")};
    struct tsr_picture pictures[2] = {0};
    tsr_model *model = NULL;
    tsr_pool *pool = NULL;
    tsr_context *context = NULL;

    y->status = tsr_pool_new(&pool, &threads, &y->error);
    if (y->status == TSR_OK)
        y->status = tsr_model_open(&model, tiny_model(), NULL, &y->error);
    for (int i = 0; i < 2 && y->status == TSR_OK; i++)
        y->status = tsr_picture_read(&pictures[i], paths[i], &y->error);
    if (y->status == TSR_OK)
        y->status = tsr_context_new(&context, model, pool, &settings, &y->error);
    if (y->status == TSR_OK)
        y->status = converse(context, pictures, y);
    for (int i = 0; i < 2; i++)
        tsr_picture_free(&pictures[i]);
    tsr_context_free(context);
    tsr_model_close(model);
    tsr_pool_free(pool);
}

static const char *converted_folder;
static void convert(struct yield *y)
{
    struct tsr_convert_options how = {.format = TSR_T8};

    for (int i = 0; i < TSR_PARTS; i++)
        how.part_format[i] = ~0u;
    y->status = tsr_convert(converted_folder, in_work("memory.gguf"), &how, &y->error);
    hash_more(y, &y->status, sizeof y->status);
}

void heap_child_begins(void) {}

enum heap_end heap_child_ended(int status)
{
    return WEXITSTATUS(status) < HEAP_ENDS ? (enum heap_end)WEXITSTATUS(status) : HEAP_WRONG_STATUS;
}

/* Ends a child, if this is one. */
static void judge(const struct yield *y, const struct yield *right, long live)
{
    const long leaked = heap_live() - live;

    if (!heap_in_child())
        return;
    if (y->status != TSR_MEMORY && y->status != TSR_OK)
        heap_report(HEAP_WRONG_STATUS, "status %d: %s", (int)y->status, y->error.message);
    if (y->status == TSR_OK && y->hash != right->hash)
        heap_report(HEAP_WRONG_RESULT, "another result, and no error");
    if (leaked != 0)
        heap_report(HEAP_LEAK, "%ld blocks are not freed: %s", leaked,
                    y->status == TSR_OK ? "no error" : y->error.message);
    _exit(y->status == TSR_OK ? HEAP_TOLERATED : HEAP_MEMORY);
}

static void explore(void (*job)(struct yield *), unsigned sample)
{
    struct yield right = {.hash = 1}, y;
    struct heap_count n;
    long live;

    heap_explore(0); /* loads the unwinder, for good */
    job(&right);     /* what libraries keep */
    right = (struct yield){.hash = 1};
    job(&right);
    CHECK(right.status == TSR_OK, "%s", right.error.message);
    live = heap_live();
    y = (struct yield){.hash = 1};
    job(&y);
    CHECK(heap_live() == live, "%ld blocks are not freed without any failure", heap_live() - live);

    /* a stride that shares no factor with the loops inside */
    heap_explore(~0u);
    y = (struct yield){.hash = 1};
    job(&y);
    n = heap_counted();
    unsigned stride = full_run() ? 1 : (unsigned)(n.allocations / sample) | 1;
    fflush(stdout);
    heap_explore(stride);
    y = (struct yield){.hash = 1};
    job(&y);
    judge(&y, &right, live);
    heap_explore(0);
    n = heap_counted();
    CHECK(y.status == TSR_OK && y.hash == right.hash, "the undisturbed run differs: %s",
          y.error.message);
    CHECK(heap_live() == live, "the exploring run leaks");
    CHECK(n.ends[HEAP_MEMORY] > 0 && n.ends[HEAP_MEMORY] + n.ends[HEAP_TOLERATED] == n.tried,
          "%lu leaks, %lu other errors, %lu wrong results, %lu signals", n.ends[HEAP_LEAK],
          n.ends[HEAP_WRONG_STATUS], n.ends[HEAP_WRONG_RESULT], n.signals);
    figure("%lu allocations, %lu failures tried: %lu ended in TSR_MEMORY, %lu were not needed "
           "(same result); "
           "%lu leaks, %lu signals; %lu allocations inside hwloc and json_loadb spared",
           n.allocations, n.tried, n.ends[HEAP_MEMORY], n.ends[HEAP_TOLERATED], n.ends[HEAP_LEAK],
           n.signals, n.spared);
}

static void library_use(void)
{
    explore(use_model, 100);
}

static void library_convert(void)
{
    converted_folder = fixture("tests/fixtures/janus-a-f32");
    explore(convert, 60);
}

/* ---- the program
 * ----------------------------------------------------------------------------------------- */

/* A job of the program that prints the same in every run. */
static const char *const *program_job(int i)
{
    static const char *jobs[8][ARGS_MAX];
    const char *const list[][ARGS_MAX] = {
        {"describe", "-m", tiny_model(), "--image", tiny_picture(), "-n", "8", "-t", "2"},
        {"draw", "-m", tiny_model(), "-p", "a ring", "-o", in_work("o.png"), "-t", "2"},
        {"info", tiny_model(), "--json", "--verify"},
        {"info", tiny_model(), "-v"},
        {"info", "--kernels", "--json"},
        {"chat", "-m", tiny_model(), "-p", "caf\xc3\xa9", "-n", "4", "-t", "1"},
        {"convert", fixture("tests/fixtures/janus-c-f16-official"), "-o", in_work("o.gguf"),
         "--json"},
    };
    const int count = (int)(sizeof list / sizeof list[0]);

    if (i >= count)
        return NULL;
    for (int a = 0; a < ARGS_MAX; a++)
        jobs[i][a] = list[i][a] != NULL ? strdup(list[i][a]) : NULL;
    return jobs[i];
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        exit(99);
}

/* Each job with every allocation failing: exit 6 and one line, or the right output. */
static void program_allocations(void)
{
    char preload[4200], expected[4600], report[4600], stride[60];
    unsigned long n[6], tried = 0, memory = 0, tolerated = 0;
    const char *const *job;

    if (shims_fail() != NULL) {
        skip("%s", shims_fail());
        return;
    }
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim_path("heap_shim"));
    snprintf(expected, sizeof expected, "TSR_HEAP_EXPECTED=%s", in_work("expected"));
    snprintf(report, sizeof report, "TSR_HEAP_REPORT=%s", in_work("report"));
    for (int i = 0; (job = program_job(i)) != NULL; i++) {
        const char *environment[] = {preload, expected, report, stride, NULL};
        struct start how = {.environment = environment, .limit = 1200};
        struct outcome o;
        FILE *file;

        program_run(&o, NULL, job);
        CHECK(o.code == 0, "%s: %s", job[0], o.err);
        write_file(in_work("expected"), o.out);
        /* the first run only counts */
        for (int pass = 0; pass < 2; pass++) {
            const unsigned long every = pass == 0 ? 0 : full_run() ? 1 : n[0] / 25 | 1;

            snprintf(stride, sizeof stride, "TSR_HEAP_STRIDE=%lu",
                     pass == 0 ? 4000000000ul : every);
            program_run(&o, &how, job);
            file = fopen(in_work("report"), "re");
            CHECK(file != NULL && fscanf(file, "%lu %lu %lu %lu %lu %lu", &n[0], &n[1], &n[2],
                                         &n[3], &n[4], &n[5]) == 6,
                  "%s: no report", job[0]);
            if (file == NULL)
                return;
            fclose(file);
            CHECK(o.code == 0, "%s, explored: exit %d: %s", job[0], o.code, o.err);
        }
        CHECK(n[1] > 0 && n[2] + n[3] == n[1],
              "%s %s: %lu of %lu ended neither in exit 6 nor right\n%s", job[0], job[1],
              n[1] - n[2] - n[3], n[1], o.err);
        tried += n[1];
        memory += n[2];
        tolerated += n[3];
        figure("%s: %lu allocations, %lu failures tried: %lu exit 6, %lu not needed", job[0], n[0],
               n[1], n[2], n[3]);
    }
    figure("%lu failures tried, %lu exit 6, %lu not needed (same output)", tried, memory,
           tolerated);
}

static int limit_memory(void *data)
{
    const struct rlimit limit = {*(rlim_t *)data, *(rlim_t *)data};

    return setrlimit(RLIMIT_AS, &limit);
}

/* The least limit of the address space with which `job` ends in exit 0, to 64 KiB. */
static rlim_t least_space(const char *const *job, rlim_t low, rlim_t high)
{
    while (high - low > 65536) {
        rlim_t middle = low + (high - low) / 2;
        struct start how = {.prepare = limit_memory, .data = &middle};
        struct outcome o;

        program_run(&o, &how, job);
        if (o.code == 0)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* ulimit -v between what `--version` needs and what the job needs: the same output, or exit 6. */
static void address_space(void)
{
    unsigned complete = 0, refused = 0;
    const char *const *job;

    if (company() != NULL) {
        skip("%s", SANITIZED ? "AddressSanitizer takes more address space than any limit grants"
                             : "an emulator does not pass the limit on");
        return;
    }
    const rlim_t bare = least_space((const char *const[]){"--version", NULL}, 1 << 20, 4ul << 30);
    for (int i = 0; (job = program_job(i)) != NULL; i++) {
        const rlim_t enough = least_space(job, bare, 8ul << 30) + (4 << 20);
        const unsigned steps = cases(4, 20);
        struct outcome free_run, o;

        program_run(&free_run, NULL, job);
        for (unsigned n = 0; n <= steps; n++) {
            rlim_t limit = bare + (65536 << 1) + (enough - bare) * n / steps;
            struct start how = {.prepare = limit_memory, .data = &limit};

            program_run(&o, &how, job);
            complete += o.code == 0;
            refused += o.code == 6;
            CHECK(one_line(&o, 6) || (o.code == 0 && strcmp(o.out, free_run.out) == 0),
                  "%s with %llu KiB: exit %d: %s", job[0], (unsigned long long)limit >> 10, o.code,
                  o.err);
        }
        CHECK(o.code == 0, "%s with enough: %s", job[0], o.err);
    }
    figure("%u limits: %u exit 6, %u the same output", complete + refused, refused, complete);
}

int main(int argc, char **argv)
{
    static const struct scene scenes[] = {
        {"load, read, write, draw", library_use},
        {"convert", library_convert},
        {"program", program_allocations},
        {"ulimit -v", address_space},
        {NULL, NULL},
    };

    return scenes_run(scenes, argc, argv);
}
