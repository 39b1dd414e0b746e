/*
 * describe.c: `tessera describe`: pictures and a question in, text out, streamed as it comes.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>

struct reply {
    json_t *text; /* array of pieces, for --json; else NULL */
    size_t prompt, tokens;
    double first, last; /* seconds of the first token and the end */
    const char *why;
};

/* Reads events to the end; text goes to stdout, or into `reply` for --json. 0 or an exit code. */
static int stream(struct session *session, const struct options *options, struct reply *reply)
{
    struct progress progress;
    struct tsr_event event;
    struct tsr_error error;
    tsr_status status;

    progress_start(&progress, options, "read", "positions");
    while ((status = tsr_next(session->context, &event, &error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_PROMPT) {
            reply->prompt = event.steps;
            progress_show(&progress, (double)event.step, (double)event.steps);
        } else if (event.kind == TSR_EVENT_TEXT) {
            progress_end(&progress);
            if (reply->tokens++ == 0) {
                reply->first = seconds_now();
                program_trim_first(&event);
            }
            if (reply->text != NULL)
                json_array_append_new(reply->text, json_stringn(event.text, event.bytes));
            else if (fwrite(event.text, 1, event.bytes, stdout) != event.bytes || fflush(stdout) != 0)
                return program_flush();
        } else if (event.kind == TSR_EVENT_END) {
            reply->why = strncmp(event.text, "length", 6) == 0 ? "length" : "stop";
        }
    }
    progress_end(&progress);
    reply->last = seconds_now();
    return status == TSR_END ? 0 : program_fail(&error);
}

/* The pieces of a reply as one string. */
static json_t *join(const json_t *pieces)
{
    size_t bytes = 0, i;
    json_t *piece, *whole;
    char *text;

    json_array_foreach((json_t *)pieces, i, piece)
        bytes += json_string_length(piece);
    text = malloc(bytes + 1);
    if (text == NULL)
        return NULL;
    bytes = 0;
    json_array_foreach((json_t *)pieces, i, piece) {
        memcpy(text + bytes, json_string_value(piece), json_string_length(piece));
        bytes += json_string_length(piece);
    }
    whole = json_stringn(text, bytes);
    free(text);
    return whole;
}

static int finish(const struct options *options, const struct reply *reply, double start)
{
    const double prompt_seconds = reply->first - start;
    const double text_seconds = reply->last - reply->first;
    const double rate = reply->tokens > 1 && text_seconds > 0
                            ? (double)(reply->tokens - 1) / text_seconds : 0;

    if (options->verbose)
        fprintf(stderr, "prompt: %zu positions in %.2f s; reply: %zu tokens, %.1f tokens/s; end: %s\n",
                reply->prompt, prompt_seconds, reply->tokens, rate, reply->why);
    if (options->json)
        return json_print(json_pack("{s:o,s:s,s:I,s:I,s:f,s:f}", "text", join(reply->text), "end",
                                    reply->why, "prompt_positions", (json_int_t)reply->prompt, "tokens",
                                    (json_int_t)reply->tokens, "prompt_seconds", prompt_seconds,
                                    "tokens_per_second", rate),
                          0);
    putchar('\n');
    return 0;
}

static int run(const struct options *options)
{
    const char *const question = options->prompt != NULL ? options->prompt : "Describe the picture.";
    struct tsr_picture pictures[IMAGES_MAX];
    struct reply reply = {.why = "stop"};
    struct session session;
    double start;
    int code;

    if (options->images.count == 0)
        return program_error(TSR_USAGE, "no picture: give one with --image FILE");
    code = pictures_read(pictures, &options->images);
    if (code != 0)
        return code;
    code = session_open(&session, options, TSR_TEXT | TSR_SEE);
    start = seconds_now();
    if (code == 0)
        code = session_ask(&session, options, question, pictures, options->images.count, TSR_TEXT);
    pictures_free(pictures, options->images.count);
    reply.text = options->json ? json_array() : NULL;
    reply.first = start;
    if (code == 0)
        code = stream(&session, options, &reply);
    if (code == 0)
        code = finish(options, &reply, start);
    json_decref(reply.text);
    session_close(&session);
    return code;
}

const struct command command_describe = {
    .name = "describe",
    .bit = DESCRIBE,
    .arguments = "-m FILE.gguf --image PICTURE [-p QUESTION] [flags]",
    .summary = "read a picture: describe it or answer a question",
    .text = "Reads one or more pictures (PNG, JPEG) and a question and prints the model's answer as it is\n"
            "written. The answer goes to standard output, everything else to standard error.",
    .examples = "  tessera describe -m model.gguf --image photo.jpg\n"
                "  tessera describe -m model.gguf --image photo.jpg -p \"How many people are there?\"\n"
                "  tessera describe -m model.gguf --image a.png --json | jq -r .text",
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run,
};
