/*
 * impl.h: the prototype of every implementation in the table, so that a misspelt or forgotten row of
 * kernels.def is an error of the compiler or the linker; and how convolutions walk over their units.
 */
#ifndef TSR_IMPL_H
#define TSR_IMPL_H

#include "kernels.h"

#define IMPL(op, tier) void tsr_##op##_##tier(const void *args, size_t begin, size_t end);
#include "kernels.def"

/* Units of a convolution that share their outputs: pixels [pixel, last) x panels [panel, end). */
struct tsr_conv_part {
    size_t units, pixel, last, panel, end;
};

/* The first of them in [begin, end). */
static inline struct tsr_conv_part tsr_conv_part(const struct tsr_conv2d *s, size_t cout,
                                                 size_t begin, size_t end)
{
    const size_t panels = tsr_ceil_div(cout, TSR_PANEL), each = tsr_conv2d_panels(s, cout);
    const size_t row = begin % s->oh, panel = begin / s->oh * each;
    const size_t rows = end - begin < s->oh - row ? end - begin : s->oh - row;

    return (struct tsr_conv_part){
        .units = rows,
        .pixel = row * s->ow,
        .last = (row + rows) * s->ow,
        .panel = panel,
        .end = panels - panel < each ? panels : panel + each};
}

#endif
