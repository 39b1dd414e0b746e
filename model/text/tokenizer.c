/*
 * tokenizer.c: the tables of a tokenizer: checked and made from its parts, written to and read from
 * GGUF metadata.
 *
 * A vocabulary entry is written in the GPT-2 byte alphabet: a printable Latin-1 character stands
 * for its own byte, the other 68 bytes are U+0100 and following. Decoding turns the characters of
 * any token, added ones too, back into bytes; a token with a character outside the alphabet stands
 * for its own UTF-8 (as `tokenizers` does it).
 *
 * A step of the pre-tokenizer is a string: "split BEHAVIOR match REGEX" cuts at what REGEX matches,
 * "split BEHAVIOR gaps REGEX" at what it does not (invert); BEHAVIOR is one of tsr_behavior_names.
 * "space" puts a space before each piece that begins with none. Bytes follow the last step, always.
 */
#include <config.h>

#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

const char *const tsr_behavior_names[TSR_BEHAVIORS] = {
    "isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"};

/* ---- the byte alphabet ---- */

/* Its code points, in order of byte: bytes that are not printable in Latin-1 are numbered from
 * U+0100 on. */
static uint32_t byte_code(unsigned byte)
{
    if ((byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD))
        return byte;
    if (byte <= 0x20)
        return 0x100 + byte;
    return byte == 0xAD ? 0x143 : 0x121 + byte - 0x7F;
}

size_t tsr_byte_char(uint8_t byte, char out[2])
{
    uint32_t code = byte_code(byte);
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
}

/* What a token's name stands for; `out` has room for the name. Returns the bytes. */
static size_t decode_name(const int16_t *byte_of /* [0x144], -1: none */, struct tsr_slice name,
                          char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < name.bytes;) {
        uint32_t code;
        i += tsr_utf8_next(name.text + i, name.bytes - i, &code);
        if (code >= 0x144 || byte_of[code] < 0) {
            memcpy(out, name.text, name.bytes);
            return name.bytes;
        }
        out[size++] = (char)byte_of[code];
    }
    return size;
}

/* ---- building ---- */

static tsr_status no_memory(struct tsr_error *error)
{
    return tsr_fail(error, TSR_MEMORY, "out of memory for the tokenizer");
}

static int shorter(size_t a, size_t b)
{
    return (int)(a < b ? a : b);
}

#define SHOWN(slice) shorter((slice).bytes, 60), (slice).text

