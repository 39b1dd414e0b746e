/* test_oracle.c: the oracle of tests/oracle.h against pictures drawn by the generator.
 *
 * model/mini/eval/ holds 300 pictures of the mini model's world on one sheet, drawn by
 * model/mini/world.py, and what is in each. The oracle must find exactly that in every one of them,
 * must grant a scene to itself and deny it to every different scene, and must refuse pictures that
 * are not of the world. (The generator and the oracle were also compared on 20,000 other pictures;
 * that needs Python, so it is not repeated here.) */
#include "model.h"
#include "oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 300, ROW = 20, BYTES = TSR_ORACLE_SIDE * TSR_ORACLE_SIDE * 3 };

struct expected {
    struct tsr_picture sheet;
    struct tsr_oracle_scene scenes[PICTURES];
};

static void path_of(char *path, size_t size, const char *name)
{
    const char *root = getenv("TSR_SRCDIR");
    snprintf(path, size, "%s/model/mini/eval/%s", root ? root : ".", name);
}

/* The sheet and the lines "scene <tab> picture <tab> <tab> spec" of set.tsv. */
static void load(struct expected *e)
{
    char path[4096], line[4096];
    struct tsr_error error;
    int count = 0;
    path_of(path, sizeof path, "pictures.png");
    cr_assert_eq(tsr_picture_read(&e->sheet, path, &error), TSR_OK);
    cr_assert_eq(e->sheet.width, ROW * TSR_ORACLE_SIDE);
    cr_assert_eq(e->sheet.height, PICTURES / ROW * TSR_ORACLE_SIDE);
    path_of(path, sizeof path, "set.tsv");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "scene\t", 6))
            continue;
        line[strcspn(line, "\n")] = '\0';
        int index = atoi(line + 6);
        cr_assert(index == count && index < PICTURES);
        cr_assert(tsr_oracle_parse(strrchr(line, '\t') + 1, &e->scenes[count++]), "%s", line);
    }
    fclose(file);
    cr_assert_eq(count, PICTURES);
}

/* Picture i of the sheet. */
static void cut(const struct tsr_picture *sheet, int i, uint8_t *rgb)
{
    const size_t bytes = 3 * TSR_ORACLE_SIDE;
    for (int y = 0; y < TSR_ORACLE_SIDE; y++)
        memcpy(rgb + (size_t)y * bytes,
               sheet->rgb +
                   ((size_t)(i / ROW * TSR_ORACLE_SIDE + y) * ROW + (size_t)(i % ROW)) * bytes,
               bytes);
}

Test(oracle, finds_what_the_generator_drew)
{
    static struct expected e;
    static uint8_t rgb[BYTES];
    load(&e);
    for (int i = 0; i < PICTURES; i++) {
        struct tsr_oracle_scene scene;
        cut(&e.sheet, i, rgb);
        cr_assert_eq(tsr_oracle_read(rgb, TSR_ORACLE_SIDE, TSR_ORACLE_SIDE, &scene), TSR_ORACLE_OK,
                     "picture %d", i);
        cr_assert(tsr_oracle_grants(&scene, &e.scenes[i]), "picture %d", i);
        for (int j = 0; j < i; j++)
            if (tsr_oracle_grants(&e.scenes[i], &e.scenes[j]))
                cr_assert(tsr_oracle_grants(&e.scenes[j], &e.scenes[i]));
            else
                cr_assert_not(tsr_oracle_grants(&scene, &e.scenes[j]), "%d as %d", i, j);
    }
    tsr_picture_free(&e.sheet);
}

Test(oracle, refuses_what_is_not_of_the_world)
{
    static struct expected e;
    static uint8_t rgb[BYTES];
    struct tsr_oracle_scene scene;
    load(&e);
    cr_assert_eq(tsr_oracle_read(e.sheet.rgb, 1280, 960, &scene), TSR_ORACLE_NOT_64X64);
    for (int i = 0; i < BYTES; i++)
        rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    cr_assert_eq(tsr_oracle_read(rgb, 64, 64, &scene), TSR_ORACLE_NO_GROUND);
    cut(&e.sheet, 0, rgb); /* a big blue triangle at the top left, on grey */
    for (int y = 0; y < 16; y++)
        memset(rgb + y * 64 * 3, 150, 8 * 3); /* half of it */
    cr_assert_eq(tsr_oracle_read(rgb, 64, 64, &scene), TSR_ORACLE_UNCLEAR);
    tsr_picture_free(&e.sheet);
}

Test(oracle, wishes_leave_things_open)
{
    struct tsr_oracle_scene scene, wish;
    cr_assert(tsr_oracle_parse("grey;big,red,circle,top left;small,red,ring,centre", &scene));
    cr_assert(tsr_oracle_parse("-;-,red,-,-;-,-,circle,top left", &wish));
    cr_assert(tsr_oracle_grants(&scene, &wish)); /* only the ring can be the first */
    cr_assert(tsr_oracle_parse("-;-,red,circle,top left", &wish));
    cr_assert_not(tsr_oracle_grants(&scene, &wish)); /* one object too many */
    cr_assert(tsr_oracle_parse("black;-,red,-,-;-,red,-,-", &wish));
    cr_assert_not(tsr_oracle_grants(&scene, &wish));
    cr_assert_not(tsr_oracle_parse("grey;big,red,circle", &wish));
    cr_assert_not(tsr_oracle_parse("grey;big,red,blob,top", &wish));
    cr_assert_not(tsr_oracle_parse("grey;big,red,circle,top,left", &wish));
    cr_assert_not(tsr_oracle_parse("", &wish));
}
