/*
 * tokenizer_json.c: reads a tokenizer.json of the library `tokenizers`.
 *
 * Read are: added_tokens, normalizer (none), pre_tokenizer (Split, Digits and, last, ByteLevel,
 * alone or in a Sequence), model (BPE on bytes), post_processor (ByteLevel, TemplateProcessing, or
 * both in a Sequence), decoder (ByteLevel). The settings of batches (truncation, padding) and of
 * offsets (trim_offsets) do not touch ids. Anything else is refused by name: a tokenizer that is
 * nearly right is worse than none.
 */
#include <config.h>

#include "json.h"
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    json_t *root;
    struct tsr_error *error;
    struct tsr_slice *names;
    uint8_t *flags;
    size_t size, base; /* tokens; of these from the vocabulary's map */
    struct tsr_slice (*merges)[2];
    size_t merge_count;
    struct tsr_slice steps[TSR_STEPS_MAX];
    size_t step_count;
    int bytes_seen;        /* the ByteLevel step */
    int32_t around[2][16]; /* prefix, suffix */
    size_t around_count[2];
    int template_seen;
};

static tsr_status no_memory(struct reader *r)
{
    return tsr_fail(r->error, TSR_MEMORY, "out of memory for the tokenizer");
}

static tsr_status malformed(struct reader *r, const char *field, const char *what)
{
    return tsr_fail(r->error, TSR_MALFORMED, "tokenizer.json: %s %s", field, what);
}

static tsr_status unsupported(struct reader *r, const char *field, const char *value)
{
    return tsr_fail(r->error, TSR_UNSUPPORTED, "tokenizer.json: %s: %.80s is not handled", field,
                    value);
}

/* The string at `key`, or "" if there is none. */
static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *type_of(const json_t *object)
{
    return text_at(object, "type");
}

static int absent(const json_t *value)
{
    return !value || json_is_null(value);
}

/* A boolean that may be absent. */
static tsr_status flag_at(struct reader *r, const json_t *object, const char *key, int otherwise,
                          int *flag)
{
    const json_t *value = json_object_get(object, key);
    *flag = otherwise;
    if (absent(value))
        return TSR_OK;
    if (!json_is_boolean(value))
        return malformed(r, key, "must be true or false");
    *flag = json_is_true(value);
    return TSR_OK;
}

/* ---- tokens ---- */

static tsr_status take_token(struct reader *r, struct tsr_slice name, json_int_t id,
                             const char *field)
{
    if (id < 0 || (uint64_t)id >= r->size)
        return tsr_fail(
            r->error, TSR_MALFORMED,
            "tokenizer.json: %s: \"%.60s\" has id %lld; ids must be 0 to %zu without gaps", field,
            name.text, (long long)id, r->size - 1);
    if (r->names[id].text)
        return tsr_fail(r->error, TSR_MALFORMED,
                        "tokenizer.json: %s: \"%.60s\" and \"%.60s\" have the same id %lld", field,
                        name.text, r->names[id].text, (long long)id);
    r->names[id] = name;
    return TSR_OK;
}

/* Length of the union of vocabulary and added tokens: with ids below it and none twice, there are
 * no gaps. */
static size_t count_tokens(const json_t *vocabulary, const json_t *added)
{
    size_t size = json_object_size(vocabulary), i;
    const json_t *token;
    json_array_foreach(added, i, token)
    {
        const char *content = text_at(token, "content");
        size += !json_object_get(vocabulary, content);
    }
    return size;
}

static tsr_status read_vocabulary(struct reader *r, json_t *vocabulary)
{
    const char *name;
    json_t *id;
    json_object_foreach(vocabulary, name, id)
    {
        if (!json_is_integer(id))
            return tsr_fail(r->error, TSR_MALFORMED,
                            "tokenizer.json: model.vocab: \"%.60s\" has no integer id", name);
        tsr_status status = take_token(r, (struct tsr_slice){name, strlen(name)},
                                       json_integer_value(id), "model.vocab");
        if (status != TSR_OK)
            return status;
    }
    return TSR_OK;
}

