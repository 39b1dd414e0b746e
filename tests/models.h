/*
 * models.h: the fixture checkpoints as opened models, their prompts, and a reply run to its end.
 * A failure fails the test. Include criterion before.
 */
#ifndef TSR_TEST_MODELS_H
#define TSR_TEST_MODELS_H

#include <jansson.h>

#include "npy.h"
#include "run/context.h"

enum { MODEL_FIXTURES = 3 };
extern const char *const model_fixtures[MODEL_FIXTURES];

/* Greedy, 32 tokens, defaults otherwise. */
extern const struct tsr_settings settings_greedy;

/* A fixture converted into a temporary file, opened, and the file removed: it stays mapped. */
tsr_model *model_converted(const char *folder, uint32_t format);
tsr_context *context_new(const tsr_model *model, tsr_pool *pool,
                         const struct tsr_settings *settings);

/* The case's description and its two pictures. */
struct example {
    json_t *facts;
    struct tsr_picture pictures[2];
    char *question; /* the user's text of the understanding prompt */
};
struct example example_read(const char *folder);
void example_free(struct example *x);

/* The understanding prompt as a probe. */
struct tsr_probe probe_of(const struct npy *ids, const struct example *x, float *logits);

/* Reads the stream to its end; the reply's tokens, or the codes of all pictures, into out [room].
 */
size_t context_run(tsr_context *context, unsigned want, int32_t *out, size_t room);

#endif
