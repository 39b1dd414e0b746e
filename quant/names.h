/*
 * names.h: an index of names that came from a file: sorted once, searched by bisection. Private to
 * quant.
 *
 * Sorting, not hashing: no choice of names makes it slow, and duplicates end up side by side.
 */
#ifndef TSR_NAMES_H
#define TSR_NAMES_H

#include <stddef.h>

struct tsr_name {
    const char *text; /* terminated */
    size_t index;     /* of the thing that has this name */
};

/* Sorts; returns a name that is there twice (the later index), or NULL. */
const struct tsr_name *tsr_names_sort(struct tsr_name *names, size_t count);

/* The index of `text`, or SIZE_MAX. */
size_t tsr_names_find(const struct tsr_name *names, size_t count, const char *text);

#endif
