/*
 * draw.c: `tessera draw`: text in, pictures out.
 *
 * All pictures of --count ride on one pass over the weights; picture i uses seed + i. Each PNG records prompt,
 * seed and settings in its text chunks, so a picture can be drawn again. PNGs are written whole or not at all;
 * what --preview-path shows is rewritten the same way after each row of codes.
 */
#include "program.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, SETTINGS_BYTES = 256 };

struct drawing {
    const struct options *options;
    struct session session;
    struct progress progress;
    json_t *pictures; /* for --json */
    size_t preview_next; /* step of the next preview */
    size_t shown_rows;   /* of the preview on the terminal */
    double start, decoded;
};

/* PATH, or for several pictures PATH with -1, -2, ... before the suffix. */
static int output_path(char *path, const struct options *options, size_t index)
{
    const char *const wanted = options->output;
    const char *dot = strrchr(wanted, '.'), *slash = strrchr(wanted, '/');
    int length;

    if (dot == NULL || (slash != NULL && dot < slash))
        dot = wanted + strlen(wanted);
    if (options->count <= 1)
        length = snprintf(path, PATH_BYTES, "%s", wanted);
    else
        length = snprintf(path, PATH_BYTES, "%.*s-%zu%s", (int)(dot - wanted), wanted, index + 1, dot);
    if (length >= PATH_BYTES)
        return program_error(TSR_USAGE, "the output path is too long");
    return 0;
}

static int write_picture(struct drawing *drawing, const struct tsr_picture *picture, const char *path,
                         const char *const *texts)
{
    const double start = seconds_now();
    struct tsr_error error;

    if (tsr_picture_write(picture, path, texts, &error) != TSR_OK)
        return program_fail(&error);
    drawing->session.writing += seconds_now() - start;
    return 0;
}

static int save(struct drawing *drawing, const struct tsr_event *event)
{
    const struct options *const options = drawing->options;
    const double guidance = options->guidance >= 0 ? options->guidance
                                                   : (double)drawing->session.info.guidance_default;
    char path[PATH_BYTES], seed[32], settings[SETTINGS_BYTES];
    const char *const texts[] = {"Software", "tessera " PACKAGE_VERSION, "prompt", options->prompt, "seed",
                                 seed, "settings", settings, NULL};
    const uint64_t number = options->seed + event->index;
    int code = output_path(path, options, event->index);

    if (code != 0)
        return code;
    snprintf(seed, sizeof seed, "%" PRIu64, number);
    snprintf(settings, sizeof settings, "cfg-scale %g, temp %g, top-k %" PRIu64 ", top-p %g%s%s", guidance,
             options->temperature >= 0 ? options->temperature : 1.0, options->top_k, options->top_p,
             options->math != NULL && strcmp(options->math, "fast") == 0 ? ", math fast" : "",
             options->maps != NULL && strcmp(options->maps, "f16") == 0 ? ", maps f16" : "");
    code = write_picture(drawing, &event->picture, path, texts);
    if (code != 0)
        return code;
    if (drawing->pictures != NULL)
        json_array_append_new(drawing->pictures,
                              json_pack("{s:o,s:I,s:I,s:I}", "path", json_words(path, strlen(path)), "seed", (json_int_t)number,
                                        "width", (json_int_t)event->picture.width, "height",
                                        (json_int_t)event->picture.height));
    else
        printf("%s\n", path);
    return 0;
}

/* Two pixels in one place: a coloured half block, or by NO_COLOR a character for their brightness. */
static void show_place(const uint8_t *up, const uint8_t *low, int coloured)
{
    static const char shades[] = " .:-=+*#%@";
    const int light = (2 * (up[0] + low[0]) + 5 * (up[1] + low[1]) + up[2] + low[2]) / 16;

    if (coloured)
        fprintf(stderr, "\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\u2580", up[0], up[1], up[2], low[0],
                low[1], low[2]);
    else
        fputc(shades[light * 10 / 256], stderr);
}

/* The picture in half blocks, as large as the terminal has room for, at most 64 columns; over the one shown before. */
static void show_blocks(struct drawing *drawing, const struct tsr_picture *picture)
{
    const char *const no_color = getenv("NO_COLOR");
    const int coloured = no_color == NULL || *no_color == '\0';
    const struct winsize size = terminal_size();
    const size_t columns = size.ws_col > 64 ? 64 : size.ws_col > 1 ? size.ws_col - 1u : 1;
    const size_t rows = size.ws_row > 3 ? size.ws_row - 3u : 1; /* the bar, the path, the prompt after it */
    const size_t across = tsr_ceil_div(picture->width, columns);
    const size_t down = tsr_ceil_div(picture->height, 2 * rows), step = across > down ? across : down;

    progress_hide(&drawing->progress);
    if (drawing->shown_rows > 0)
        fprintf(stderr, "\033[%zuA", drawing->shown_rows);
    drawing->shown_rows = 0;
    for (size_t y = 0; y < picture->height; y += 2 * step, drawing->shown_rows++) {
        for (size_t x = 0; x < picture->width; x += step) {
            const uint8_t *const up = picture->rgb + 3 * (y * picture->width + x);

            show_place(up, y + step < picture->height ? up + 3 * step * picture->width : up, coloured);
        }
        fputs(coloured ? "\033[0m\033[K\n" : "\033[K\n", stderr);
    }
}

