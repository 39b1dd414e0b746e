/*
 * test_text.c: the tokenizer against the ids of the library `tokenizers`, through a GGUF file and
 * without; damaged tokenizer.json files; texts that tempt an implementation into quadratic time or
 * deep stacks; prompt formats.
 *
 * Expected ids and texts lie in tests/fixtures (made by tests/reference/tokenizer_cases.py).
 */
#include <config.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conditions.h"
#include "text/tokenizer.h"

static const char *fixture(const char *folder, const char *name)
{
    static char path[4096];
    const char *root = getenv("TSR_SRCDIR");
    snprintf(path, sizeof path, "%s/tests/fixtures/%s%s", root ? root : ".", folder, name);
    return path;
}

static char *read_file(const char *path, size_t *bytes)
{
    struct tsr_error error = {0};
    char *data;
    cr_assert_eq(tsr_file_read(&data, bytes, path, 64 << 20, &error), TSR_OK, "%s", error.message);
    return data;
}

static tsr_tokenizer *from_text(const char *json)
{
    struct tsr_error error = {0};
    tsr_tokenizer *t;
    cr_assert_eq(tsr_tokenizer_from_json(&t, json, strlen(json), &error), TSR_OK, "%s",
                 error.message);
    return t;
}

/* Writes the tokenizer to a GGUF file and reads it back. */
static tsr_tokenizer *through_gguf(tsr_tokenizer *t)
{
    struct tsr_error error = {0};
    char path[] = "/tmp/tsr_text_XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    tsr_gguf_writer *writer;
    tsr_gguf *file;
    tsr_tokenizer *again;
    cr_assert_eq(tsr_gguf_writer_new(&writer, path, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_gguf_set_string(writer, "general.architecture", "test", 4, &error), TSR_OK);
    cr_assert_eq(tsr_tokenizer_store(t, writer, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_gguf_begin(writer, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_gguf_finish(writer, &error), TSR_OK, "%s", error.message);
    tsr_gguf_writer_free(writer);
    cr_assert_eq(tsr_gguf_open(&file, path, NULL, &error), TSR_OK, "%s", error.message);
    unlink(path);
    cr_assert_eq(tsr_tokenizer_load(&again, file, &error), TSR_OK, "%s", error.message);
    tsr_gguf_close(file);
    tsr_tokenizer_free(t);
    return again;
}

/* Encodes text as one span; the caller frees *ids. */
static size_t encode(const tsr_tokenizer *t, const char *bytes, size_t size,
                     enum tsr_span_kind kind, int special, int32_t **ids)
{
    struct tsr_error error = {0};
    struct tsr_text text = {0};
    size_t count;
    cr_assert_eq(tsr_text_add(&text, bytes, size, kind, &error), TSR_OK);
    cr_assert_eq(tsr_tokenizer_encode(t, &text, special, ids, &count, &error), TSR_OK, "%s",
                 error.message);
    tsr_text_free(&text);
    return count;
}

/* The ids of a JSON array; the caller frees them. */
static int32_t *ids_of(const json_t *array, size_t *count)
{
    *count = json_array_size(array);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    for (size_t i = 0; i < *count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return ids;
}

/* ---- fixtures ---- */

static void check_encode(const tsr_tokenizer *t, const json_t *row)
{
    size_t want_count;
    int32_t *want = ids_of(json_object_get(row, "ids"), &want_count), *ids;
    const json_t *text = json_object_get(row, "text");
    size_t count =
        encode(t, json_string_value(text), json_string_length(text), TSR_SPAN_TEMPLATE, 1, &ids);
    int same = count == want_count && !memcmp(ids, want, count * sizeof *ids);
    cr_expect(same, "\"%s\": %zu ids, expected %zu", json_string_value(text), count, want_count);
    free(ids);
    free(want);
}

static void check_decode(const tsr_tokenizer *t, const json_t *row)
{
    struct tsr_error error = {0};
    size_t count, bytes;
    char *text;
    int32_t *ids = ids_of(json_object_get(row, "ids"), &count);
    const json_t *want = json_object_get(row, "text");
    cr_assert_eq(tsr_tokenizer_decode(t, ids, count,
                                      json_is_true(json_object_get(row, "skip_special")), &text,
                                      &bytes, &error),
                 TSR_OK);
    cr_expect(bytes == json_string_length(want) && !memcmp(text, json_string_value(want), bytes),
              "\"%s\", expected \"%s\"", text, json_string_value(want));
    free(text);
    free(ids);
}

/* Runs a check over the lines of a file; returns their number. */
static size_t each_line(const char *path, const tsr_tokenizer *t,
                        void (*check)(const tsr_tokenizer *, const json_t *))
{
    size_t bytes, lines = 0;
    char *data = read_file(path, &bytes);
    for (char *line = data, *end; (end = memchr(line, '\n', (size_t)(data + bytes - line))) != NULL;
         line = end + 1) {
        json_t *row = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        cr_assert_not_null(row);
        check(t, row);
        json_decref(row);
        lines++;
    }
    free(data);
    return lines;
}

static const char *const folders[] = {"janus-a-f32/",          "janus-b-bf16-sharded/",
                                      "janus-c-f16-official/", "tokenizers/gpt2/",
                                      "tokenizers/qwen2/",     "tokenizers/cl100k/"};

static tsr_tokenizer *from_fixture(const char *folder)
{
    size_t bytes;
    char *json = read_file(fixture(folder, "tokenizer.json"), &bytes);
    tsr_tokenizer *t = from_text(json);
    free(json);
    return t;
}

Test(text, fixtures)
{
    size_t texts = 0, decodings = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        tsr_tokenizer *t = from_fixture(folders[i]);
        for (int stored = 0; stored < 2; stored++) {
            if (stored)
                t = through_gguf(t);
            texts += each_line(fixture(folders[i], "encode.jsonl"), t, check_encode);
            decodings += each_line(fixture(folders[i], "decode.jsonl"), t, check_decode);
        }
        tsr_tokenizer_free(t);
    }
    cr_expect_eq(texts, 2 * 6 * 335, "%zu texts", texts);
    cr_expect_eq(decodings, 2 * 6 * 117, "%zu decodings", decodings);
}

/* ---- spans and templates ---- */

/* The text that a template makes, spans of user text in [ ]. */
static char *shown(const struct tsr_text *text)
{
    static char out[4096];
    size_t size = 0, begin = 0;
    for (size_t i = 0; i < text->span_count; i++) {
        int user = text->spans[i].kind == TSR_SPAN_USER;
        size += (size_t)snprintf(out + size, sizeof out - size, "%s%.*s%s", user ? "[" : "",
                                 (int)(text->spans[i].end - begin), text->bytes + begin,
                                 user ? "]" : "");
        begin = text->spans[i].end;
    }
    return out;
}

static const struct tsr_deepseek names = {"Be helpful.",         "<|User|>",
                                          "<|Assistant|>",       "<｜end▁of▁sentence｜>",
                                          "<image_placeholder>", "<begin_of_image>"};

Test(text, deepseek_template)
{
    struct tsr_error error = {0};
    struct tsr_template format;
    struct tsr_text text = {0};
    cr_assert_eq(tsr_template_deepseek(&format, &names, &error), TSR_OK);
    tsr_template_system(&format, &text, NULL, &error);
    tsr_template_user(&format, &text, " \n What is it?\xe3\x80\x80", 2, &error);
    tsr_template_reply(&format, &text, 0, &error);
    tsr_template_end(&format, &text, &error);
    cr_expect_str_eq(
        shown(&text),
        "Be helpful.\n\n<|User|>: <image_placeholder>\n<image_placeholder>\n[What is it?]\n\n"
        "<|Assistant|>:<｜end▁of▁sentence｜>");
    tsr_text_clear(&text);
    tsr_template_system(&format, &text, "", &error);
    tsr_template_user(&format, &text, "a fox", 0, &error);
    tsr_template_reply(&format, &text, 1, &error);
    cr_expect_str_eq(shown(&text), "<|User|>: [a fox]\n\n<|Assistant|>:<begin_of_image>");
    tsr_text_clear(&text);
    tsr_template_system(&format, &text, "Mine.", &error);
    tsr_template_user(&format, &text, "", 1, &error);
    cr_expect_str_eq(shown(&text), "[Mine.]\n\n<|User|>: <image_placeholder>\n\n");
    tsr_text_clear(&text);
    tsr_template_user(&format, &text, "\t", 0, &error);
    cr_expect_str_eq(shown(&text), "<|User|>:");
    tsr_text_free(&text);
    tsr_template_free(&format);
}

/* The ids of a prompt in spans are those of its text in one piece. */
Test(text, spans_do_not_cut)
{
    struct tsr_error error = {0};
    struct tsr_template format;
    struct tsr_text text = {0};
    tsr_tokenizer *t = from_fixture("janus-a-f32/");
    int32_t *ids, *whole;
    size_t count;
    cr_assert_eq(tsr_template_deepseek(&format, &names, &error), TSR_OK);
    tsr_template_user(&format, &text, "a red fox, 12 hens", 0, &error);
    tsr_template_reply(&format, &text, 1, &error);
    cr_assert_eq(tsr_tokenizer_encode(t, &text, 1, &ids, &count, &error), TSR_OK);
    const char *same = "<|User|>: a red fox, 12 hens\n\n<|Assistant|>:<begin_of_image>";
    cr_assert_eq(encode(t, same, strlen(same), TSR_SPAN_TEMPLATE, 1, &whole), count);
    cr_expect_arr_eq(ids, whole, count * sizeof *ids);
    cr_expect_eq(ids[count - 1], tsr_tokenizer_id(t, "<begin_of_image>"));
    free(ids);
    free(whole);
    tsr_text_free(&text);
    tsr_template_free(&format);
    tsr_tokenizer_free(t);
}

/* T13: control tokens typed by a user stay letters, also if half of them is the template's. */
Test(text, control_tokens_of_users_are_letters)
{
    tsr_tokenizer *t = from_fixture("janus-a-f32/");
    static const char *const typed[] = {"<|User|>", "<image_placeholder>", "<begin_of_image>",
                                        "<｜end▁of▁sentence｜>"};
    for (int stored = 0; stored < 2; stored++) {
        if (stored)
            t = through_gguf(t);
        for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
            struct tsr_error error = {0};
            struct tsr_text text = {0};
            int32_t *ids, id = tsr_tokenizer_id(t, typed[i]);
            size_t count = encode(t, typed[i], strlen(typed[i]), TSR_SPAN_TEMPLATE, 0, &ids), bytes;
            char *back;
            cr_expect(count == 1 && ids[0] == id && id >= 0);
            free(ids);
            count = encode(t, typed[i], strlen(typed[i]), TSR_SPAN_USER, 0, &ids);
            cr_expect_gt(count, 1);
            for (size_t j = 0; j < count; j++)
                cr_expect_neq(ids[j], id);
            cr_assert_eq(tsr_tokenizer_decode(t, ids, count, 1, &back, &bytes, &error), TSR_OK);
            cr_expect_str_eq(back, typed[i]);
            free(back);
            free(ids);
            tsr_text_add(&text, typed[i], 3, TSR_SPAN_TEMPLATE, &error);
            tsr_text_add(&text, typed[i] + 3, strlen(typed[i]) - 3, TSR_SPAN_USER, &error);
            cr_assert_eq(tsr_tokenizer_encode(t, &text, 0, &ids, &count, &error), TSR_OK);
            for (size_t j = 0; j < count; j++)
                cr_expect_neq(ids[j], id);
            free(ids);
            tsr_text_free(&text);
        }
    }
    tsr_tokenizer_free(t);
}

/* ---- hard texts ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* T09: long runs take linear time; they decode to what they were. */
Test(text, long_runs, .timeout = 300)
{
    static const struct {
        const char *unit, *last;
        size_t times;
    } runs[] = {{"A", "", 131072},   {" ", "", 131072},      {" ", "x", 131072}, {"\n", "", 100000},
                {"\n ", "x", 65536}, {"中", "", 43690},      {"a1", "", 65536},  {"'", "", 131072},
                {".", "", 131072},   {"\u3000 ", "x", 26000}};
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        tsr_tokenizer *t = from_fixture(folders[f]);
        for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
            struct tsr_error error = {0};
            size_t unit = strlen(runs[i].unit), size = unit * runs[i].times, count, bytes;
            char *text = malloc(size + 2), *back;
            int32_t *ids;
            for (size_t j = 0; j < runs[i].times; j++)
                memcpy(text + j * unit, runs[i].unit, unit);
            strcpy(text + size, runs[i].last);
            double before = seconds();
            count = encode(t, text, strlen(text), TSR_SPAN_USER, 0, &ids);
            cr_expect_lt(seconds() - before, 5, "%s: run %zu", folders[f], i);
            cr_assert_eq(tsr_tokenizer_decode(t, ids, count, 0, &back, &bytes, &error), TSR_OK);
            /* tokens that strip white space, and the byte letters of DeepSeek's, do not come back
             */
            cr_expect(bytes == strlen(text) || strstr(folders[f], "cl100k"), "%s: run %zu",
                      folders[f], i);
            free(back);
            free(ids);
            free(text);
        }
        tsr_tokenizer_free(t);
    }
}

