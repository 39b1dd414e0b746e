/*
 * planted.h: implementations with one known bug each, which the harness must catch, and correct
 * ones that it must not. A kernel test that lets one of these through is worth nothing.
 */
#ifndef TSR_TEST_PLANTED_H
#define TSR_TEST_PLANTED_H

#include "impl.h"

struct planted {
    uint8_t op;
    tsr_kernel *run;
    const char *bug; /* NULL: correct */
};

extern const struct planted planted[];
extern const size_t planted_count;

#endif