/* After each row of codes: the picture so far, on the terminal or as a file. */
static int preview(struct drawing *drawing, const struct tsr_event *event)
{
    const struct options *const options = drawing->options;
    const size_t row = (size_t)sqrt((double)event->steps);
    struct tsr_picture picture;
    struct tsr_error error;

    if ((!options->preview && options->preview_path == NULL) || event->step < drawing->preview_next)
        return 0;
    drawing->preview_next = event->step + row;
    if (tsr_preview(drawing->session.context, 0, &picture, &error) != TSR_OK)
        return program_fail(&error);
    if (options->preview)
        show_blocks(drawing, &picture);
    return options->preview_path != NULL ? write_picture(drawing, &picture, options->preview_path, NULL) : 0;
}

static int stream(struct drawing *drawing)
{
    struct tsr_event event;
    struct tsr_error error;
    tsr_status status;
    int code = 0;

    progress_start(&drawing->progress, drawing->options, "draw", "codes");
    while (code == 0 && (status = tsr_next(drawing->session.context, &event, &error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_PICTURE_STEP) {
            progress_show(&drawing->progress, (double)event.step, (double)event.steps);
            code = preview(drawing, &event);
            if (event.step == event.steps) {
                drawing->decoded = seconds_now();
                progress_end(&drawing->progress);
                progress_start(&drawing->progress, drawing->options, "decode", "pictures");
            }
        } else if (event.kind == TSR_EVENT_PICTURE) {
            progress_hide(&drawing->progress);
            if (drawing->options->preview && event.index == 0)
                show_blocks(drawing, &event.picture);
            code = save(drawing, &event);
            fflush(stdout);
            progress_show(&drawing->progress, (double)event.step, (double)event.steps);
        }
    }
    progress_end(&drawing->progress);
    if (code != 0)
        return code;
    return status == TSR_END ? 0 : program_fail(&error);
}

static int finish(struct drawing *drawing)
{
    const double seconds = seconds_now() - drawing->start;
    const size_t codes = drawing->session.info.picture_codes;

    if (drawing->options->verbose)
        fprintf(stderr, "drawn in %.2f s: %zu codes at %.1f codes/s, decoding %.2f s\n", seconds, codes,
                (double)codes / (drawing->decoded - drawing->start),
                drawing->start + seconds - drawing->decoded);
    if (drawing->pictures != NULL) {
        const char *const prompt = drawing->options->prompt;

        return json_print(json_pack("{s:O,s:o,s:f}", "pictures", drawing->pictures, "prompt",
                                    json_words(prompt, strlen(prompt)), "seconds", seconds),
                          0);
    }
    return 0;
}

static int run(const struct options *options)
{
    struct drawing drawing = {.options = options};
    int code;

    if (options->prompt == NULL)
        return program_error(TSR_USAGE, "nothing to draw: say what with -p TEXT");
    if (options->output == NULL)
        return program_error(TSR_USAGE, "no output: say where with -o FILE.png");
    if (options->preview && !terminal_obeys())
        return program_error(TSR_USAGE, "--preview needs a terminal; --preview-path FILE writes a PNG");
    code = program_target(options->output, options);
    if (code == 0 && options->preview_path != NULL)
        code = program_target(options->preview_path, options);
    if (code != 0)
        return code;
    code = session_open(&drawing.session, options, TSR_PICTURE);
    drawing.start = drawing.decoded = seconds_now();
    if (code == 0)
        code = session_ask(&drawing.session, options, options->prompt, NULL, 0, TSR_PICTURE);
    drawing.pictures = options->json ? json_array() : NULL;
    if (code == 0)
        code = stream(&drawing);
    if (code == 0)
        code = finish(&drawing);
    json_decref(drawing.pictures);
    session_close(&drawing.session);
    return code;
}

const struct command command_draw = {
    .name = "draw",
    .bit = DRAW,
    .arguments = "-m FILE.gguf -p TEXT -o PICTURE.png [flags]",
    .summary = "draw a picture from text",
    .text = "Draws what TEXT says and writes a PNG that records prompt, seed and settings. The same prompt,\n"
            "seed and model give the same picture on every machine, for any number of threads. Prints the\n"
            "path of each picture.",
    .examples = "  tessera draw -m model.gguf -p \"a red circle\" -o circle.png\n"
                "  tessera draw -m model.gguf -p \"a cat\" -o cat.png --count 4 -s 42\n"
                "  tessera draw -m model.gguf -p \"a cat\" -o cat.png --preview --temp 0.9",
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run,
};