/* T10: ill-formed UTF-8 is read as U+FFFD, one per maximal part; a zero byte is a byte. */
Test(text, ill_formed)
{
    static const struct {
        const char *bytes, *means;
        size_t count;
    } cases[] = {{"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD", 3},
                 {"\xC0\xAF", "\uFFFD\uFFFD", 2},
                 {"\xF0\x9F\x98", "\uFFFD", 3},
                 {"a\xE2\x82(", "a\uFFFD(", 4},
                 {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD", 4},
                 {"\x80\xFF", "\uFFFD\uFFFD", 2},
                 {"\xF0\x9F\x98\x80", "\U0001F600", 4}};
    tsr_tokenizer *t = from_fixture("janus-a-f32/");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t *ids, *want;
        size_t count = encode(t, cases[i].bytes, cases[i].count, TSR_SPAN_USER, 0, &ids);
        cr_assert_eq(encode(t, cases[i].means, strlen(cases[i].means), TSR_SPAN_USER, 0, &want),
                     count, "case %zu", i);
        cr_expect_arr_eq(ids, want, count * sizeof *ids);
        free(ids);
        free(want);
        for (size_t cut = 0; cut <= cases[i].count; cut++) { /* in a stream, cut anywhere */
            struct tsr_utf8 state = {0};
            char out[64];
            size_t size = tsr_utf8_feed(&state, cases[i].bytes, cut, 0, out);
            size +=
                tsr_utf8_feed(&state, cases[i].bytes + cut, cases[i].count - cut, 1, out + size);
            cr_expect(size == strlen(cases[i].means) && !memcmp(out, cases[i].means, size),
                      "case %zu cut at %zu", i, cut);
        }
    }
    int32_t *ids;
    size_t count = encode(t, "a\0b", 3, TSR_SPAN_USER, 0, &ids), bytes;
    char *back;
    cr_assert_eq(tsr_tokenizer_decode(t, ids, count, 0, &back, &bytes, NULL), TSR_OK);
    cr_expect(bytes == 3 && !memcmp(back, "a\0b", 3));
    free(back);
    free(ids);
    tsr_tokenizer_free(t);
}

