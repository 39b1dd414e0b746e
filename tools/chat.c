/*
 * chat.c: `tessera chat`: turns of text and pictures, in and out.
 *
 * One line is one turn. Lines that begin with a slash are commands: /image FILE attaches a picture to the next
 * turn, /draw TEXT draws one, /reset forgets, /quit ends. Reads a terminal or a pipe alike, so a script can
 * drive it. A family whose drawings are not part of the conversation (Janus) draws from the text alone.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, LINE_MAX_BYTES = 1 << 20 };

struct chat {
    const struct options *options;
    struct session session;
    struct tsr_picture pictures[IMAGES_MAX]; /* attached to the next turn */
    size_t picture_count;
    unsigned drawn;
};

static const char help[] = "/image FILE  attach a picture to the next question\n"
                           "/draw TEXT   draw a picture\n"
                           "/reset       forget the conversation\n"
                           "/quit        end\n";

static int attach(struct chat *chat, const char *path)
{
    struct tsr_error error;

    if (chat->picture_count == IMAGES_MAX)
        return program_error(TSR_USAGE, "at most %d pictures a turn", IMAGES_MAX);
    if (tsr_picture_read(&chat->pictures[chat->picture_count], path, &error) != TSR_OK)
        return program_fail(&error);
    chat->picture_count++;
    return 0;
}

static int save(struct chat *chat, const struct tsr_event *event, const char *prompt)
{
    const char *const folder = chat->options->output != NULL ? chat->options->output : ".";
    const char *const texts[] = {"Software", "tessera " PACKAGE_VERSION, "prompt", prompt, NULL};
    char path[PATH_BYTES];
    struct tsr_error error;

    do
        if (snprintf(path, sizeof path, "%s/tessera-%u.png", folder, ++chat->drawn) >= PATH_BYTES)
            return program_error(TSR_USAGE, "the output path is too long");
    while (access(path, F_OK) == 0);
    if (tsr_picture_write(&event->picture, path, texts, &error) != TSR_OK)
        return program_fail(&error);
    printf("%s\n", path);
    return 0;
}

/* One turn: what was said, the reply as it comes. 0 or an exit code. */
static int take_turn(struct chat *chat, const char *text, unsigned want)
{
    tsr_context *const context = chat->session.context;
    struct progress progress;
    struct tsr_event event;
    struct tsr_error error;
    tsr_status status;
    int code = 0, begun = 0;

    status = tsr_prompt_user(context, text, chat->pictures, want == TSR_TEXT ? chat->picture_count : 0, &error);
    if (status == TSR_OK)
        status = tsr_want(context, want, &error);
    if (want == TSR_TEXT) {
        pictures_free(chat->pictures, chat->picture_count);
        chat->picture_count = 0;
    }
    progress_start(&progress, chat->options, want == TSR_TEXT ? "read" : "draw", "steps");
    while (status == TSR_OK && code == 0 &&
           (status = tsr_next(context, &event, &error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_TEXT) {
            progress_end(&progress);
            if (!begun++)
                program_trim_first(&event);
            fwrite(event.text, 1, event.bytes, stdout);
            fflush(stdout);
        } else if (event.kind == TSR_EVENT_PICTURE) {
            progress_end(&progress);
            code = save(chat, &event, text);
        } else if (event.kind != TSR_EVENT_END) {
            progress_show(&progress, (double)event.step, (double)event.steps);
        }
    }
    progress_end(&progress);
    if (want == TSR_TEXT)
        putchar('\n');
    if (code != 0)
        return code;
    return status == TSR_END ? 0 : program_fail(&error);
}

static int starts_with(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

/* 0: go on; -1: end; else an error to report at the end of a script. */
static int obey(struct chat *chat, const char *line)
{
    if (line[0] == '\0')
        return 0;
    if (line[0] != '/')
        return take_turn(chat, line, TSR_TEXT);
    if (starts_with(line, "/quit"))
        return -1;
    if (starts_with(line, "/image "))
        return attach(chat, line + strlen("/image "));
    if (starts_with(line, "/draw "))
        return take_turn(chat, line + strlen("/draw "), TSR_PICTURE);
    if (starts_with(line, "/reset")) {
        tsr_context_reset(chat->session.context);
        return 0;
    }
    fputs(help, stderr);
    return starts_with(line, "/help") ? 0 : TSR_USAGE;
}

/* Reads a line without its end into line [LINE_MAX_BYTES]. 1, 0 at the end, -1 if it is longer. */
static int read_line(char *line)
{
    size_t length = 0;
    int byte;

    while ((byte = getc(stdin)) != EOF && byte != '\n') {
        if (length == LINE_MAX_BYTES - 1)
            return -1;
        line[length++] = (char)byte;
    }
    line[length] = '\0';
    return byte != EOF || length > 0;
}

/* Reads lines until the end; on a terminal an error ends a turn, in a script it ends the chat. */
static int converse(struct chat *chat)
{
    const int terminal = isatty(STDIN_FILENO);
    char *const line = malloc(LINE_MAX_BYTES);
    int code = 0;

    if (line == NULL)
        return program_error(TSR_MEMORY, "out of memory");
    if (terminal)
        fputs(help, stderr);
    while (!program_interrupted()) {
        int got;

        if (terminal)
            fputs("> ", stderr);
        program_undoes(0); /* from here an interruption ends the program: a read that waits would only remember it */
        got = read_line(line);
        program_undoes(1);
        if (got <= 0) {
            code = got < 0 ? program_error(TSR_USAGE, "a line of more than %d bytes", LINE_MAX_BYTES) : code;
            break;
        }
        code = obey(chat, line);
        if (code == -1) {
            code = 0;
            break;
        }
        if (code != 0 && !terminal)
            break;
        if (code != 0)
            tsr_context_reset(chat->session.context);
    }
    free(line);
    return program_interrupted() ? TSR_INTERRUPTED : code;
}

static int run(const struct options *options)
{
    struct chat chat = {.options = options};
    struct tsr_error error;
    unsigned wants = TSR_TEXT | TSR_SEE | TSR_PICTURE;
    int code;

    code = pictures_read(chat.pictures, &options->images);
    if (code != 0)
        return code;
    chat.picture_count = options->images.count;
    code = session_open(&chat.session, options, wants);
    if (code == 0 && options->system != NULL &&
        tsr_prompt_system(chat.session.context, options->system, &error) != TSR_OK)
        code = program_fail(&error);
    if (code == 0 && options->prompt != NULL)
        code = take_turn(&chat, options->prompt, TSR_TEXT);
    if (code == 0)
        code = converse(&chat);
    pictures_free(chat.pictures, chat.picture_count);
    session_close(&chat.session);
    return code;
}

const struct command command_chat = {
    .name = "chat",
    .bit = CHAT,
    .arguments = "-m FILE.gguf [--image PICTURE] [-o FOLDER] [flags]",
    .summary = "talk: turns of text and pictures, in and out",
    .text = "Each line is a turn. /image FILE attaches a picture, /draw TEXT draws one into FOLDER, /reset\n"
            "forgets the conversation, /quit ends. Works from a terminal and from a pipe.",
    .examples = "  tessera chat -m model.gguf\n"
                "  printf '/image a.png\\nWhat is this?\\n' | tessera chat -m model.gguf",
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run,
};
