/*
 * encode.c: text to ids and ids to text.
 *
 * 1. Added tokens are cut out: leftmost, of these the longest; first those marked normalized =
 * false, then in what lies between them the others. A control token counts only if its letters lie
 * in template spans.
 * 2. Each stretch between them goes through the steps of the pre-tokenizer, each of which cuts
 * pieces into smaller ones.
 * 3. Each piece becomes one symbol per byte, and pairs of neighbours are merged: lowest rank first,
 * leftmost of equals. Symbols form a linked list; candidates wait in a binary heap, which may hold
 * pairs that are gone by the time they are popped. So n bytes cost O(n log n), whatever they are,
 * and no recursion.
 */
#include <config.h>

#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

struct piece {
    const char *text;
    size_t bytes;
};

struct pieces {
    struct piece *items;
    size_t count, room;
};

struct symbol {
    uint32_t id;
    int32_t before, after; /* neighbours, -1: none; id is GONE if merged into `before` */
};

enum { GONE = -1 };

struct candidate {
    uint32_t rank, at, id; /* merging symbol `at` with its neighbour gives id */
};

struct encoder {
    const tsr_tokenizer *t;
    struct tsr_error *error;
    const struct tsr_text *text; /* well-formed */
    int32_t *ids;
    size_t count, room;
    struct pieces now, next;
    char *spaced; /* pieces with a space in front */
    struct symbol *symbols;
    size_t symbol_room;
    struct candidate *heap;
    size_t heap_count, heap_room;
    char *name; /* of a piece, in the byte alphabet */
    size_t name_room;
    tsr_regex_scratch *scratch;
    int gave_up; /* what tsr_regex_find said when it could not tell */
};

static tsr_status no_memory(struct encoder *e)
{
    return tsr_fail(e->error, TSR_MEMORY, "out of memory for the ids of a text");
}

/* Why a regular expression was not matched to the end: tsr_regex_find's -1 or -2. */
static tsr_status gave_up(struct encoder *e, int why)
{
    if (why == -2)
        return no_memory(e);
    return tsr_fail(e->error, TSR_UNSUPPORTED,
                    "the tokenizer's regular expression needs too much work on this text");
}

static tsr_status emit(struct encoder *e, int32_t id)
{
    int32_t *ids = tsr_grow(e->ids, &e->room, e->count + 1, sizeof *ids);
    if (!ids)
        return no_memory(e);
    e->ids = ids;
    e->ids[e->count++] = id;
    return TSR_OK;
}

/* ---- merging ---- */