/* ---- damaged files ---- */

/* A fixture cut anywhere is refused; bits flipped anywhere are refused or harmless. */
Test(text, cut_and_flipped_json, .timeout = 300)
{
    size_t bytes;
    char *json = read_file(fixture("tokenizers/gpt2/", "tokenizer.json"), &bytes);
    struct tsr_error error;
    tsr_tokenizer *t;
    uint32_t random = 1;
    const unsigned flips = repeats("flipped bits and as large a share of cuts", 400, 80);
    const size_t step = 7 * 400 / flips;
    size_t end = bytes;
    while (end && strchr(" \n", json[end - 1]))
        end--;
    for (size_t cut = 0; cut < end; cut += step)
        cr_expect_eq(tsr_tokenizer_from_json(&t, json, cut, &error), TSR_MALFORMED, "cut at %zu",
                     cut);
    for (unsigned i = 0; i < flips; i++) {
        random = random * 1664525 + 1013904223;
        size_t at = random % bytes;
        json[at] ^= (char)(1 << (random >> 29));
        tsr_status status = tsr_tokenizer_from_json(&t, json, bytes, &error);
        cr_expect(status == TSR_OK || status == TSR_MALFORMED || status == TSR_UNSUPPORTED);
        if (status == TSR_OK) {
            int32_t *ids;
            encode(t, "the quick <mask> fox", 20, TSR_SPAN_TEMPLATE, 1, &ids);
            free(ids);
        }
        tsr_tokenizer_free(t);
        json[at] ^= (char)(1 << (random >> 29));
    }
    free(json);
}

