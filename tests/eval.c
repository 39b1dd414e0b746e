/*
 * eval.c: scores models on the held-out set of the mini model: `make eval`.
 *
 *   eval SET.tsv PICTURES.png MODEL.gguf...
 *
 * Per model and line of the set (model/mini/make_eval.py): a caption or an answer counts when it is exactly the expected
 * text, without surrounding blanks, by greedy decoding; a drawing counts when the oracle (oracle.h), which knows nothing of
 * the model, finds exactly what the prompt asked for, drawn with the model's default guidance, temperature 1 and
 * seed 1. With `scene` lines the oracle itself is checked on the generator's pictures. Prints one row per model.
 * TSR_EVAL_LIMIT=N scores the first N pictures only; TSR_EVAL_TEMP and TSR_EVAL_GUIDANCE draw with other settings;
 * TSR_EVAL_VERBOSE=1 prints what was wrong.
 */
#include "model.h"
#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096, REPLY_BYTES = 2048, COLUMNS = 4, SHEET_ROW = 20 };

enum score { SCENES, CAPTIONS, QUESTIONS, DRAWINGS, SCORES };

static const char *const score_names[SCORES] = {"oracle", "captions", "questions", "drawings"};

struct tally {
    unsigned right[SCORES], all[SCORES];
};

struct eval {
    tsr_context *reader, *drawer;
    struct tsr_picture sheet;
    struct tally tally;
    int verbose;
};

/* A number from the environment, or `otherwise`. */
static float setting(const char *name, float otherwise)
{
    const char *const text = getenv(name);

    return text != NULL ? strtof(text, NULL) : otherwise;
}

static void die(const struct tsr_error *error)
{
    fprintf(stderr, "eval: %s\n", error->message);
    exit(error->status != TSR_OK ? (int)error->status : 1);
}

/* Picture `index` of the sheet, copied into rgb [64, 64, 3]. */
static struct tsr_picture cut(const struct tsr_picture *sheet, size_t index, uint8_t *rgb)
{
    const size_t side = TSR_ORACLE_SIDE, left = index % SHEET_ROW * side, top = index / SHEET_ROW * side;

    if (left + side > sheet->width || top + side > sheet->height) {
        fprintf(stderr, "eval: picture %zu is not on the sheet\n", index);
        exit(TSR_MALFORMED);
    }
    for (size_t y = 0; y < side; y++)
        memcpy(rgb + y * side * 3, sheet->rgb + ((top + y) * sheet->width + left) * 3, side * 3);
    return (struct tsr_picture){side, side, rgb};
}

/* The reply to a question about a picture, without surrounding blanks. */
static void ask(struct eval *eval, const struct tsr_picture *picture, const char *question, char *reply)
{
    struct tsr_event event;
    struct tsr_error error;
    size_t bytes = 0;
    tsr_status status;
    char *start = reply;

    tsr_context_reset(eval->reader);
    if (tsr_prompt_user(eval->reader, question, picture, 1, &error) != TSR_OK ||
        tsr_want(eval->reader, TSR_TEXT, &error) != TSR_OK)
        die(&error);
    while ((status = tsr_next(eval->reader, &event, &error)) == TSR_OK)
        if (event.kind == TSR_EVENT_TEXT && bytes + event.bytes < REPLY_BYTES) {
            memcpy(reply + bytes, event.text, event.bytes);
            bytes += event.bytes;
        }
    if (status != TSR_END)
        die(&error);
    while (bytes > 0 && reply[bytes - 1] == ' ')
        bytes--;
    reply[bytes] = '\0';
    while (*start == ' ')
        start++;
    memmove(reply, start, strlen(start) + 1);
}

static int draw(struct eval *eval, const char *prompt, const char *expected)
{
    struct tsr_oracle_scene wish, scene;
    struct tsr_event event;
    struct tsr_error error;
    tsr_status status;
    int granted = 0;

    if (!tsr_oracle_parse(expected, &wish)) {
        fprintf(stderr, "eval: '%s' is no wish\n", expected);
        exit(TSR_MALFORMED);
    }
    tsr_context_reset(eval->drawer);
    if (tsr_prompt_user(eval->drawer, prompt, NULL, 0, &error) != TSR_OK ||
        tsr_want(eval->drawer, TSR_PICTURE, &error) != TSR_OK)
        die(&error);
    while ((status = tsr_next(eval->drawer, &event, &error)) == TSR_OK)
        if (event.kind == TSR_EVENT_PICTURE)
            granted = tsr_oracle_read(event.picture.rgb, (int)event.picture.width, (int)event.picture.height,
                                      &scene) == TSR_ORACLE_OK &&
                      tsr_oracle_grants(&scene, &wish);
    if (status != TSR_END)
        die(&error);
    return granted;
}