static int before(struct candidate a, struct candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static tsr_status push(struct encoder *e, struct candidate added)
{
    struct candidate *heap = tsr_grow(e->heap, &e->heap_room, e->heap_count + 1, sizeof *heap);
    if (!heap)
        return no_memory(e);
    e->heap = heap;
    size_t at = e->heap_count++;
    for (; at && before(added, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = added;
    return TSR_OK;
}

static struct candidate pop(struct encoder *e)
{
    struct candidate *heap = e->heap, top = heap[0], last = heap[--e->heap_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < e->heap_count) {
        child += child + 1 < e->heap_count && before(heap[child + 1], heap[child]);
        if (!before(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* The merge of two ids, NULL: none. Letters never merge to a control token. */
static const struct tsr_merge *find_merge(const tsr_tokenizer *t, uint32_t left, uint32_t right)
{
    size_t low = t->merge_at[left], high = t->merge_at[left + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tsr_merge *m = &t->merges[middle];
        if (m->right == right)
            return t->flags[m->id] & TSR_TOKEN_CONTROL ? NULL : m;
        if (m->right < right)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Puts the pair that begins at symbol `at` (if there is one, and if it merges) on the heap. */
static tsr_status consider(struct encoder *e, int32_t at)
{
    if (at < 0 || e->symbols[at].after < 0)
        return TSR_OK;
    const struct tsr_merge *m =
        find_merge(e->t, e->symbols[at].id, e->symbols[e->symbols[at].after].id);
    return m ? push(e, (struct candidate){m->rank, (uint32_t)at, m->id}) : TSR_OK;
}

static tsr_status merge_symbols(struct encoder *e, size_t count)
{
    tsr_status status = TSR_OK;
    struct symbol *s = e->symbols;
    e->heap_count = 0;
    for (size_t i = 0; i + 1 < count && status == TSR_OK; i++)
        status = consider(e, (int32_t)i);
    while (e->heap_count && status == TSR_OK) {
        struct candidate best = pop(e);
        int32_t at = (int32_t)best.at, gone = s[at].after;
        if (s[at].id == (uint32_t)GONE || gone < 0)
            continue;
        /* the pair may have changed since; like the reference, ask only what it would give now */
        const struct tsr_merge *m = find_merge(e->t, s[at].id, s[gone].id);
        if (!m || m->id != best.id)
            continue;
        s[at].id = best.id;
        s[at].after = s[gone].after;
        s[gone].id = (uint32_t)GONE;
        if (s[at].after >= 0)
            s[s[at].after].before = at;
        status = consider(e, s[at].before);
        if (status == TSR_OK)
            status = consider(e, at);
    }
    return status;
}

/* Id of a piece that is a vocabulary entry as a whole, -1: it is none. */
static tsr_status find_whole(struct encoder *e, struct piece piece, int32_t *id)
{
    *id = -1;
    if (piece.bytes > TSR_TOKEN_BYTES_MAX)
        return TSR_OK;
    char *name = tsr_grow(e->name, &e->name_room, 2 * piece.bytes, 1);
    if (!name)
        return no_memory(e);
    e->name = name;
    size_t bytes = 0;
    for (size_t i = 0; i < piece.bytes; i++)
        bytes += tsr_byte_char((uint8_t)piece.text[i], name + bytes);
    *id = tsr_vocabulary_find(e->t, name, bytes);
    if (*id >= 0 && (e->t->flags[*id] & TSR_TOKEN_CONTROL))
        *id = -1;
    return TSR_OK;
}

static tsr_status encode_piece(struct encoder *e, struct piece piece)
{
    if (e->t->whole_words) {
        int32_t id;
        tsr_status status = find_whole(e, piece, &id);
        if (status != TSR_OK || id >= 0)
            return status == TSR_OK ? emit(e, id) : status;
    }
    if (piece.bytes > INT32_MAX)
        return tsr_fail(e->error, TSR_UNSUPPORTED, "a text of %zu bytes is too long", piece.bytes);
    struct symbol *s = tsr_grow(e->symbols, &e->symbol_room, piece.bytes, sizeof *s);
    if (!s)
        return no_memory(e);
    e->symbols = s;
    size_t count = 0;
    for (size_t i = 0; i < piece.bytes; i++) {
        int32_t id = e->t->of_byte[(uint8_t)piece.text[i]];
        if (id < 0)
            continue; /* a byte that the vocabulary lacks is left out, as in the reference */
        s[count] = (struct symbol){(uint32_t)id, (int32_t)count - 1, (int32_t)count + 1};
        count++;
    }
    if (!count)
        return TSR_OK;
    s[count - 1].after = -1;
    tsr_status status = merge_symbols(e, count);
    for (int32_t i = 0; i >= 0 && status == TSR_OK; i = s[i].after)
        status = emit(e, (int32_t)s[i].id);
    return status;
}

/* ---- pre-tokenizer ---- */

/* Empty pieces are kept while a text is split, because others may be joined to them. */
static tsr_status add_piece(struct encoder *e, const char *text, size_t bytes)
{
    struct piece *items = tsr_grow(e->next.items, &e->next.room, e->next.count + 1, sizeof *items);
    if (!items)
        return no_memory(e);
    e->next.items = items;
    items[e->next.count++] = (struct piece){text, bytes};
    return TSR_OK;
}

/* Joins with the last piece written, which ends where this one begins. */
static void extend_piece(struct encoder *e, size_t bytes)
{
    e->next.items[e->next.count - 1].bytes += bytes;
}

struct splitter {
    const struct tsr_step *step;
    size_t first;      /* of the pieces in `next`, the first of this text */
    int was_delimiter; /* the part before */
};

/* One part of a text that a step has cut: a delimiter or what lies between. */
static tsr_status add_part(struct encoder *e, struct splitter *s, const char *text, size_t bytes,
                           int matched)
{
    int delimiter = matched != s->step->gaps, was = s->was_delimiter,
        any = e->next.count > s->first;
    int join = 0;
    switch (s->step->behavior) {
    case TSR_REMOVED:
        if (delimiter)
            return TSR_OK;
        break;
    case TSR_CONTIGUOUS: /* runs of delimiters stay together */
        join = any && delimiter == was;
        break;
    case TSR_MERGED_WITH_PREVIOUS: /* only the first of a run */
        join = any && delimiter && !was;
        break;
    case TSR_MERGED_WITH_NEXT: /* only the last of a run */
        join = any && !delimiter && was;
        break;
    default:
        break;
    }
    s->was_delimiter = delimiter;
    if (!join)
        return add_piece(e, text, bytes);
    extend_piece(e, bytes);
    return TSR_OK;
}

static tsr_status split(struct encoder *e, const struct tsr_step *step, struct piece piece)
{
    struct splitter s = {.step = step, .first = e->next.count};
    size_t done = 0, from = 0, begin, end, last_match = SIZE_MAX;
    tsr_status status = TSR_OK;
    while (status == TSR_OK && from <= piece.bytes) {
        int found =
            tsr_regex_find(step->regex, e->scratch, piece.text, piece.bytes, from, &begin, &end);
        if (found < 0)
            return gave_up(e, found);
        if (!found)
            break;
        if (begin == end && end == last_match) { /* no empty match right behind a match */
            uint32_t code;
            from += from < piece.bytes ? tsr_utf8_next(piece.text + from, piece.bytes - from, &code)
                                       : 1;
            continue;
        }
        from = last_match = end;
        if (begin > done)
            status = add_part(e, &s, piece.text + done, begin - done, 0);
        if (status == TSR_OK)
            status = add_part(e, &s, piece.text + begin, end - begin, 1);
        done = end;
    }
    if (status == TSR_OK && done < piece.bytes)
        status = add_part(e, &s, piece.text + done, piece.bytes - done, 0);
    return status;
}

/* Puts a space before each piece that does not begin with one, in a buffer of its own. */
static tsr_status put_spaces(struct encoder *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < e->now.count; i++)
        bytes += e->now.items[i].bytes + 1;
    char *spaced = malloc(bytes + 1), *to = spaced; /* the pieces may lie in the old buffer */
    if (!spaced)
        return no_memory(e);
    for (size_t i = 0; i < e->now.count; i++) {
        struct piece *p = &e->now.items[i];
        size_t added = *p->text != ' ';
        *to = ' ';
        memcpy(to + added, p->text, p->bytes);
        *p = (struct piece){to, p->bytes + added};
        to += p->bytes;
    }
    free(e->spaced);
    e->spaced = spaced;
    return TSR_OK;
}

/* Makes the pieces just written, without the empty ones, the current ones. */
static void turn_over(struct encoder *e)
{
    struct pieces written = e->next;
    size_t count = 0;
    for (size_t i = 0; i < written.count; i++)
        if (written.items[i].bytes)
            written.items[count++] = written.items[i];
    written.count = count;
    e->next = e->now;
    e->next.count = 0;
    e->now = written;
}

/* A stretch of text without added tokens. */
static tsr_status encode_stretch(struct encoder *e, const char *text, size_t bytes)
{
    tsr_status status = add_piece(e, text, bytes);
    turn_over(e);
    for (size_t i = 0; i < e->t->step_count && status == TSR_OK; i++) {
        if (!e->t->steps[i].regex) {
            status = put_spaces(e);
            continue;
        }
        for (size_t j = 0; j < e->now.count && status == TSR_OK; j++)
            status = split(e, &e->t->steps[i], e->now.items[j]);
        turn_over(e);
    }
    for (size_t i = 0; i < e->now.count && status == TSR_OK; i++)
        status = encode_piece(e, e->now.items[i]);
    return status;
}

/* ---- added tokens ---- */

/* The longest added token that begins at `text`: its id, -1: none. */
static int32_t longest_at(const tsr_tokenizer *t, const struct tsr_added_set *set, const char *text,
                          size_t bytes)
{
    size_t low = set->first[(uint8_t)*text], high = set->first[(uint8_t)*text + 1];
    int32_t best = -1;
    for (size_t depth = 1; low < high;
         depth++) { /* those in [low, high) begin with the first `depth` bytes of text */
        if (tsr_token_name(t, set->ids[low]).bytes == depth)
            best = (int32_t)set->ids[low++];
        if (depth == bytes)
            break;
        for (int upper = 0; upper < 2;
             upper++) { /* narrow to those whose next byte is that of text */
            size_t from = low, to = high;
            while (from < to) {
                size_t middle = from + (to - from) / 2;
                uint8_t byte = (uint8_t)tsr_token_name(t, set->ids[middle]).text[depth];
                if (byte < (uint8_t)text[depth] || (upper && byte == (uint8_t)text[depth]))
                    from = middle + 1;
                else
                    to = middle;
            }
            *(upper ? &high : &low) = from;
        }
    }
    return best;
}

static int in_template(const struct tsr_text *text, size_t begin, size_t end)
{
    size_t low = 0, high = text->span_count;
    while (low < high) { /* the span that holds `begin`: the first whose end is beyond it */
        size_t middle = low + (high - low) / 2;
        if (text->spans[middle].end <= begin)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < text->span_count && text->spans[low].kind == TSR_SPAN_TEMPLATE; low++)
        if (text->spans[low].end >= end)
            return 1;
    return 0;
}

/* Start of the character that ends at `end`. */
static size_t character_before(const char *text, size_t end)
{
    do
        end--;
    while (end && ((uint8_t)text[end] & 0xC0) == 0x80);
    return end;
}

/* The stretch [begin, end) of the text, in which the added tokens of one set are looked for. */
struct stretch {
    size_t begin, end;
};

/* Is the one character in text[from, end) one of a word? */
static int is_word(struct encoder *e, size_t from, size_t end)
{
    size_t at, behind;
    int found = tsr_regex_find(e->t->word, e->scratch, e->text->bytes + from, end - from, 0, &at,
                               &behind);
    if (found < 0)
        e->gave_up = found;
    return found > 0;
}

static int touches_word(struct encoder *e, struct stretch all, struct stretch match)
{
    const char *text = e->text->bytes;
    uint32_t code;
    if (match.begin > all.begin && is_word(e, character_before(text, match.begin), match.begin))
        return 1;
    return match.end < all.end &&
           is_word(e, match.end,
                   match.end + tsr_utf8_next(text + match.end, all.end - match.end, &code));
}

/*
 * Widens a match over the white space that its token takes along; `done`: where the match before
 * ended, *run: the white space that was taken last, so that tokens made of spaces do not walk to
 * its end again and again.
 */
static struct stretch take_space(const struct encoder *e, struct stretch all, struct stretch match,
                                 size_t done, unsigned flags, struct stretch *run)
{
    const char *text = e->text->bytes;
    uint32_t code;
    if ((flags & TSR_ADDED_LSTRIP) && match.begin < done)
        match.begin = done;
    while ((flags & TSR_ADDED_LSTRIP) && match.begin > done) {
        size_t from = character_before(text, match.begin);
        tsr_utf8_next(text + from, match.begin - from, &code);
        if (!tsr_is_space(code))
            break;
        match.begin = from;
    }
    if (!(flags & TSR_ADDED_RSTRIP))
        return match;
    if (match.end < run->begin || match.end > run->end) {
        *run = (struct stretch){match.end, match.end};
        while (run->end < all.end) {
            size_t bytes = tsr_utf8_next(text + run->end, all.end - run->end, &code);
            if (!tsr_is_space(code))
                break;
            run->end += bytes;
        }
    }
    match.end = run->end;
    return match;
}

static tsr_status encode_without(struct encoder *e, struct stretch all, unsigned set);

/*
 * Cuts the added tokens of set number `set` out of a stretch; what lies between goes on to the next
 * set. The search goes on behind the letters of a token, even if it took more white space along.
 */
static tsr_status cut_added(struct encoder *e, struct stretch all, unsigned set)
{
    const tsr_tokenizer *t = e->t;
    size_t done = all.begin;
    struct stretch run = {1, 0};
    tsr_status status = TSR_OK;
    for (size_t at = all.begin; at < all.end && status == TSR_OK;) {
        int32_t id = longest_at(t, &t->added[set], e->text->bytes + at, all.end - at);
        struct stretch match = {at, at + (id < 0 ? 1 : tsr_token_name(t, (size_t)id).bytes)};
        at = match.end;
        if (id < 0 ||
            ((t->flags[id] & TSR_TOKEN_CONTROL) && !in_template(e->text, match.begin, match.end)) ||
            ((t->flags[id] & TSR_ADDED_WORD) && touches_word(e, all, match)))
            continue;
        match = take_space(e, all, match, done, t->flags[id], &run);
        if (match.begin > done)
            status = encode_without(e, (struct stretch){done, match.begin}, set + 1);
        if (status == TSR_OK &&
            match.begin < match.end) /* nothing is left of it: swallowed by the one before */
            status = emit(e, id);
        done = match.end;
    }
    if (status == TSR_OK && done < all.end)
        status = encode_without(e, (struct stretch){done, all.end}, set + 1);
    return status;
}

static tsr_status encode_without(struct encoder *e, struct stretch all, unsigned set)
{
    if (set < 2)
        return cut_added(e, all, set);
    return encode_stretch(e, e->text->bytes + all.begin, all.end - all.begin);
}

/* ---- whole texts ---- */

/* The text with ill-formed parts replaced, span by span. The caller frees it. */
static tsr_status well_formed(struct tsr_text *out, const struct tsr_text *text,
                              struct tsr_error *error)
{
    size_t begin = 0;
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < text->span_count && status == TSR_OK; i++) {
        size_t count = text->spans[i].end - begin;
        struct tsr_utf8 state = {0};
        char *room = count <= SIZE_MAX / 3 - 1 ? malloc(3 * count + 1) : NULL;
        if (!room)
            return tsr_fail(error, TSR_MEMORY, "out of memory for a text of %zu bytes", count);
        size_t bytes = tsr_utf8_feed(&state, text->bytes + begin, count, 1, room);
        status = tsr_text_add(out, room, bytes, text->spans[i].kind, error);
        free(room);
        begin = text->spans[i].end;
    }
    return status;
}

static tsr_status emit_all(struct encoder *e, const int32_t *ids, size_t count)
{
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < count && status == TSR_OK; i++)
        status = emit(e, ids[i]);
    return status;
}

tsr_status tsr_tokenizer_encode(const tsr_tokenizer *t, const struct tsr_text *text,
                                int add_special, int32_t **ids, size_t *count,
                                struct tsr_error *error)
{
    struct tsr_text clean = {0};
    struct encoder e = {
        .t = t, .error = error, .text = &clean, .scratch = tsr_regex_scratch_new(text->size)};
    *ids = NULL;
    *count = 0;
    tsr_status status = e.scratch ? well_formed(&clean, text, error) : no_memory(&e);
    if (status == TSR_OK && add_special)
        status = emit_all(&e, t->prefix, t->prefix_count);
    if (status == TSR_OK)
        status = encode_without(&e, (struct stretch){0, clean.size}, 0);
    if (status == TSR_OK && e.gave_up)
        status = gave_up(&e, e.gave_up);
    if (status == TSR_OK && add_special)
        status = emit_all(&e, t->suffix, t->suffix_count);
    if (status == TSR_OK && !e.ids) { /* no ids: an array all the same */
        e.ids = malloc(sizeof *e.ids);
        status = e.ids ? TSR_OK : no_memory(&e);
    }
    if (status == TSR_OK) {
        *ids = e.ids;
        *count = e.count;
        e.ids = NULL;
    }
    void *const all[] = {e.ids, e.now.items, e.next.items, e.spaced, e.symbols, e.heap, e.name};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    tsr_regex_scratch_free(e.scratch);
    tsr_text_free(&clean);
    return status;
}

tsr_status tsr_tokenizer_decode(const tsr_tokenizer *t, const int32_t *ids, size_t count,
                                int skip_special, char **text, size_t *bytes,
                                struct tsr_error *error)
{
    struct tsr_utf8 state = {0};
    size_t room = 16; /* the last bytes, and the zero */
    *text = NULL;
    *bytes = 0;
    for (size_t i = 0; i < count; i++)
        room += 3 * tsr_tokenizer_bytes(t, ids[i]).bytes; /* a replacement has 3 bytes */
    char *out = malloc(room);
    if (!out)
        return tsr_fail(error, TSR_MEMORY, "out of memory for the text of %zu ids", count);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        struct tsr_slice piece = tsr_tokenizer_bytes(t, ids[i]);
        if (!skip_special || !tsr_tokenizer_is_special(t, ids[i]))
            size += tsr_utf8_feed(&state, piece.text, piece.bytes, 0, out + size);
    }
    size += tsr_utf8_feed(&state, "", 0, 1, out + size);
    out[size] = '\0';
    *text = out;
    *bytes = size;
    return TSR_OK;
}