/* ---- damaged metadata ---- */

enum damage {
    NONE,
    MODEL_NAME,
    TYPES_SHORT,
    ADDED_BEYOND,
    FLAGS_UNKNOWN,
    MERGE_UNCUT,
    STEP_UNKNOWN,
    STEP_NO_BEHAVIOR,
    WHOLE_TWO,
    PREFIX_BEYOND,
    NOT_UTF8,
    NO_TOKENS,
    DAMAGES
};

static tsr_status load_damaged(enum damage d, struct tsr_error *error)
{
    char path[] = "/tmp/tsr_text_XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    tsr_gguf_writer *w;
    tsr_gguf *file;
    tsr_tokenizer *t = NULL;
    const struct tsr_slice tokens[] = {
        {"a", 1}, {"b", 1}, {"ab", 2}, {d == NOT_UTF8 ? "\xBF>" : "<>", 2}};
    const struct tsr_slice merges[] = {{d == MERGE_UNCUT ? "ab" : "a b", d == MERGE_UNCUT ? 2 : 3}};
    const char *text = d == STEP_UNKNOWN       ? "jump"
                       : d == STEP_NO_BEHAVIOR ? "split match a"
                                               : "split isolated match a";
    const struct tsr_slice step = {text, strlen(text)};
    const int32_t types[] = {1, 1, 1, 3};
    const uint32_t added[] = {d == ADDED_BEYOND ? 4 : 3},
                   prefix[] = {d == PREFIX_BEYOND ? 1u << 31 : 3};
    const uint8_t flags[] = {d == FLAGS_UNKNOWN ? 64 : 1};
    cr_assert_eq(tsr_gguf_writer_new(&w, path, error), TSR_OK);
    tsr_gguf_set_string(w, "general.architecture", "test", 4, error);
    tsr_gguf_set_string(w, "tokenizer.ggml.model", d == MODEL_NAME ? "bert" : "gpt2", 4, error);
    if (d != NO_TOKENS)
        tsr_gguf_set_strings(w, "tokenizer.ggml.tokens", tokens, 4, error);
    tsr_gguf_set_strings(w, "tokenizer.ggml.merges", merges, 1, error);
    tsr_gguf_set_numbers(w, "tokenizer.ggml.token_type", TSR_GGUF_I32, types,
                         d == TYPES_SHORT ? 3 : 4, error);
    tsr_gguf_set_numbers(w, "tessera.tokenizer.added", TSR_GGUF_U32, added, 1, error);
    tsr_gguf_set_numbers(w, "tessera.tokenizer.added_flags", TSR_GGUF_U8, flags, 1, error);
    tsr_gguf_set_numbers(w, "tessera.tokenizer.prefix", TSR_GGUF_U32, prefix, 1, error);
    tsr_gguf_set_strings(w, "tessera.tokenizer.steps", &step, 1, error);
    tsr_gguf_set_u32(w, "tessera.tokenizer.whole_words", d == WHOLE_TWO ? 2 : 0, error);
    cr_assert_eq(tsr_gguf_begin(w, error), TSR_OK);
    cr_assert_eq(tsr_gguf_finish(w, error), TSR_OK);
    tsr_gguf_writer_free(w);
    cr_assert_eq(tsr_gguf_open(&file, path, NULL, error), TSR_OK, "%s", error->message);
    unlink(path);
    tsr_status status = tsr_tokenizer_load(&t, file, error);
    cr_expect((status == TSR_OK) == (t != NULL));
    tsr_tokenizer_free(t);
    tsr_gguf_close(file);
    return status;
}

