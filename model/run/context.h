/*
 * context.h: a conversation's state, shared by context.c (memory, prompts), next.c (the stream of
 * events) and probe.c. Private to model/run.
 */
#ifndef TSR_CONTEXT_H
#define TSR_CONTEXT_H

#include <sys/types.h>

#include "run/run.h"

/* What the next call of tsr_next does. */
enum tsr_phase {
    TSR_PHASE_IDLE, /* prompts are taken */
    TSR_PHASE_READ, /* the prompt of a text */
    TSR_PHASE_TEXT,
    TSR_PHASE_DRAW_READ, /* the prompt of a drawing */
    TSR_PHASE_DRAW,
    TSR_PHASE_PAINT, /* codes to pixels */
    TSR_PHASE_OVER,  /* END is to be sent */
    TSR_PHASE_DEAD   /* after an error or a cancel */
};

/* A user's turn that has not been answered yet. */
struct tsr_turn {
    char *content;
    size_t pictures;
};

struct tsr_context {
    const struct tsr_model *model;
    struct tsr_settings settings; /* resolved: no field asks for a default */
    pid_t owner;
    atomic_int cancel;

    /* memory: one block for the stack, one for each cache */
    struct tsr_exec exec;
    struct tsr_cache talk;
    struct tsr_cache draw; /* its capacity is what the drawing under way takes, so that it fills its */
    size_t draw_room;      /* memory, of so many positions, from the start and without holes */
    size_t rows;     /* of a drawing: count, or twice that with guidance */
    float *logits;   /* [vocabulary], or [rows, codebook] */
    void *sampling;  /* scratch of the sample operator */
    float *uniform;  /* [count] */
    int32_t *picked; /* [rows] */
    int32_t *codes;  /* [count, codes] */
    float *pixels;   /* [side, side, 3] */
    uint8_t *rgb;    /* [side, side, 3] */
    size_t fixed;    /* the stack's mark above these */

    enum tsr_phase phase;
    /* prompts */
    char *system; /* NULL: the model's own */
    struct tsr_turn *turns;
    size_t turn_count;
    struct tsr_picture *pictures; /* of the turns, squared */
    size_t picture_count;
    struct tsr_reader reader; /* of the conversation */
    size_t used;              /* positions of the talk cache */
    int begun;                /* a user's turn is in the conversation */
    int replied;              /* the conversation ends in a reply */
    /* text */
    int32_t token; /* the last one, in the cache unless `fresh` */
    int fresh;
    size_t tokens;   /* of this reply */
    const char *why; /* it ended */
    struct tsr_utf8 utf8;
    char *bytes;
    size_t bytes_room;
    /* a drawing */
    int32_t *draw_ids; /* [2, draw_count]: with the prompt, without */
    size_t draw_count, draw_done, step, painted;
};

/*
 * The steps: each is one bounded piece of work. Run on a dry exec they plan their memory and change
 * nothing. read    `rows` positions of the prompt into the conversation; last: and the logits after
 * them token   the last token into the conversation, and the logits after it prompt  `rows`
 * positions of a drawing's two rows; last: and the logits, for all pictures codes   the last code
 * of each picture, and the logits after it paint   pixels of codes [codes] into c->rgb
 */
void tsr_step_read(struct tsr_context *c, struct tsr_exec *e, size_t rows, int last);
void tsr_step_token(struct tsr_context *c, struct tsr_exec *e);
void tsr_step_prompt(struct tsr_context *c, struct tsr_exec *e, size_t rows, int last);
void tsr_step_codes(struct tsr_context *c, struct tsr_exec *e);
void tsr_step_paint(struct tsr_context *c, struct tsr_exec *e, const int32_t *codes);

/* TSR_OK if the caller may use the context: same process, not dead. */
tsr_status tsr_context_usable(const struct tsr_context *c, struct tsr_error *error);

/* How a step ended, before its result is given out: TSR_INTERRUPTED after a cancel, TSR_IO if the
 * model's file was cut meanwhile, else `status`. */
tsr_status tsr_context_outcome(const struct tsr_context *c, tsr_status status,
                               struct tsr_error *error);

#endif
