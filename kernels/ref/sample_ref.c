/*
 * sample_ref.c: argmax and sample, by the contracts of struct tsr_argmax and tsr_sample.
 *
 * Candidates are ranked by (logit descending, index ascending), a total order, so heapsort (in
 * place, no allocation) gives the one possible answer. A kept set is a prefix of that order and is
 * told by its last member alone, so the walk in ascending index needs no marks. Without top-k and
 * top-p nothing is sorted. A row's scratch is three arrays of k words: the logits, their p, and the
 * order.
 */
#include "ref/ref.h"

void tsr_argmax_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_argmax *a = args;

    for (size_t m = begin; m < end; m++) {
        struct tsr_best best = {0};

        for (size_t i = 0; i < a->k; i++)
            tsr_best_offer(&best, a->x[m * a->ldx + i], i);
        a->index[m] = best.index;
    }
}

/* Candidate i ranks before candidate j. */
static int before(const float *l, size_t i, size_t j)
{
    return l[i] > l[j] || (l[i] == l[j] && i < j);
}

/* Moves order[root] down the heap of `count` whose top ranks last. */
static void sift(int32_t *order, const float *l, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        const int32_t moved = order[root];

        if (child + 1 < count && before(l, (size_t)order[child], (size_t)order[child + 1]))
            child++;
        if (!before(l, (size_t)moved, (size_t)order[child]))
            return;
        order[root] = order[child];
        order[child] = moved;
    }
}

static void rank(int32_t *order, const float *l, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift(order, l, root, count);
    for (size_t last = count; last-- > 1;) {
        const int32_t top = order[0];

        order[0] = order[last];
        order[last] = top;
        sift(order, l, 0, last);
    }
}

/* How many of the first `count` of the order top-p keeps: the shortest prefix that reaches its
 * share. */
static size_t prefix(const int32_t *order, const float *p, size_t count, float top_p)
{
    double total = 0, sum = 0;

    for (size_t i = 0; i < count; i++)
        total += (double)p[order[i]];
    for (size_t i = 0; i < count; i++) {
        sum += (double)p[order[i]];
        if (sum >= (double)top_p * total)
            return i + 1;
    }
    return count;
}

/* Draws among the candidates that rank not after `last`, in ascending index. */
static int32_t draw(const float *l, const float *p, size_t k, size_t last, float u)
{
    double total = 0, sum = 0;
    int32_t chosen = 0;

    for (size_t i = 0; i < k; i++)
        if (!isnan(l[i]) && !before(l, last, i))
            total += (double)p[i];
    for (size_t i = 0; i < k; i++) {
        if (isnan(l[i]) || before(l, last, i))
            continue;
        chosen = (int32_t)i;
        sum += (double)p[i];
        if (sum > (double)u * total)
            break;
    }
    return chosen;
}

static int32_t sample_row(const struct tsr_sample *a, size_t m)
{
    float *l = (float *)a->scratch + m * 3 * a->k, *p = l + a->k;
    int32_t *order = (int32_t *)(void *)(p + a->k);
    struct tsr_best best = {0};
    size_t count = 0, kept, last;

    for (size_t i = 0; i < a->k; i++) {
        const float cond = a->cond[m * a->ld + i];
        const float uncond = a->uncond ? a->uncond[m * a->ld + i] : 0.0f;

        l[i] = a->uncond ? fmaf(a->guidance, cond - uncond, uncond) : cond;
        l[i] = a->temperature != 0.0f ? l[i] / a->temperature : l[i];
        tsr_best_offer(&best, l[i], i);
    }
    if (!best.found || a->temperature == 0.0f)
        return best.index;
    for (size_t i = 0; i < a->k; i++) {
        p[i] = tsr_exp(l[i] - best.value);
        order[count] = (int32_t)i;
        count += !isnan(l[i]);
    }
    kept = a->top_k > 0 && a->top_k < count ? a->top_k : count;
    last = (size_t)best.index;
    if (kept < count || a->top_p < 1.0f) {
        rank(order, l, count);
        kept = a->top_p < 1.0f ? prefix(order, p, kept, a->top_p) : kept;
        last = (size_t)order[kept - 1];
    } else {
        for (size_t i = 0; i < a->k; i++)
            last = !isnan(l[i]) && before(l, last, i) ? i : last;
    }
    return draw(l, p, a->k, last, a->u[m]);
}

void tsr_sample_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_sample *a = args;

    for (size_t m = begin; m < end; m++)
        a->index[m] = sample_row(a, m);
}