Test(text, damaged_metadata)
{
    for (int d = 0; d < DAMAGES; d++) {
        struct tsr_error error = {0};
        tsr_status want = d == NONE ? TSR_OK
                          : d == MODEL_NAME || d == STEP_UNKNOWN || d == STEP_NO_BEHAVIOR
                              ? TSR_UNSUPPORTED
                              : TSR_MALFORMED;
        cr_expect_eq(load_damaged((enum damage)d, &error), want, "damage %d: %s", d, error.message);
        cr_expect(d == NONE || strstr(error.message, "token"), "damage %d: %s", d, error.message);
    }
}

/* ---- large vocabularies ---- */

enum { LETTERS = 16, LARGE = 100000, COLLIDING = 20000, NAME = 16 /* bytes at most */, TRIES = 5 };

/* Names of one to five of 16 letters, each but the letters the result of the merge of the name
 * without its last letter and that letter; or names that collide. */
struct large {
    char (*text)[NAME];
    struct tsr_slice *names;
    uint8_t *flags;
    size_t size;
};

static struct large large_new(size_t size)
{
    struct large l = {calloc(size, NAME), calloc(size, sizeof(struct tsr_slice)), calloc(size, 1),
                      size};
    cr_assert(l.text && l.names && l.flags);
    for (size_t i = 0; i < size; i++)
        l.names[i].text = l.text[i];
    return l;
}

