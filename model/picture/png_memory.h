/*
 * png_memory.h: memory for libpng and its zlib. libpng reports a failed allocation as it reports
 * damage, by a text; so what it could not get is noted here, in the int that the struct was created
 * with.
 */
#ifndef TSR_PNG_MEMORY_H
#define TSR_PNG_MEMORY_H

#include <png.h>
#include <stdlib.h>

static inline png_voidp tsr_png_take(png_structp png, png_alloc_size_t bytes)
{
    void *const block = malloc(bytes);

    if (block == NULL)
        *(int *)png_get_mem_ptr(png) = 1;
    return block;
}

static inline void tsr_png_give(png_structp png, png_voidp block)
{
    (void)png;
    free(block);
}

#endif
