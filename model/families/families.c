/*
 * families.c: the list of families, and the walk over a family's tensor tables.
 *
 * A walk turns a row of a table into the one or two tensors it stands for, with names and shapes
 * filled in for the given indices. Conversion, opening and planning are visitors of the same walk,
 * so they agree on what a model is.
 */
#include "families/family.h"

#include <stdio.h>
#include <string.h>

const struct tsr_family *const tsr_families[] = {&tsr_family_janus};
const size_t tsr_family_count = sizeof tsr_families / sizeof *tsr_families;

/* Appends text to a name, '#' replaced by the next of the two indices. */
static void append(char name[TSR_NAME_MAX], const char *text, const size_t index[2], unsigned *used)
{
    size_t at = strlen(name);

    for (; *text != '\0' && at + 24 < TSR_NAME_MAX; text++)
        if (*text == '#')
            at += (size_t)snprintf(name + at, TSR_NAME_MAX - at, "%zu", index[(*used)++ & 1]);
        else
            name[at++] = *text;
    name[at] = '\0';
}

/* path + row + suffix; cuts a trailing "[i]" off the row's name and returns i, else -1. */
static int compose(char name[TSR_NAME_MAX], const char *const path[3], const char *row,
                   const char *suffix, const size_t index[2])
{
    unsigned used = 0;
    int third = -1;
    size_t length;

    name[0] = '\0';
    for (int i = 0; i < 3 && path[i] != NULL; i++)
        append(name, path[i], index, &used);
    append(name, row[0] == '=' ? row + 1 : row, index, &used);
    length = strlen(name);
    if (length > 3 && name[length - 1] == ']') {
        third = name[length - 2] - '0';
        name[length - 3] = '\0';
    }
    if (row[0] != '=')
        append(name, suffix, index, &used);
    return third;
}

/* Shape and matrix size of the weight of a row. */
static void measure(struct tsr_slot *slot, const struct tsr_walk *walk, const char *letters)
{
    size_t axes[4] = {1, 1, 1, 1};
    unsigned count = 0;

    for (; *letters != '\0' && count < 4; letters++)
        axes[count++] = *letters >= '0' && *letters <= '9' ? (size_t)(*letters - '0')
                                                           : walk->dim[(unsigned char)*letters];
    for (unsigned i = 0; i < count; i++)
        if (axes[i] != 1)
            slot->shape[slot->dims++] = axes[i];
    slot->n = count == 1 ? 1 : axes[0];
    slot->k = count == 1 ? axes[0] : axes[1] * axes[2] * axes[3];
    slot->cin = axes[1];
    slot->conv_size = axes[2];
}

static void visit(struct tsr_walk *walk, const struct tsr_group *group, const struct tsr_row *row,
                  void *base, const size_t index[2], int bias)
{
    struct tsr_slot slot = {
        .kind = row->kind, .part = group->part, .bias = bias, .target = (char *)base + row->offset};
    const char *suffix = bias ? ".bias" : ".weight";

    if (walk->status != TSR_OK)
        return;
    compose(slot.name, group->path[0], row->name, suffix, index);
    compose(slot.library, group->path[1], row->library, suffix, index);
    slot.third = compose(slot.official, group->path[2],
                         row->official != NULL ? row->official : row->library, suffix, index);
    measure(&slot, walk, row->shape);
    if (bias) { /* a vector as long as the weight has outputs; of a norm, as the weight */
        const size_t n = slot.n == 1 && slot.dims == 1 ? slot.k : slot.n;
        slot.dims = n != 1;
        slot.shape[0] = n;
        slot.n = 1;
        slot.k = n;
    }
    walk->status = walk->visit(walk->data, &slot, walk->error);
}

void tsr_walk_group(struct tsr_walk *walk, const struct tsr_group *group, void *base, size_t i,
                    size_t j)
{
    const size_t index[2] = {i, j};

    for (size_t r = 0; r < group->count; r++) {
        const struct tsr_row *row = &group->rows[r];
        visit(walk, group, row, base, index, 0);
        if (row->kind == TSR_ROW_LINEAR_BIAS || row->kind == TSR_ROW_PATCH ||
            row->kind == TSR_ROW_CONV || row->kind == TSR_ROW_SCALE_BIAS)
            visit(walk, group, row, base, index, 1);
    }
}