static void large_free(struct large *l)
{
    free(l->text);
    free(l->names);
    free(l->flags);
}

static struct large large_words(void)
{
    struct large l = large_new(LARGE);
    for (size_t i = 0; i < l.size; i++) {
        size_t before = i < LETTERS ? 0 : l.names[i / LETTERS - 1].bytes;
        if (before)
            memcpy(l.text[i], l.text[i / LETTERS - 1], before);
        l.text[i][before] = (char)('a' + i % LETTERS);
        l.names[i].bytes = before + 1;
    }
    return l;
}

/* The pairs of large_words, of which merge i makes name LETTERS + i. */
static int word_merge(const void *all, size_t index, struct tsr_slice pair[2])
{
    const struct tsr_slice *name = all;
    pair[0] = name[index / LETTERS];
    pair[1] = name[index % LETTERS];
    return 1;
}

static uint64_t mixed(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15;
    return hash ^ hash >> 32;
}

/* 16 ASCII bytes each: any 8, then the 8 that bring tsr_name_hash to a state of our choice; or
 * any 8. */
static struct large large_names(int collide)
{
    struct large l = large_new(COLLIDING);
    size_t done = 0;
    for (uint64_t number = 0; done < l.size; number++) {
        uint64_t first = 0x4040404040404040, second;
        for (int byte = 0; byte < 6; byte++)
            first |= (number >> 6 * byte & 0x3F) << 8 * byte;
        second = mixed(NAME, first) ^ (collide ? 0x123456789ABCDEF : 0);
        if (!collide)
            second &= 0x7F7F7F7F7F7F7F7F;
        if (second & 0x8080808080808080)
            continue;
        memcpy(l.text[done], &first, 8);
        memcpy(l.text[done] + 8, &second, 8);
        l.names[done++].bytes = NAME;
    }
    return l;
}