static void score_line(struct eval *eval, char *const column[COLUMNS])
{
    const char *const kind = column[0];
    uint8_t rgb[TSR_ORACLE_SIDE * TSR_ORACLE_SIDE * 3];
    const struct tsr_picture picture = cut(&eval->sheet, strtoul(column[1], NULL, 10), rgb);
    struct tsr_oracle_scene scene, wish;
    char reply[REPLY_BYTES] = "";
    enum score score;
    int right;

    if (strcmp(kind, "scene") == 0) {
        score = SCENES;
        right = tsr_oracle_parse(column[3], &wish) &&
                tsr_oracle_read(picture.rgb, TSR_ORACLE_SIDE, TSR_ORACLE_SIDE, &scene) == TSR_ORACLE_OK &&
                tsr_oracle_grants(&scene, &wish);
    } else if (strcmp(kind, "draw") == 0) {
        score = DRAWINGS;
        right = draw(eval, column[2], column[3]);
    } else {
        score = strcmp(kind, "caption") == 0 ? CAPTIONS : QUESTIONS;
        ask(eval, &picture, column[2], reply);
        right = strcmp(reply, column[3]) == 0;
    }
    eval->tally.all[score]++;
    eval->tally.right[score] += (unsigned)right;
    if (!right && eval->verbose)
        fprintf(stderr, "%s %s: %s -> '%s', expected '%s'\n", kind, column[1], column[2], reply, column[3]);
}

static void score_set(struct eval *eval, const char *path, unsigned long limit)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        perror(path);
        exit(TSR_IO);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *column[COLUMNS], *at = line;

        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < COLUMNS; i++) {
            column[i] = at != NULL ? at : line + strlen(line);
            at = at != NULL ? strchr(at, '\t') : NULL;
            if (at != NULL)
                *at++ = '\0';
        }
        if (strtoul(column[1], NULL, 10) < limit)
            score_line(eval, column);
    }
    fclose(file);
}

static void score_model(const char *set, const char *pictures, const char *path, tsr_pool *pool, unsigned long limit)
{
    struct tsr_settings reading = {.temperature = 0, .guidance = -1, .top_p = 1, .cache_format = ~0u, .tokens_max = 96,
                                   .wants = TSR_TEXT | TSR_SEE};
    struct tsr_settings drawing = {.temperature = setting("TSR_EVAL_TEMP", -1),
                                   .guidance = setting("TSR_EVAL_GUIDANCE", -1), .top_p = 1, .cache_format = ~0u, .seed = 1,
                                   .wants = TSR_PICTURE};
    struct eval eval = {.verbose = getenv("TSR_EVAL_VERBOSE") != NULL};
    struct tsr_error error;
    tsr_model *model;

    if (tsr_picture_read(&eval.sheet, pictures, &error) != TSR_OK ||
        tsr_model_open(&model, path, NULL, &error) != TSR_OK ||
        tsr_context_new(&eval.reader, model, pool, &reading, &error) != TSR_OK ||
        tsr_context_new(&eval.drawer, model, pool, &drawing, &error) != TSR_OK)
        die(&error);
    score_set(&eval, set, limit);
    printf("%-40s", strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path);
    for (int i = 0; i < SCORES; i++)
        printf("  %s %5.1f %% (%u/%u)", score_names[i],
               eval.tally.all[i] > 0 ? 100.0 * eval.tally.right[i] / eval.tally.all[i] : 0, eval.tally.right[i],
               eval.tally.all[i]);
    putchar('\n');
    fflush(stdout);
    tsr_context_free(eval.reader);
    tsr_context_free(eval.drawer);
    tsr_model_close(model);
    tsr_picture_free(&eval.sheet);
}

int main(int argc, char **argv)
{
    const char *const text = getenv("TSR_EVAL_LIMIT");
    const unsigned long limit = text != NULL ? strtoul(text, NULL, 10) : ~0ul;
    struct tsr_error error;
    tsr_pool *pool;

    if (argc < 4) {
        fputs("usage: eval SET.tsv PICTURES.png MODEL.gguf...\n", stderr);
        return TSR_USAGE;
    }
    if (tsr_pool_new(&pool, NULL, &error) != TSR_OK)
        die(&error);
    for (int i = 3; i < argc; i++)
        score_model(argv[1], argv[2], argv[i], pool, limit);
    tsr_pool_free(pool);
    return 0;
}
