/*
 * template.c: the prompt format of a conversation, as data.
 *
 * The `deepseek` format of Janus: system text and two line ends (nothing if it is empty), then
 * "role: content" per message; after a user's message two line ends, after the model's the
 * end-of-sentence token; an empty message is "role:" without a space. Contents are stripped as
 * Python's str.strip does. Pictures stand before the content, each a placeholder and a line end; a
 * turn of pictures alone loses the last line end, being stripped too. (Janus,
 * janus/utils/conversation.py and processing_vlm.py.)
 */
#include <config.h>

#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fields, by name in the file and place in the struct: one row each. */
static const struct {
    const char *key;
    size_t place;
} fields[] = {{"tessera.template.system", offsetof(struct tsr_template, system)},
              {"tessera.template.system_end", offsetof(struct tsr_template, system_end)},
              {"tessera.template.user", offsetof(struct tsr_template, user)},
              {"tessera.template.picture", offsetof(struct tsr_template, picture)},
              {"tessera.template.user_end", offsetof(struct tsr_template, user_end)},
              {"tessera.template.reply", offsetof(struct tsr_template, reply)},
              {"tessera.template.reply_end", offsetof(struct tsr_template, reply_end)},
              {"tessera.template.draw", offsetof(struct tsr_template, draw)}};
enum { FIELDS = sizeof fields / sizeof *fields };

static char **field(struct tsr_template *format, size_t i)
{
    return (char **)(void *)((char *)format + fields[i].place);
}

/* a + b in new memory */
static char *join(const char *a, const char *b)
{
    size_t bytes = strlen(a) + strlen(b) + 1;
    char *text = malloc(bytes);
    if (text)
        snprintf(text, bytes, "%s%s", a, b);
    return text;
}

static tsr_status check(struct tsr_template *format, struct tsr_error *error)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (!*field(format, i)) {
            tsr_template_free(format);
            return tsr_fail(error, TSR_MEMORY, "out of memory for the prompt format");
        }
    }
    return TSR_OK;
}

tsr_status tsr_template_deepseek(struct tsr_template *format, const struct tsr_deepseek *names,
                                 struct tsr_error *error)
{
    *format = (struct tsr_template){.system = join(names->system, ""),
                                    .system_end = join("\n\n", ""),
                                    .user = join(names->user, ": "),
                                    .picture = join(names->placeholder, "\n"),
                                    .user_end = join("\n\n", ""),
                                    .reply = join(names->assistant, ":"),
                                    .reply_end = join(names->end_of_sentence, ""),
                                    .draw = join(names->begin_of_picture, "")};
    return check(format, error);
}

tsr_status tsr_template_load(struct tsr_template *format, const tsr_gguf *file,
                             struct tsr_error *error)
{
    *format = (struct tsr_template){0};
    for (size_t i = 0; i < FIELDS; i++) {
        struct tsr_slice value;
        tsr_status status = tsr_gguf_string(file, fields[i].key, &value, error);
        if (status == TSR_OK && value.bytes && memchr(value.text, 0, value.bytes))
            status = tsr_fail(error, TSR_MALFORMED, "%s: has a zero byte", fields[i].key);
        if (status != TSR_OK) {
            tsr_template_free(format);
            return status;
        }
        *field(format, i) = strndup(value.text, value.bytes);
    }
    return check(format, error);
}

tsr_status tsr_template_store(const struct tsr_template *format, tsr_gguf_writer *writer,
                              struct tsr_error *error)
{
    tsr_status status = TSR_OK;
    struct tsr_template copy = *format;
    for (size_t i = 0; i < FIELDS && status == TSR_OK; i++)
        status = tsr_gguf_set_string(writer, fields[i].key, *field(&copy, i),
                                     strlen(*field(&copy, i)), error);
    return status;
}

void tsr_template_free(struct tsr_template *format)
{
    for (size_t i = 0; i < FIELDS; i++)
        free(*field(format, i));
    *format = (struct tsr_template){0};
}

/* ---- turns ---- */

/* As Python's str.strip: white space, and the four separators 1C to 1F. */
static struct tsr_slice strip(const char *text)
{
    size_t size = strlen(text), begin = 0, end = 0;
    uint32_t code;
    int inside = 0;
    for (size_t i = 0; i < size;) {
        size_t bytes = tsr_utf8_next(text + i, size - i, &code);
        if (!tsr_is_space(code) && !(code >= 0x1C && code <= 0x1F)) {
            begin = inside ? begin : i;
            end = i + bytes;
            inside = 1;
        }
        i += bytes;
    }
    return (struct tsr_slice){text + begin, end - begin};
}

static tsr_status add(struct tsr_text *text, const char *part, struct tsr_error *error)
{
    return tsr_text_add(text, part, strlen(part), TSR_SPAN_TEMPLATE, error);
}

tsr_status tsr_template_system(const struct tsr_template *format, struct tsr_text *text,
                               const char *system, struct tsr_error *error)
{
    const char *words = system ? system : format->system;
    if (!*words)
        return TSR_OK;
    tsr_status status =
        tsr_text_add(text, words, strlen(words), system ? TSR_SPAN_USER : TSR_SPAN_TEMPLATE, error);
    return status == TSR_OK ? add(text, format->system_end, error) : status;
}

tsr_status tsr_template_user(const struct tsr_template *format, struct tsr_text *text,
                             const char *content, size_t pictures, struct tsr_error *error)
{
    struct tsr_slice words = strip(content);
    size_t size = strlen(format->user), line = strlen(format->picture);
    /* stripped of its last line end, a picture alone; "role:" without a space, a turn of nothing */
    if (!pictures && !words.bytes && size && format->user[size - 1] == ' ')
        size--;
    tsr_status status = tsr_text_add(text, format->user, size, TSR_SPAN_TEMPLATE, error);
    for (size_t i = 0; i < pictures && status == TSR_OK; i++) {
        int last = i + 1 == pictures && !words.bytes;
        size_t bytes = last ? strip(format->picture).bytes : line;
        status = tsr_text_add(text, format->picture, bytes, TSR_SPAN_TEMPLATE, error);
    }
    if (status == TSR_OK)
        status = tsr_text_add(text, words.text, words.bytes, TSR_SPAN_USER, error);
    /* the original gives an empty message no separator */
    if (status == TSR_OK && (pictures || words.bytes))
        status = add(text, format->user_end, error);
    return status;
}

tsr_status tsr_template_reply(const struct tsr_template *format, struct tsr_text *text, int draw,
                              struct tsr_error *error)
{
    tsr_status status = add(text, format->reply, error);
    return status == TSR_OK && draw ? add(text, format->draw, error) : status;
}

tsr_status tsr_template_end(const struct tsr_template *format, struct tsr_text *text,
                            struct tsr_error *error)
{
    return add(text, format->reply_end, error);
}
