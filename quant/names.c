/*
 * names.c: an index of names; see names.h. Equal names are ordered by index, so that the sort has
 * one result and a duplicate is reported at its second place.
 */
#include "names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct tsr_name *x = a, *y = b;
    int order = strcmp(x->text, y->text);

    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

const struct tsr_name *tsr_names_sort(struct tsr_name *names, size_t count)
{
    if (count > 1)
        qsort(names, count, sizeof *names, compare);
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1].text, names[i].text) == 0)
            return &names[i];
    return NULL;
}

size_t tsr_names_find(const struct tsr_name *names, size_t count, const char *text)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names[middle].text, text);

        if (order == 0)
            return names[middle].index;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
