/*
 * exec.h: what every block of a model is given: the threads, the kernels, and memory for one pass.
 *
 * Memory is a stack: a block marks, takes what it needs, and releases. The same forward pass, run
 * *dry*, computes nothing but moves the stack, so its peak is the plan, and plan and use cannot
 * disagree. Operators are called by tsr_do_<op>, which does nothing when dry or after a cancel: a
 * cancelled pass ends within one operator, and its result is thrown away. Code of a block that
 * touches the memory itself asks tsr_live first.
 */
#ifndef TSR_EXEC_H
#define TSR_EXEC_H

#include <stdatomic.h>

#include "par.h"

struct tsr_exec {
    tsr_pool *pool; /* NULL: the calling thread */
    struct tsr_kernels kernels;
    uint8_t *base; /* the stack, 64-byte aligned; NULL when dry */
    size_t bytes;  /* its size */
    size_t used, peak;
    uint32_t maps; /* TSR_F32 or TSR_F16: the format of a picture tokenizer's maps */
    const atomic_int *cancel;    /* may be NULL */
    struct tsr_profile *profile; /* NULL: nobody measures */
    double since; /* when the last operator ended; 0: none has since tsr_pass_begin, or nobody measures */
};

/* What the caller did since the last pass is no operator's time. */
static inline void tsr_pass_begin(struct tsr_exec *e)
{
    e->since = 0;
}

/*
 * Runs an operator and adds its time and work to the profile. Its time begins where that of the operator before it
 * in the pass ended: making its arguments belongs to it.
 */
void tsr_do_profiled(struct tsr_exec *e, enum tsr_op op, const void *args, tsr_kernel *kernel,
                     size_t units);

/* Whether operators run: not dry, not cancelled. */
static inline int tsr_live(const struct tsr_exec *e)
{
    return e->base != NULL &&
           (e->cancel == NULL || atomic_load_explicit(e->cancel, memory_order_relaxed) == 0);
}

/* Takes rows * columns elements of `size` bytes, 64-byte aligned, until the mark before is
 * released. */
void *tsr_take(struct tsr_exec *e, size_t rows, size_t columns, size_t size);

static inline float *tsr_floats(struct tsr_exec *e, size_t rows, size_t columns)
{
    return tsr_take(e, rows, columns, sizeof(float));
}

static inline size_t tsr_mark(const struct tsr_exec *e)
{
    return e->used;
}
static inline void tsr_release(struct tsr_exec *e, size_t mark)
{
    e->used = mark;
}

/* A zeroed block of memory, 64-byte aligned, that lives longer than a pass; NULL when there is
 * none. */
void *tsr_block_new(size_t bytes);
/* The same for what is filled from its start on and read again and again: on huge pages, if the
 * system has them. */
void *tsr_block_huge(size_t bytes);
void tsr_block_free(void *block); /* NULL allowed */

#define OP(name, args_)                                                                            \
    static inline void tsr_do_##name(struct tsr_exec *e, const struct tsr_##args_ *args)           \
    {                                                                                              \
        if (!tsr_live(e))                                                                          \
            return;                                                                                \
        if (e->profile == NULL)                                                                    \
            tsr_run_##name(e->pool, &e->kernels, args);                                            \
        else                                                                                       \
            tsr_do_profiled(e, TSR_OP_##name, args, e->kernels.name, tsr_##args_##_units(args));   \
    }
#include "kernels.def"

#endif