static tsr_status read_added_token(struct reader *r, const json_t *vocabulary, const json_t *token)
{
    static const struct {
        const char *key;
        int bit;
    } keys[] = {{"special", TSR_ADDED_SPECIAL | TSR_TOKEN_CONTROL},
                {"lstrip", TSR_ADDED_LSTRIP},
                {"rstrip", TSR_ADDED_RSTRIP},
                {"single_word", TSR_ADDED_WORD},
                {"normalized", TSR_ADDED_NORMALIZED}};
    const json_t *content = json_object_get(token, "content"), *id = json_object_get(token, "id");
    if (!json_is_string(content) || !json_is_integer(id))
        return malformed(r, "added_tokens",
                         "must have a string \"content\" and an integer \"id\" each");
    struct tsr_slice name = {json_string_value(content), json_string_length(content)};
    json_int_t number = json_integer_value(id);
    unsigned flags = TSR_TOKEN_ADDED;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int set;
        tsr_status status = flag_at(r, token, keys[i].key, 0, &set);
        if (status != TSR_OK)
            return status;
        flags |= set ? (unsigned)keys[i].bit : 0;
    }
    const json_t *same = json_object_get(vocabulary, name.text);
    if (same) {
        if (json_integer_value(same) != number || (r->flags[number] & TSR_TOKEN_ADDED))
            return tsr_fail(r->error, TSR_MALFORMED,
                            "tokenizer.json: added_tokens: \"%.60s\" has id %lld, but %lld in "
                            "model.vocab, or is there twice",
                            name.text, (long long)number, (long long)json_integer_value(same));
        flags |= TSR_ADDED_VOCABULARY;
    } else {
        tsr_status status = take_token(r, name, number, "added_tokens");
        if (status != TSR_OK)
            return status;
    }
    r->flags[number] = (uint8_t)flags;
    return TSR_OK;
}

static tsr_status read_tokens(struct reader *r, json_t *vocabulary)
{
    const json_t *added = json_object_get(r->root, "added_tokens"), *token;
    if (!json_is_object(vocabulary))
        return malformed(r, "model.vocab", "must be a map from token to id");
    if (!absent(added) && !json_is_array(added))
        return malformed(r, "added_tokens", "must be a list");
    r->size = count_tokens(vocabulary, added);
    if (!r->size || r->size > TSR_TOKENS_MAX)
        return tsr_fail(r->error, TSR_MALFORMED,
                        "tokenizer.json: model.vocab: %zu tokens, must be 1 to %d", r->size,
                        TSR_TOKENS_MAX);
    r->names = calloc(r->size, sizeof *r->names);
    r->flags = calloc(r->size, 1);
    if (!r->names || !r->flags)
        return no_memory(r);
    tsr_status status = read_vocabulary(r, vocabulary);
    size_t i;
    json_array_foreach(added, i, token)
    {
        if (status == TSR_OK)
            status = read_added_token(r, vocabulary, token);
    }
    return status;
}

/* ---- merges ---- */

/* ["a", "b"], or "a b" as files before 2024-10 have it. */
static int read_merge(const json_t *item, struct tsr_slice pair[2])
{
    if (json_is_array(item) && json_array_size(item) == 2) {
        for (size_t i = 0; i < 2; i++) {
            const json_t *part = json_array_get(item, i);
            if (!json_is_string(part) || !json_string_length(part) ||
                strchr(json_string_value(part), ' '))
                return 0; /* a space is not in the byte alphabet */
            pair[i] = (struct tsr_slice){json_string_value(part), json_string_length(part)};
        }
        return 1;
    }
    const char *text = json_string_value(item), *space = text ? strchr(text, ' ') : NULL;
    if (!space || space == text || !space[1] || strchr(space + 1, ' '))
        return 0;
    pair[0] = (struct tsr_slice){text, (size_t)(space - text)};
    pair[1] = (struct tsr_slice){space + 1, strlen(space + 1)};
    return 1;
}