static int compare(struct tsr_slice a, struct tsr_slice b)
{
    int order = memcmp(a.text, b.text, a.bytes < b.bytes ? a.bytes : b.bytes);
    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static tsr_status occurs_twice(const char *field, struct tsr_slice name, struct tsr_error *error)
{
    return tsr_fail(error, TSR_MALFORMED, "tokenizer: %s: \"%.*s\" occurs twice", field,
                    SHOWN(name));
}

/* ids are sorted by name. */
static int32_t find(const tsr_tokenizer *t, const uint32_t *ids, size_t count,
                    struct tsr_slice name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(tsr_token_name(t, ids[middle]), name);
        if (!order)
            return (int32_t)ids[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static int compare_ids(const void *a, const void *b, void *tokenizer)
{
    const tsr_tokenizer *t = tokenizer;
    return compare(tsr_token_name(t, *(const uint32_t *)a),
                   tsr_token_name(t, *(const uint32_t *)b));
}

/* Sorted ids of the tokens with (flags & mask) == value; two of the same name: TSR_MALFORMED. */
static tsr_status sort_ids(tsr_tokenizer *t, unsigned mask, unsigned value, uint32_t **ids,
                           size_t *count, struct tsr_error *error)
{
    size_t n = 0;
    *ids = malloc((t->size + 1) * sizeof **ids);
    if (!*ids)
        return no_memory(error);
    for (size_t id = 0; id < t->size; id++)
        if ((t->flags[id] & mask) == value)
            (*ids)[n++] = (uint32_t)id;
    *count = n;
    qsort_r(*ids, n, sizeof **ids, compare_ids, t);
    for (size_t i = 1; i < n; i++)
        if (!compare_ids(&(*ids)[i - 1], &(*ids)[i], t))
            return occurs_twice("added_tokens", tsr_token_name(t, (*ids)[i]), error);
    return TSR_OK;
}

/* Checks and copies the names, and works out what they decode to. */
static tsr_status take_names(tsr_tokenizer *t, const struct tsr_tokenizer_parts *parts,
                             struct tsr_error *error)
{
    size_t total = 0;
    for (size_t id = 0; id < parts->size; id++) {
        size_t bytes = parts->names[id].bytes;
        if (!bytes || bytes > TSR_TOKEN_BYTES_MAX)
            return tsr_fail(error, TSR_MALFORMED,
                            "tokenizer: token %zu has %zu bytes, must have 1 to %d", id, bytes,
                            TSR_TOKEN_BYTES_MAX);
        if ((parts->flags[id] & TSR_TOKEN_ADDED) && bytes > TSR_ADDED_BYTES_MAX)
            return tsr_fail(error, TSR_UNSUPPORTED,
                            "tokenizer: added token %zu has %zu bytes, the limit is %d", id, bytes,
                            TSR_ADDED_BYTES_MAX);
        uint32_t code;
        for (size_t i = 0; i < bytes;) {
            i += tsr_utf8_next(parts->names[id].text + i, bytes - i, &code);
            if (code >= TSR_ILL_FORMED)
                return tsr_fail(error, TSR_MALFORMED, "tokenizer: token %zu is not UTF-8", id);
        }
        total += bytes; /* at most 2^20 tokens of 2^12 bytes: below 2^32 + 1 */
    }
    if (total > UINT32_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED, "tokenizer: the tokens have %zu bytes together",
                        total);
    t->flags = malloc(parts->size + 1);
    t->name_at = malloc((parts->size + 1) * sizeof *t->name_at);
    t->byte_at = malloc((parts->size + 1) * sizeof *t->byte_at);
    t->names = malloc(total + 1);
    t->bytes = malloc(total + 1);
    if (!t->flags || !t->name_at || !t->byte_at || !t->names || !t->bytes)
        return no_memory(error);
    int16_t byte_of[0x144];
    memset(byte_of, -1, sizeof byte_of);
    for (int byte = 0; byte < 256; byte++)
        byte_of[byte_code((unsigned)byte)] = (int16_t)byte;
    t->size = parts->size;
    t->name_at[0] = t->byte_at[0] = 0;
    for (size_t id = 0; id < t->size; id++) {
        struct tsr_slice name = parts->names[id];
        t->flags[id] = parts->flags[id];
        memcpy(t->names + t->name_at[id], name.text, name.bytes);
        t->name_at[id + 1] = t->name_at[id] + (uint32_t)name.bytes;
        t->byte_at[id + 1] =
            t->byte_at[id] + (uint32_t)decode_name(byte_of, name, t->bytes + t->byte_at[id]);
    }
    return TSR_OK;
}

/* ---- the vocabulary by hash ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15; /* odd, of 2^64 / the golden ratio */
    return hash ^ hash >> 32;
}

uint32_t tsr_name_hash(const char *name, size_t bytes)
{
    uint64_t hash = bytes, word = 0;
    size_t i = 0;
    for (; i + sizeof word <= bytes; i += sizeof word) {
        memcpy(&word, name + i, sizeof word);
        hash = mix(hash, word);
    }
    for (word = 0; i < bytes; i++)
        word = word << 8 | (uint8_t)name[i];
    return (uint32_t)(mix(hash, word) >> 32);
}

/* Turns the number of items of each key into the place of its first item. */
static void places_of_counts(uint32_t *at, size_t keys)
{
    uint32_t sum = 0;
    for (size_t key = 0; key < keys; key++) {
        uint32_t count = at[key];
        at[key] = sum;
        sum += count;
    }
}

static int compare_entries(const void *a, const void *b, void *tokenizer)
{
    const tsr_tokenizer *t = tokenizer;
    const struct tsr_entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return compare(tsr_token_name(t, x->id), tsr_token_name(t, y->id));
}

static void sort_bucket(tsr_tokenizer *t, struct tsr_entry *entries, size_t count)
{
    enum { FEW = 8 };
    if (count > FEW) {
        qsort_r(entries, count, sizeof *entries, compare_entries, t);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct tsr_entry entry = entries[i];
        size_t to = i;
        for (; to && compare_entries(&entries[to - 1], &entry, t) > 0; to--)
            entries[to] = entries[to - 1];
        entries[to] = entry;
    }
}

/* t->vocabulary and the buckets, of `entries` in any order; a name that occurs twice:
 * TSR_MALFORMED. */
static tsr_status sort_entries(tsr_tokenizer *t, const struct tsr_entry *entries,
                               struct tsr_error *error)
{
    size_t count = t->vocabulary_count, buckets = (UINT32_MAX >> t->bucket_shift) + (size_t)1;
    memset(t->bucket_at, 0, (buckets + 1) * sizeof *t->bucket_at);
    uint32_t *at = t->bucket_at + 1; /* runs from the begin of a bucket to that of the next */
    for (size_t i = 0; i < count; i++)
        at[entries[i].hash >> t->bucket_shift]++;
    places_of_counts(at, buckets);
    for (size_t i = 0; i < count; i++)
        t->vocabulary[at[entries[i].hash >> t->bucket_shift]++] = entries[i];
    for (size_t i = 0; i < buckets; i++)
        sort_bucket(t, t->vocabulary + t->bucket_at[i], t->bucket_at[i + 1] - t->bucket_at[i]);
    for (size_t i = 1; i < count; i++)
        if (!compare_entries(&t->vocabulary[i - 1], &t->vocabulary[i], t))
            return occurs_twice("vocabulary", tsr_token_name(t, t->vocabulary[i].id), error);
    return TSR_OK;
}

static tsr_status index_vocabulary(tsr_tokenizer *t, struct tsr_error *error)
{
    for (t->bucket_shift = 31; UINT32_MAX >> t->bucket_shift < t->size; t->bucket_shift--)
        ; /* as many buckets as tokens, or a few more */
    t->vocabulary = malloc((t->size + 1) * sizeof *t->vocabulary);
    t->bucket_at = malloc(((UINT32_MAX >> t->bucket_shift) + (size_t)2) * sizeof *t->bucket_at);
    struct tsr_entry *entries = malloc((t->size + 1) * sizeof *entries);
    if (!t->vocabulary || !t->bucket_at || !entries) {
        free(entries);
        return no_memory(error);
    }
    for (size_t id = 0; id < t->size; id++) {
        struct tsr_slice name = tsr_token_name(t, id);
        if (!(t->flags[id] & TSR_TOKEN_ADDED)) /* added tokens may be entries as well */
            t->flags[id] = TSR_ADDED_VOCABULARY;
        if (t->flags[id] & TSR_ADDED_VOCABULARY)
            entries[t->vocabulary_count++] =
                (struct tsr_entry){tsr_name_hash(name.text, name.bytes), (uint32_t)id};
    }
    tsr_status status = sort_entries(t, entries, error);
    free(entries);
    for (int byte = 0; byte < 256 && status == TSR_OK; byte++) {
        char name[2];
        t->of_byte[byte] = tsr_vocabulary_find(t, name, tsr_byte_char((uint8_t)byte, name));
    }
    return status;
}

static int32_t find_hashed(const tsr_tokenizer *t, struct tsr_slice name, uint32_t hash)
{
    uint32_t bucket = hash >> t->bucket_shift;
    size_t low = t->bucket_at[bucket], high = t->bucket_at[bucket + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct tsr_entry entry = t->vocabulary[middle];
        int order = entry.hash != hash ? (entry.hash < hash ? -1 : 1)
                                       : compare(tsr_token_name(t, entry.id), name);
        if (!order)
            return (int32_t)entry.id;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

int32_t tsr_vocabulary_find(const tsr_tokenizer *t, const char *name, size_t bytes)
{
    struct tsr_slice wanted = {name, bytes};
    return find_hashed(t, wanted, tsr_name_hash(name, bytes));
}

/* ---- added tokens ---- */

static tsr_status index_added(tsr_tokenizer *t, struct tsr_error *error)
{
    for (unsigned normalized = 0; normalized < 2; normalized++) {
        struct tsr_added_set *set = &t->added[normalized];
        unsigned value = TSR_TOKEN_ADDED | (normalized ? TSR_ADDED_NORMALIZED : 0);
        tsr_status status = sort_ids(t, TSR_TOKEN_ADDED | TSR_ADDED_NORMALIZED, value, &set->ids,
                                     &set->count, error);
        if (status != TSR_OK)
            return status;
        size_t i = 0;
        for (unsigned byte = 0; byte < 256; byte++) {
            set->first[byte] = i;
            while (i < set->count && (uint8_t)tsr_token_name(t, set->ids[i]).text[0] == byte)
                i++;
        }
        set->first[256] = i;
    }
    for (size_t i = 0; i < t->added[1].count; i++) { /* the same text in both sets */
        struct tsr_slice name = tsr_token_name(t, t->added[1].ids[i]);
        if (find(t, t->added[0].ids, t->added[0].count, name) >= 0)
            return occurs_twice("added_tokens", name, error);
    }
    /* a word character as Rust's regex has it: added tokens are matched by that, not by Oniguruma
     */
    static const char word[] =
        "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"
        "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}\\x{200c}\\x{200d}]";
    for (size_t id = 0; id < t->size; id++)
        if (t->flags[id] & TSR_ADDED_WORD)
            return tsr_regex_new(&t->word, word, sizeof word - 1, error);
    return TSR_OK;
}

/* ---- merges ---- */

struct ranked {
    uint32_t left;
    struct tsr_merge merge;
};

/* Stable: items with equal keys stay in order. `at` [size + 1] is for its work. */
static void sort_ranked(struct ranked *out, const struct ranked *in, size_t count, int by_left,
                        uint32_t *at, size_t size)
{
    memset(at, 0, (size + 1) * sizeof *at);
    for (size_t i = 0; i < count; i++)
        at[by_left ? in[i].left : in[i].merge.right]++;
    places_of_counts(at, size);
    for (size_t i = 0; i < count; i++)
        out[at[by_left ? in[i].left : in[i].merge.right]++] = in[i];
}

enum { BATCH = 32 };

/* The ids of the parts of `count` <= BATCH merges. The lookups go side by side, so that the cache
 * misses of one do not wait for those of another. */
static void find_parts(const tsr_tokenizer *t, const struct tsr_slice (*pairs)[2], size_t count,
                       int32_t (*ids)[2])
{
    uint32_t hashes[BATCH][2];
    for (size_t i = 0; i < 2 * count; i++) {
        hashes[i / 2][i % 2] = tsr_name_hash(pairs[i / 2][i % 2].text, pairs[i / 2][i % 2].bytes);
        __builtin_prefetch(&t->bucket_at[hashes[i / 2][i % 2] >> t->bucket_shift]);
    }
    for (size_t i = 0; i < 2 * count; i++)
        __builtin_prefetch(&t->vocabulary[t->bucket_at[hashes[i / 2][i % 2] >> t->bucket_shift]]);
    for (size_t i = 0; i < 2 * count; i++)
        ids[i / 2][i % 2] = find_hashed(t, pairs[i / 2][i % 2], hashes[i / 2][i % 2]);
}

/* The id of two known names in a row. Vocabularies list what merges give in order of the merges, so
 * the entry behind the last result, `guess`, is most often the one. */
static int32_t find_joined(const tsr_tokenizer *t, const struct tsr_slice parts[2], size_t guess)
{
    char joined[2 * TSR_TOKEN_BYTES_MAX];
    size_t bytes = parts[0].bytes + parts[1].bytes;
    if (guess < t->size && (t->flags[guess] & TSR_ADDED_VOCABULARY)) {
        struct tsr_slice name = tsr_token_name(t, guess);
        if (name.bytes == bytes && !memcmp(name.text, parts[0].text, parts[0].bytes) &&
            !memcmp(name.text + parts[0].bytes, parts[1].text, parts[1].bytes))
            return (int32_t)guess;
    }
    memcpy(joined, parts[0].text, parts[0].bytes);
    memcpy(joined + parts[0].bytes, parts[1].text, parts[1].bytes);
    return tsr_vocabulary_find(t, joined, bytes);
}

/* Finds the three ids of `count` <= BATCH merges, of which `first` is the first; found[-1] is the merge before it. */
static tsr_status resolve_batch(const tsr_tokenizer *t, const struct tsr_slice (*pairs)[2],
                                size_t first, size_t count, struct ranked *found,
                                struct tsr_error *error)
{
    int32_t ids[BATCH][2];
    find_parts(t, pairs, count, ids);
    for (size_t i = 0; i < count; i++) {
        int32_t left = ids[i][0], right = ids[i][1], result = -1;
        if (left >= 0 && right >= 0)
            result = find_joined(t, pairs[i], first + i ? (found + i)[-1].merge.id + 1 : 0);
        if (result < 0)
            return tsr_fail(
                error, TSR_MALFORMED,
                "tokenizer: merge %zu (\"%.*s\" and \"%.*s\"): %s is not in the vocabulary",
                first + i, SHOWN(pairs[i][0]), SHOWN(pairs[i][1]),
                left < 0    ? "the first"
                : right < 0 ? "the second"
                            : "the result");
        found[i] = (struct ranked){(uint32_t)left,
                                   {(uint32_t)right, (uint32_t)result, (uint32_t)(first + i)}};
    }
    return TSR_OK;
}

static tsr_status resolve_merges(const tsr_tokenizer *t, const struct tsr_tokenizer_parts *parts,
                                 struct ranked *found, struct tsr_error *error)
{
    struct tsr_slice pairs[BATCH][2];
    tsr_status status = TSR_OK;
    for (size_t i = 0, count; i < parts->merge_count && status == TSR_OK; i += count) {
        for (count = 0; count < BATCH && i + count < parts->merge_count; count++)
            if (!parts->merge(parts->merges, i + count, pairs[count]))
                return tsr_fail(error, TSR_MALFORMED, "tokenizer: merge %zu is not two parts",
                                i + count);
        status = resolve_batch(t, (const struct tsr_slice(*)[2])pairs, i, count, found + i, error);
    }
    return status;
}

static tsr_status take_merges(tsr_tokenizer *t, const struct tsr_tokenizer_parts *parts,
                              struct tsr_error *error)
{
    size_t count = parts->merge_count;
    struct ranked *found = malloc((count + 1) * sizeof *found);
    struct ranked *sorted = malloc((count + 1) * sizeof *sorted);
    t->merges = malloc((count + 1) * sizeof *t->merges);
    t->merge_at = malloc((t->size + 1) * sizeof *t->merge_at);
    tsr_status status = found && sorted && t->merges && t->merge_at
                            ? resolve_merges(t, parts, found, error)
                            : no_memory(error);
    if (status == TSR_OK) { /* by left id, then by right id, then by rank */
        sort_ranked(sorted, found, count, 0, t->merge_at, t->size);
        sort_ranked(found, sorted, count, 1, t->merge_at, t->size);
        size_t id = 0;
        for (size_t i = 0; i < count; i++) {
            if (i + 1 < count && found[i].left == found[i + 1].left &&
                found[i].merge.right == found[i + 1].merge.right)
                continue; /* listed twice: the later rank holds */
            for (; id <= found[i].left; id++)
                t->merge_at[id] = (uint32_t)t->merge_count;
            t->merges[t->merge_count++] = found[i].merge;
        }
        for (; id <= t->size; id++)
            t->merge_at[id] = (uint32_t)t->merge_count;
    }
    free(found);
    free(sorted);
    return status;
}

/* ---- steps, and all together ---- */

/* Reads "space" or "split BEHAVIOR match|gaps REGEX". */
static tsr_status take_step(struct tsr_step *step, struct tsr_slice text, struct tsr_error *error)
{
    step->text = strndup(text.text, text.bytes);
    if (!step->text)
        return no_memory(error);
    if (strlen(step->text) != text.bytes)
        return tsr_fail(error, TSR_MALFORMED, "tokenizer: step \"%.60s\" has a zero byte",
                        step->text);
    if (!strcmp(step->text, "space"))
        return TSR_OK;
    const char *at = step->text;
    if (!strncmp(at, "split ", 6)) {
        at += 6;
        for (int i = 0; i < TSR_BEHAVIORS; i++) {
            size_t length = strlen(tsr_behavior_names[i]);
            if (strncmp(at, tsr_behavior_names[i], length) || at[length] != ' ')
                continue;
            at += length + 1;
            if (strncmp(at, "match ", 6) && strncmp(at, "gaps ", 5))
                break;
            step->behavior = (enum tsr_behavior)i;
            step->gaps = *at == 'g';
            at += step->gaps ? 5 : 6;
            return tsr_regex_new(&step->regex, at, text.bytes - (size_t)(at - step->text), error);
        }
    }
    return tsr_fail(error, TSR_UNSUPPORTED,
                    "tokenizer: step \"%.60s\" is not known; a newer tessera may know it",
                    step->text);
}

static tsr_status take_ids(const tsr_tokenizer *t, int32_t **ids, size_t *count,
                           const int32_t *from, size_t n, struct tsr_error *error)
{
    *ids = malloc((n + 1) * sizeof **ids);
    if (!*ids)
        return no_memory(error);
    for (size_t i = 0; i < n; i++) {
        if (from[i] < 0 || (size_t)from[i] >= t->size)
            return tsr_fail(error, TSR_MALFORMED,
                            "tokenizer: post-processor: id %d is not one of %zu tokens", from[i],
                            t->size);
        (*ids)[i] = from[i];
    }
    *count = n;
    return TSR_OK;
}

tsr_status tsr_tokenizer_build(tsr_tokenizer **tokenizer, const struct tsr_tokenizer_parts *parts,
                               struct tsr_error *error)
{
    *tokenizer = NULL;
    if (!parts->size || parts->size > TSR_TOKENS_MAX || parts->merge_count > TSR_MERGES_MAX ||
        parts->step_count > TSR_STEPS_MAX)
        return tsr_fail(
            error, TSR_MALFORMED,
            "tokenizer: %zu tokens, %zu merges, %zu steps; must be 1 to %d, at most %d, at most %d",
            parts->size, parts->merge_count, parts->step_count, TSR_TOKENS_MAX, TSR_MERGES_MAX,
            TSR_STEPS_MAX);
    tsr_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return no_memory(error);
    t->whole_words = parts->whole_words;
    t->steps = calloc(parts->step_count + 1, sizeof *t->steps);
    tsr_status status = t->steps ? take_names(t, parts, error) : no_memory(error);
    if (status == TSR_OK)
        status = index_vocabulary(t, error);
    if (status == TSR_OK)
        status = index_added(t, error);
    if (status == TSR_OK)
        status = take_merges(t, parts, error);
    while (status == TSR_OK && t->step_count < parts->step_count) {
        size_t i = t->step_count++;
        status = take_step(&t->steps[i], parts->steps[i], error);
    }
    if (status == TSR_OK)
        status =
            take_ids(t, &t->prefix, &t->prefix_count, parts->prefix, parts->prefix_count, error);
    if (status == TSR_OK)
        status =
            take_ids(t, &t->suffix, &t->suffix_count, parts->suffix, parts->suffix_count, error);
    if (status == TSR_OK)
        *tokenizer = t;
    else
        tsr_tokenizer_free(t);
    return status;
}

void tsr_tokenizer_free(tsr_tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->step_count; i++) {
        free(t->steps[i].text);
        tsr_regex_free(t->steps[i].regex);
    }
    void *const all[] = {t->flags,        t->name_at,      t->names,    t->byte_at, t->bytes,
                         t->vocabulary,   t->bucket_at,    t->merge_at, t->merges,  t->steps,
                         t->added[0].ids, t->added[1].ids, t->prefix,   t->suffix};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    tsr_regex_free(t->word);
    free(t);
}

/* ---- looking up ---- */

static int32_t find_added(const tsr_tokenizer *t, const char *text)
{
    struct tsr_slice name = {text, strlen(text)};
    int32_t id = find(t, t->added[0].ids, t->added[0].count, name);
    return id >= 0 ? id : find(t, t->added[1].ids, t->added[1].count, name);
}

int32_t tsr_tokenizer_id(const tsr_tokenizer *t, const char *text)
{
    int32_t id = find_added(t, text);
    return id >= 0 ? id : tsr_vocabulary_find(t, text, strlen(text));
}

size_t tsr_tokenizer_size(const tsr_tokenizer *t)
{
    return t->size;
}

struct tsr_slice tsr_tokenizer_bytes(const tsr_tokenizer *t, int32_t id)
{
    if (id < 0 || (size_t)id >= t->size)
        return (struct tsr_slice){"", 0};
    return (struct tsr_slice){t->bytes + t->byte_at[id], t->byte_at[id + 1] - t->byte_at[id]};
}

int tsr_tokenizer_is_special(const tsr_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->size && (t->flags[id] & TSR_ADDED_SPECIAL);
}

void tsr_tokenizer_control(tsr_tokenizer *t, const char *text)
{
    int32_t id = find_added(t, text);
    if (id >= 0)
        t->flags[id] |= TSR_TOKEN_CONTROL;
}
