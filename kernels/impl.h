/*
 * impl.h: the prototype of every implementation in the table. Each file that defines one includes
 * it, so that a misspelt or forgotten row of kernels.def is an error of the compiler or the linker.
 */
#ifndef TSR_IMPL_H
#define TSR_IMPL_H

#include "kernels.h"

#define IMPL(op, tier) void tsr_##op##_##tier(const void *args, size_t begin, size_t end);
#include "kernels.def"

#endif
