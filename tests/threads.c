/*
 * threads.c: eight contexts on one model, each in a thread of its own, fifty prompts each: every
 * reply equals the one a context gives that has the model to itself. First on a pool that all
 * share, then on a pool each; then seven go on while the eighth is cancelled again and again.
 *
 * A plain program, because Criterion's shared arena does not live under ThreadSanitizer, under
 * which it is meant to run (configure --enable-sanitize=thread): any data race makes it exit 66. It
 * uses the public interface alone and prints one line a round.
 *
 *     tests/threads [MODEL.gguf [contexts [prompts]]]      the shipped model, 8 and 50
 */
#include "conditions.h"
#include "model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONTEXTS_MAX = 64, TOKENS = 4, POOL_THREADS = 2 };

static const char *const prompts[] = {
    "a red ring",        "How many objects are there?", "two blue stars at the top",
    "Is there a cross?", "What colour is the circle?",  "a green square"};
enum { PROMPTS = sizeof prompts / sizeof *prompts };

/* What one context does. */
struct session {
    const tsr_model *model;
    tsr_pool *pool;
    tsr_context *context;
    unsigned index, count;    /* of prompts */
    const uint64_t *expected; /* [count]; NULL: fill `got` only */
    uint64_t *got;            /* [count] hashes of replies */
    int victim;               /* its replies may be cut short by a cancel */
    unsigned wrong, cancelled;
};

static void die(const char *what, const struct tsr_error *error)
{
    fprintf(stderr, "threads: %s: %s\n", what, error->message);
    exit(1);
}

static uint64_t hash(uint64_t h, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < count; i++) /* FNV-1a */
        h = (h ^ at[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Prompt number i of a session, to the end of its reply; one in five is a drawing. */
static tsr_status one_prompt(struct session *s, unsigned i, uint64_t *h, struct tsr_error *error)
{
    const unsigned want = (i + s->index) % 5 == 0 ? TSR_PICTURE : TSR_TEXT;
    struct tsr_event event;
    tsr_status status;

    *h = UINT64_C(0xcbf29ce484222325);
    tsr_context_reset(s->context);
    status = tsr_prompt_user(s->context, prompts[(i * 7 + s->index) % PROMPTS], NULL, 0, error);
    if (status == TSR_OK)
        status = tsr_want(s->context, want, error);
    if (status != TSR_OK)
        return status;
    while ((status = tsr_next(s->context, &event, error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_TEXT)
            *h = hash(*h, &event.token, sizeof event.token);
        if (event.kind == TSR_EVENT_PICTURE)
            *h = hash(*h, event.picture.rgb, event.picture.width * event.picture.height * 3);
    }
    return status;
}

static void *run_session(void *data)
{
    struct session *s = data;
    struct tsr_error error = {.message = ""};

    for (unsigned i = 0; i < s->count; i++) {
        const tsr_status status = one_prompt(s, i, &s->got[i], &error);

        if (status == TSR_INTERRUPTED && s->victim)
            s->cancelled++;
        else if (status != TSR_END)
            die("a prompt", &error);
        else
            s->wrong += s->expected != NULL && s->got[i] != s->expected[i];
    }
    return NULL;
}

static void open_session(struct session *s, const tsr_model *model, tsr_pool *pool, unsigned index,
                         unsigned count)
{
    const struct tsr_settings settings = {.context = 128,
                                          .temperature = -1,
                                          .guidance = -1,
                                          .seed = index,
                                          .tokens_max = TOKENS,
                                          .cache_format = ~0u};
    struct tsr_error error = {.message = ""};

    *s = (struct session){.model = model, .pool = pool, .index = index, .count = count};
    s->got = calloc(count, sizeof *s->got);
    if (s->got == NULL || tsr_context_new(&s->context, model, pool, &settings, &error) != TSR_OK)
        die("a context", &error);
}

static void close_session(struct session *s)
{
    tsr_context_free(s->context);
    free(s->got);
}

static tsr_pool *new_pool(void)
{
    const struct tsr_pool_options options = {.threads = POOL_THREADS};
    struct tsr_error error = {.message = ""};
    tsr_pool *pool;

    if (tsr_pool_new(&pool, &options, &error) != TSR_OK)
        die("a pool", &error);
    return pool;
}

/* All sessions at once; those on pools of their own, or on one. `cancels`: the last one is
 * cancelled over and over. */
static unsigned round_of(const char *name, const tsr_model *model, unsigned contexts,
                         unsigned count, uint64_t *const expected[], int own, int cancels)
{
    struct session sessions[CONTEXTS_MAX];
    pthread_t threads[CONTEXTS_MAX];
    tsr_pool *pools[CONTEXTS_MAX] = {own ? NULL : new_pool()};
    unsigned wrong = 0;

    for (unsigned i = 0; i < contexts; i++) {
        if (own)
            pools[i] = new_pool();
        open_session(&sessions[i], model, pools[own ? i : 0], i, count);
        sessions[i].expected = expected[i];
        sessions[i].victim = cancels && i + 1 == contexts;
    }
    for (unsigned i = 0; i < contexts; i++)
        if (pthread_create(&threads[i], NULL, run_session, &sessions[i]) != 0)
            die("a thread", &(struct tsr_error){.message = "cannot be started"});
    for (unsigned i = 0; cancels && i < 200; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        tsr_cancel(sessions[contexts - 1].context);
    }
    for (unsigned i = 0; i < contexts; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < contexts; i++)
        wrong += sessions[i].wrong;
    printf("%s: %u contexts, %u prompts each, %u cancelled, %u wrong\n", name, contexts, count,
           sessions[contexts - 1].cancelled, wrong);
    if (cancels && sessions[contexts - 1].cancelled == 0)
        wrong++; /* nothing was tested */
    for (unsigned i = 0; i < contexts; i++)
        close_session(&sessions[i]);
    for (unsigned i = 0; i < (own ? contexts : 1); i++)
        tsr_pool_free(pools[i]);
    return wrong;
}

int main(int argc, char **argv)
{
    const unsigned contexts = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 8;
    const unsigned count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : repeats("prompts", 50, 2);
    uint64_t *expected[CONTEXTS_MAX];
    struct tsr_error error = {.message = ""};
    unsigned wrong = 0;
    const char *source = getenv("TSR_SRCDIR");
    char path[4096];
    tsr_model *model;

    snprintf(path, sizeof path, "%s/model/mini/mini-janus-Q8_0.gguf",
             source != NULL ? source : ".");
    if (contexts == 0 || contexts > CONTEXTS_MAX || count == 0) {
        fprintf(stderr, "usage: threads [MODEL.gguf [contexts [prompts]]]\n");
        return 2;
    }
    if (tsr_model_open(&model, argc > 1 ? argv[1] : path, NULL, &error) != TSR_OK)
        die("the model", &error);
    for (unsigned i = 0; i < contexts; i++) { /* solo: one at a time, no pool */
        struct session solo;

        open_session(&solo, model, NULL, i, count);
        run_session(&solo);
        expected[i] = solo.got;
        solo.got = NULL;
        close_session(&solo);
    }
    wrong += round_of("one pool", model, contexts, count, expected, 0, 0);
    wrong += round_of("own pools", model, contexts, count, expected, 1, 0);
    wrong += round_of("cancelled", model, contexts, count, expected, 0, 1);
    for (unsigned i = 0; i < contexts; i++)
        free(expected[i]);
    tsr_model_close(model);
    return wrong != 0;
}
