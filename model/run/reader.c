/*
 * reader.c: a prompt of tokens and pictures goes into a cache, piece by piece.
 *
 * Pictures are embedded one at a time, just before their first row is read, into one buffer: a
 * prompt of many pictures takes the memory of one. A piece therefore ends where the next picture
 * begins, and at TSR_PIECE rows at the latest. Pieces change no bits: attention is specified per
 * row, everything else works row by row.
 */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

void tsr_reader_clear(struct tsr_reader *r)
{
    for (size_t i = 0; i < r->picture_count; i++)
        tsr_picture_free(&r->squares[i]);
    free(r->squares);
    free(r->ids);
    *r = (struct tsr_reader){.seen = r->seen};
}

static tsr_status grow(struct tsr_reader *r, size_t ids, size_t pictures, struct tsr_error *error)
{
    int32_t *more = realloc(r->ids, (r->count + ids + 1) * sizeof *more);
    struct tsr_picture *squares;

    if (more == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    r->ids = more;
    squares = realloc(r->squares, (r->picture_count + pictures + 1) * sizeof *squares);
    if (squares == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    r->squares = squares;
    return TSR_OK;
}

tsr_status tsr_reader_add(struct tsr_reader *r, const struct tsr_model *model, const int32_t *ids,
                          size_t count, const struct tsr_picture *pictures, size_t picture_count,
                          const struct tsr_kernels *kernels, tsr_pool *pool,
                          struct tsr_error *error)
{
    const struct tsr_traits *t = &model->net.traits;
    size_t placeholders = 0;
    tsr_status status;

    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= t->vocabulary)
            return tsr_fail(error, TSR_USAGE, "token id %d is not in 0 to %zu", ids[i],
                            t->vocabulary - 1);
        placeholders += ids[i] == model->ids.picture;
    }
    if (placeholders != picture_count * t->see_tokens)
        return tsr_fail(error, TSR_USAGE,
                        "%zu picture positions for %zu pictures of %zu positions each",
                        placeholders, picture_count, t->see_tokens);
    if (r->done == r->count)
        tsr_reader_clear(r);
    status = grow(r, count, picture_count, error);
    if (status != TSR_OK)
        return status;
    for (size_t i = 0; i < picture_count && status == TSR_OK; i++) {
        status = tsr_picture_square(&r->squares[r->picture_count], &pictures[i], &model->rule,
                                    kernels, pool, error);
        r->picture_count += status == TSR_OK;
    }
    if (status != TSR_OK)
        return status;
    if (count > 0)
        memcpy(r->ids + r->count, ids, count * sizeof *ids);
    r->count += count;
    return TSR_OK;
}

void tsr_see_picture(struct tsr_exec *e, const struct tsr_model *model,
                     const struct tsr_picture *square, float *y)
{
    const struct tsr_traits *t = &model->net.traits;
    const size_t mark = tsr_mark(e);
    float *patches = tsr_floats(e, t->see_tokens, 3 * t->see_patch * t->see_patch);

    if (tsr_live(e))
        tsr_picture_patches(patches, square, t->see_patch, &model->rule);
    model->net.family->see(e, &model->net, patches, y);
    tsr_release(e, mark);
}

/* Whether the id at `at` with `before` placeholders before it is a row of a picture not yet seen.
 */
static int unseen(const struct tsr_model *model, const struct tsr_reader *r, size_t at,
                  size_t before)
{
    return r->ids[at] == model->ids.picture && before / model->net.traits.see_tokens >= r->loaded;
}

int tsr_reader_see(struct tsr_exec *e, const struct tsr_model *model, struct tsr_reader *r)
{
    if (r->done >= r->count || !unseen(model, r, r->done, r->placeholders))
        return 0;
    tsr_see_picture(e, model, &r->squares[r->loaded], r->seen);
    r->loaded++;
    return 1;
}

size_t tsr_reader_rows(const struct tsr_model *model, const struct tsr_reader *r)
{
    size_t rows = 0, placeholders = r->placeholders;

    while (rows < TSR_PIECE && r->done + rows < r->count &&
           !unseen(model, r, r->done + rows, placeholders)) {
        placeholders += r->ids[r->done + rows] == model->ids.picture;
        rows++;
    }
    return rows;
}

void tsr_reader_step(struct tsr_exec *e, const struct tsr_model *model, struct tsr_reader *r,
                     const struct tsr_cache *cache, size_t start, size_t rows, float *x)
{
    const struct tsr_traits *t = &model->net.traits;
    const int32_t *ids = r->ids != NULL ? r->ids + r->done : NULL; /* NULL: a dry run */
    const size_t slot = 0;
    struct tsr_batch batch = {
        .cache = cache, .count = 1, .rows = rows, .slots = &slot, .start = &start};

    model->net.family->embed(e, &model->net, ids, rows, x);
    if (tsr_live(e)) {
        for (size_t i = 0; i < rows; i++)
            if (ids[i] == model->ids.picture)
                memcpy(x + i * t->width, r->seen + r->placeholders++ % t->see_tokens * t->width,
                       t->width * sizeof *x);
        r->done += rows;
    }
    model->net.family->trunk(e, &model->net, &batch, x);
}
