/*
 * resize.c: PIL's Image.resize of 8-bit pictures, bit for bit.
 *
 * Pillow (src/libImaging/Resample.c): two passes, each rounded to 8 bits; a pass that would not
 * change its side is left out. The horizontal one comes first, but since Pillow 13 the vertical one
 * does if the height loses more than twice as many pixels as the width does (pull request 9549; earlier
 * versions, which differ by a level in a few pixels of such tall pictures, are not reproduced). For output index o the centre in the input is (o + 0.5) * scale, the filter is
 * stretched by max(scale, 1), its taps are the inputs within the support, their weights, computed
 * and normalized in double, become integers of 22 fraction bits, rounded half away from zero. The
 * sums are the `resize` operator's. Lanczos needs a sine: its Taylor series here, because the last
 * bit of libm's differs between systems; both are so near to the true value that rounding to 22
 * bits makes them equal.
 */
#include <config.h>

#include "codec.h"

#include <stdlib.h>
#include <string.h>

struct pass {
    size_t size, taps;
    int32_t *first, *count, *coef;
};

/* Keys' cubic convolution with a = -1/2. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = x < 0 ? -x : x;
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* sin(pi x): x is brought to [-1/2, 1/2] exactly; there 12 terms of the series leave less than
 * 2^-60. */
static double sin_pi(double x)
{
    int half_turns = (int)(x < 0 ? x - 0.5 : x + 0.5);
    double t = (x - half_turns) * 3.14159265358979323846, term = t, sum = t;
    for (int k = 1; k < 12; k++) {
        term = -term * (t * t) / (2 * k * (2 * k + 1));
        sum += term;
    }
    return half_turns % 2 ? -sum : sum;
}

static double sinc(double x)
{
    return x == 0 ? 1 : sin_pi(x) / (x * 3.14159265358979323846);
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
    double (*weight)(double);
    double support;
} filters[] = {[TSR_BICUBIC] = {bicubic, 2}, [TSR_LANCZOS] = {lanczos, 3}};

static void free_pass(struct pass *pass)
{
    free(pass->first);
    free(pass->count);
    free(pass->coef);
}

/* The weights of a pass from `from` to `size` inputs. 0: out of memory. */
static int make_pass(struct pass *pass, size_t from, size_t size, enum tsr_filter filter)
{
    double scale = (double)from / (double)size, stretch = scale < 1 ? 1 : scale;
    double support = filters[filter].support * stretch;
    size_t above = (size_t)support;
    *pass = (struct pass){.size = size, .taps = (above + ((double)above < support)) * 2 + 1};
    pass->first = malloc(size * sizeof *pass->first);
    pass->count = malloc(size * sizeof *pass->count);
    pass->coef = calloc(size * pass->taps,
                        sizeof *pass->coef); /* at most 65535 * (6 * 65535 + 3) for silly sizes */
    double *weights = malloc(pass->taps * sizeof *weights);
    int done = pass->first && pass->count && pass->coef && weights;
    for (size_t o = 0; o < size && done; o++) {
        double centre = ((double)o + 0.5) * scale, sum = 0;
        double low = centre - support + 0.5, high = centre + support + 0.5;
        size_t first = low < 0 ? 0 : (size_t)low, end = (size_t)high > from ? from : (size_t)high;
        for (size_t i = first; i < end; i++) {
            weights[i - first] = filters[filter].weight(((double)i - centre + 0.5) * (1 / stretch));
            sum += weights[i - first];
        }
        pass->first[o] = (int32_t)first;
        pass->count[o] = (int32_t)(end - first);
        for (size_t i = 0; i < end - first; i++) {
            double exact = (sum != 0 ? weights[i] / sum : weights[i]) * (1 << 22);
            pass->coef[o * pass->taps + i] = (int32_t)(exact < 0 ? exact - 0.5 : exact + 0.5);
        }
    }
    free(weights);
    return done;
}

/* One pass; to->rgb is new memory, to be freed also if this fails. 0: out of memory. */
static int run_pass(struct tsr_picture *to, const struct tsr_picture *from, size_t size,
                    int vertical, enum tsr_filter filter, const struct tsr_kernels *kernels,
                    tsr_pool *pool)
{
    struct pass pass;
    *to = *from;
    *(vertical ? &to->height : &to->width) = size;
    to->rgb = malloc(to->width * to->height * 3);
    int done = make_pass(&pass, vertical ? from->height : from->width, size, filter) && to->rgb;
    if (done) {
        struct tsr_resize args = {.x = from->rgb,
                                  .y = to->rgb,
                                  .h = from->height,
                                  .w = from->width,
                                  .c = 3,
                                  .size = size,
                                  .taps = pass.taps,
                                  .first = pass.first,
                                  .count = pass.count,
                                  .coef = pass.coef,
                                  .vertical = vertical};
        tsr_run_resize(pool, kernels, &args);
    }
    free_pass(&pass);
    return done;
}

tsr_status tsr_picture_resize_with(struct tsr_picture *out, const struct tsr_picture *in,
                                   size_t width, size_t height, enum tsr_filter filter,
                                   const struct tsr_kernels *kernels, tsr_pool *pool,
                                   struct tsr_error *error)
{
    *out = (struct tsr_picture){0};
    if (!in->width || !in->height || in->width > TSR_PICTURE_SIDE_MAX ||
        in->height > TSR_PICTURE_SIDE_MAX || !width || !height || width > TSR_PICTURE_SIDE_MAX ||
        height > TSR_PICTURE_SIDE_MAX || width > TSR_PICTURE_AREA_MAX / height)
        return tsr_fail(error, TSR_USAGE, "cannot resize %zu x %zu pixels to %zu x %zu", in->width,
                        in->height, width, height);
    long across = (long)in->width - (long)width, down = (long)in->height - (long)height;
    int vertical = down > 0 && down > 2 * across;
    struct tsr_picture now = *in, next;
    int done = 1;
    for (int i = 0; i < 2 && done; i++, vertical = !vertical) {
        if (vertical ? !down : !across)
            continue;
        done = run_pass(&next, &now, vertical ? height : width, vertical, filter, kernels, pool);
        if (now.rgb != in->rgb)
            free(now.rgb);
        now = next;
    }
    if (done && now.rgb == in->rgb) {
        now.rgb = malloc(width * height * 3);
        done = now.rgb != NULL;
        if (done)
            memcpy(now.rgb, in->rgb, width * height * 3);
    }
    if (!done) {
        free(now.rgb);
        return tsr_fail(error, TSR_MEMORY, "out of memory to resize a picture to %zu x %zu", width,
                        height);
    }
    *out = now;
    return TSR_OK;
}

tsr_status tsr_picture_resize(struct tsr_picture *out, const struct tsr_picture *in, size_t width,
                              size_t height, enum tsr_filter filter, struct tsr_error *error)
{
    uint32_t able = tsr_cpu_tiers();
    *out = (struct tsr_picture){0};
    if (!able)
        return tsr_fail(
            error, TSR_CPU,
            "this CPU is below the floor: x86-64 with AVX2, FMA, F16C and BMI2, or AArch64");
    struct tsr_kernels kernels = tsr_kernels_select(able & ~tsr_cpu_slow_tiers());
    return tsr_picture_resize_with(out, in, width, height, filter, &kernels, NULL, error);
}