static tsr_status read_merges(struct reader *r, const json_t *merges)
{
    if (!json_is_array(merges) || json_array_size(merges) > TSR_MERGES_MAX)
        return tsr_fail(r->error, TSR_MALFORMED,
                        "tokenizer.json: model.merges must be a list of at most %d pairs",
                        TSR_MERGES_MAX);
    r->merges = calloc(json_array_size(merges) + 1, sizeof *r->merges);
    if (!r->merges)
        return no_memory(r);
    size_t i;
    const json_t *item;
    json_array_foreach(merges, i, item)
    {
        if (json_is_string(item) && !strncmp(json_string_value(item), "#version", 8))
            continue; /* the head line of a merges.txt */
        if (!read_merge(item, r->merges[r->merge_count++]))
            return tsr_fail(r->error, TSR_MALFORMED,
                            "tokenizer.json: model.merges: entry %zu is not two parts", i);
    }
    return TSR_OK;
}

static int merge_of(const void *merges, size_t index, struct tsr_slice pair[2])
{
    memcpy(pair, ((const struct tsr_slice(*)[2])merges)[index], 2 * sizeof *pair);
    return 1;
}

/* ---- model ---- */

/* All bytes that occur in UTF-8 (not C0, C1, F5 to FF): then no text is unknown, and what is said
 * of that is moot. */
static int alphabet_complete(const json_t *vocabulary)
{
    for (int byte = 0; byte < 0xF5; byte++) {
        char name[3] = {0};
        tsr_byte_char((uint8_t)byte, name);
        if (byte != 0xC0 && byte != 0xC1 && !json_object_get(vocabulary, name))
            return 0;
    }
    return 1;
}

static tsr_status read_model(struct reader *r, int *whole_words)
{
    json_t *model = json_object_get(r->root, "model");
    if (!json_is_object(model))
        return malformed(r, "model", "must be an object");
    if (json_object_get(model, "type") && strcmp(type_of(model), "BPE"))
        return unsupported(r, "model.type", type_of(model));
    const json_t *dropout = json_object_get(model, "dropout");
    if (!absent(dropout) && json_number_value(dropout) != 0)
        return unsupported(r, "model.dropout", "random merging");
    if (*text_at(model, "continuing_subword_prefix"))
        return unsupported(r, "model.continuing_subword_prefix",
                           text_at(model, "continuing_subword_prefix"));
    if (*text_at(model, "end_of_word_suffix"))
        return unsupported(r, "model.end_of_word_suffix", text_at(model, "end_of_word_suffix"));
    json_t *vocabulary = json_object_get(model, "vocab");
    tsr_status status = read_tokens(r, vocabulary);
    int fallback = 0;
    if (status == TSR_OK)
        status = flag_at(r, model, "byte_fallback", 0, &fallback);
    if (status == TSR_OK)
        status = flag_at(r, model, "ignore_merges", 0, whole_words);
    if (status == TSR_OK && (fallback || *text_at(model, "unk_token")) &&
        !alphabet_complete(vocabulary))
        status = unsupported(r, "model.vocab",
                             "a vocabulary that lacks bytes, with unk_token or byte_fallback,");
    if (status == TSR_OK)
        status = read_merges(r, json_object_get(model, "merges"));
    return status;
}

/* ---- pre-tokenizer ---- */