static int compare_slices(const void *a, const void *b)
{
    const struct tsr_slice *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Processor seconds of making a tokenizer and of finding each of its names, the best of several. */
static double seconds_to_build(const struct large *l, size_t merges)
{
    struct tsr_tokenizer_parts parts = {.size = l->size,
                                        .names = l->names,
                                        .flags = l->flags,
                                        .merge = word_merge,
                                        .merges = l->names,
                                        .merge_count = merges};
    struct tsr_error error = {0};
    double best = 1e9;
    for (int i = 0; i < TRIES; i++) {
        tsr_tokenizer *t;
        double start = seconds(), took;
        cr_assert_eq(tsr_tokenizer_build(&t, &parts, &error), TSR_OK, "%s", error.message);
        size_t found = 0;
        for (size_t id = 0; !merges && id < l->size; id++)
            found += tsr_vocabulary_find(t, l->names[id].text, NAME) == (int32_t)id;
        took = seconds() - start;
        best = took < best ? took : best;
        cr_assert_eq(found, merges ? 0 : l->size);
        cr_assert_eq(t->merge_count, merges);
        tsr_tokenizer_free(t);
    }
    return best;
}

static double seconds_to_sort(const struct large *l)
{
    struct tsr_slice *sorted = malloc(l->size * sizeof *sorted);
    double best = 1e9;
    cr_assert(sorted);
    for (int i = 0; i < TRIES; i++) {
        double start, took;
        memcpy(sorted, l->names, l->size * sizeof *sorted);
        start = seconds();
        qsort(sorted, l->size, sizeof *sorted, compare_slices);
        took = seconds() - start;
        best = took < best ? took : best;
    }
    free(sorted);
    return best;
}

/* 100,000 tokens and as many merges take less than sorting the names twice would: what opening a
 * large model takes is nearly all this. Binary searches among the names took four times as long.
 */
Test(text, large_vocabulary_is_made_fast)
{
    struct large l = large_words();
    double build = seconds_to_build(&l, LARGE - LETTERS), sort = seconds_to_sort(&l);
    printf("100,000 tokens with merges: %.1f ms, sorting their names: %.1f ms\n", 1e3 * build,
           1e3 * sort);
    if (judged("the time for a large vocabulary"))
        cr_expect_lt(build, 2 * sort, "%.1f ms to build, %.1f ms to sort", 1e3 * build, 1e3 * sort);
    large_free(&l);
}

/* Names of one hash cost a logarithm more, not a factor that grows with their number. */
Test(text, colliding_names)
{
    struct large plain = large_names(0), same = large_names(1);
    for (size_t i = 0; i < same.size; i++)
        cr_assert_eq(tsr_name_hash(same.text[i], NAME), tsr_name_hash(same.text[0], NAME));
    double usual = seconds_to_build(&plain, 0), worst = seconds_to_build(&same, 0);
    printf("20,000 names: %.1f ms, of one hash: %.1f ms\n", 1e3 * usual, 1e3 * worst);
    if (judged("the time for names of one hash"))
        cr_expect_lt(worst, 15 * usual, "%.1f ms, usually %.1f ms", 1e3 * worst, 1e3 * usual);
    large_free(&plain);
    large_free(&same);
}