/* Adds "HEAD PATTERN" as a step; literal: the pattern is plain text. */
static tsr_status add_step(struct reader *r, const char *head, const char *pattern, int literal)
{
    size_t head_bytes = strlen(head), bytes = head_bytes;
    if (r->step_count == TSR_STEPS_MAX)
        return malformed(r, "pre_tokenizer", "has too many steps");
    char *text = malloc(head_bytes + 2 * strlen(pattern) + 1);
    if (!text)
        return no_memory(r);
    memcpy(text, head, head_bytes);
    for (const char *s = pattern; *s; s++) {
        if (literal && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", *s))
            text[bytes++] = '\\';
        text[bytes++] = *s;
    }
    r->steps[r->step_count++] = (struct tsr_slice){text, bytes};
    return TSR_OK;
}

static tsr_status read_split(struct reader *r, const json_t *step)
{
    static const char *const behaviors[TSR_BEHAVIORS] = {
        "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const json_t *pattern = json_object_get(step, "pattern");
    const char *behavior = text_at(step, "behavior"),
               *text = json_string_value(json_object_get(pattern, "Regex"));
    int literal = !text, invert;
    if (literal)
        text = json_string_value(json_object_get(pattern, "String"));
    if (!text)
        return malformed(r, "pre_tokenizer.pattern", "must hold a \"Regex\" or a \"String\"");
    tsr_status status = flag_at(r, step, "invert", 0, &invert);
    for (int i = 0; i < TSR_BEHAVIORS && status == TSR_OK; i++) {
        if (strcmp(behavior, behaviors[i]))
            continue;
        char head[64];
        snprintf(head, sizeof head, "split %s %s ", tsr_behavior_names[i],
                 invert ? "gaps" : "match");
        return add_step(r, head, text, literal);
    }
    return status != TSR_OK
               ? status
               : unsupported(r, "pre_tokenizer.behavior", *behavior ? behavior : "none");
}

static tsr_status read_byte_level(struct reader *r, const json_t *step)
{
    static const char gpt2[] =
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    int space, regex;
    tsr_status status = flag_at(r, step, "add_prefix_space", 1, &space);
    if (status == TSR_OK)
        status = flag_at(r, step, "use_regex", 1, &regex);
    if (status == TSR_OK && space)
        status = add_step(r, "space", "", 0);
    if (status == TSR_OK && regex)
        status = add_step(r, "split isolated match ", gpt2, 0);
    r->bytes_seen = 1;
    return status;
}

static tsr_status read_step(struct reader *r, const json_t *step)
{
    const char *type = type_of(step);
    if (r->bytes_seen)
        return unsupported(r, "pre_tokenizer", "a step after ByteLevel");
    if (!strcmp(type, "Split"))
        return read_split(r, step);
    if (!strcmp(type, "ByteLevel"))
        return read_byte_level(r, step);
    if (!strcmp(type, "Digits")) {
        int single;
        tsr_status status = flag_at(r, step, "individual_digits", 0, &single);
        if (status != TSR_OK)
            return status;
        return add_step(r, single ? "split isolated match " : "split contiguous match ", "\\p{N}",
                        0);
    }
    return unsupported(r, "pre_tokenizer", *type ? type : "a step without type");
}

/* Calls `read` with value itself, or with each element of value[list] if it is a Sequence. */
static tsr_status each(struct reader *r, const json_t *value, const char *list, const char *field,
                       tsr_status (*read)(struct reader *, const json_t *))
{
    if (strcmp(type_of(value), "Sequence"))
        return read(r, value);
    const json_t *items = json_object_get(value, list), *item;
    if (!json_is_array(items))
        return malformed(r, field, "is a Sequence without list");
    tsr_status status = TSR_OK;
    size_t i;
    json_array_foreach(items, i, item)
    {
        if (status == TSR_OK)
            status = read(r, item);
    }
    return status;
}

/* ---- the other parts ---- */

static tsr_status read_normalizer(struct reader *r, const json_t *normalizer)
{
    return unsupported(r, "normalizer",
                       *type_of(normalizer) ? type_of(normalizer) : "one without type");
}

static tsr_status read_decoder(struct reader *r, const json_t *decoder)
{
    if (strcmp(type_of(decoder), "ByteLevel"))
        return unsupported(r, "decoder", *type_of(decoder) ? type_of(decoder) : "none");
    return TSR_OK;
}

/* The ids of one special token of a template. */
static tsr_status read_template_token(struct reader *r, const json_t *processor, const char *name,
                                      int after)
{
    static const char field[] = "post_processor";
    const json_t *ids = json_object_get(
                     json_object_get(json_object_get(processor, "special_tokens"), name), "ids"),
                 *id;
    size_t i;
    if (!json_is_array(ids))
        return malformed(r, field, "names a special token without ids");
    json_array_foreach(ids, i, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return malformed(r, field, "has an id that is none");
        if (r->around_count[after] == sizeof *r->around / sizeof **r->around)
            return unsupported(r, field, "a template that adds more than 16 tokens");
        r->around[after][r->around_count[after]++] = (int32_t)json_integer_value(id);
    }
    return TSR_OK;
}

static tsr_status read_post_processor(struct reader *r, const json_t *processor)
{
    const char *type = type_of(processor);
    if (!strcmp(type, "ByteLevel"))
        return TSR_OK;
    if (strcmp(type, "TemplateProcessing") || r->template_seen++)
        return unsupported(r, "post_processor", *type ? type : "one without type");
    const json_t *single = json_object_get(processor, "single"), *part;
    int after = 0;
    size_t i;
    if (!json_is_array(single))
        return malformed(r, "post_processor.single", "must be a list");
    json_array_foreach(single, i, part)
    {
        const json_t *special = json_object_get(part, "SpecialToken"),
                     *sequence = json_object_get(part, "Sequence");
        if (special) {
            tsr_status status = read_template_token(r, processor, text_at(special, "id"), after);
            if (status != TSR_OK)
                return status;
        } else if (sequence && !strcmp(text_at(sequence, "id"), "A") && !after) {
            after = 1;
        } else {
            return malformed(r, "post_processor.single",
                             "must hold special tokens and one sequence A");
        }
    }
    return after ? TSR_OK : malformed(r, "post_processor.single", "lacks the sequence A");
}

static tsr_status read_all(struct reader *r, int *whole_words)
{
    tsr_status status = read_model(r, whole_words);
    const json_t *part = json_object_get(r->root, "normalizer");
    if (status == TSR_OK && !absent(part))
        status = each(r, part, "normalizers", "normalizer", read_normalizer);
    part = json_object_get(r->root, "pre_tokenizer");
    if (status == TSR_OK)
        status = each(r, part, "pretokenizers", "pre_tokenizer", read_step);
    if (status == TSR_OK && !r->bytes_seen)
        status = unsupported(r, "pre_tokenizer", "one without ByteLevel");
    part = json_object_get(r->root, "post_processor");
    if (status == TSR_OK && !absent(part))
        status = each(r, part, "processors", "post_processor", read_post_processor);
    part = json_object_get(r->root, "decoder");
    if (status == TSR_OK)
        status = each(r, part, "decoders", "decoder", read_decoder);
    return status;
}

tsr_status tsr_tokenizer_from_json(tsr_tokenizer **tokenizer, const char *json, size_t bytes,
                                   struct tsr_error *error)
{
    struct reader r = {.error = error};
    int whole_words = 0;
    *tokenizer = NULL;
    tsr_status status = tsr_json_load(&r.root, json, bytes, "tokenizer.json", error);
    if (status == TSR_OK)
        status = read_all(&r, &whole_words);
    if (status == TSR_OK) {
        struct tsr_tokenizer_parts parts = {.size = r.size,
                                            .names = r.names,
                                            .flags = r.flags,
                                            .merge = merge_of,
                                            .merges = r.merges,
                                            .merge_count = r.merge_count,
                                            .steps = r.steps,
                                            .step_count = r.step_count,
                                            .prefix = r.around[0],
                                            .suffix = r.around[1],
                                            .prefix_count = r.around_count[0],
                                            .suffix_count = r.around_count[1],
                                            .whole_words = whole_words};
        status = tsr_tokenizer_build(tokenizer, &parts, error);
    }
    for (size_t i = 0; i < r.step_count; i++)
        free((char *)r.steps[i].text);
    free(r.names);
    free(r.flags);
    free(r.merges);
    json_decref(r.root);
    return status;
}
