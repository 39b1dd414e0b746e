/*
 * regex.c: the regular expressions of tokenizer.json, run by PCRE2.
 *
 * The files are written for Oniguruma with Ruby's syntax, which differs from PCRE2's in silent
 * ways: `$` and `^` are of lines, \s is Unicode's White_Space, \h is a hexadecimal digit, "[" opens
 * a class within a class, {,n} repeats. So a pattern is read item by item and written again for
 * PCRE2; what has no certain counterpart is refused by name, never passed on. \p{L} and the like
 * follow the Unicode version of the PCRE2 library.
 *
 * Linear time. Splitting searches for matches one after the other, and `\s+$` on a run of n spaces
 * that ends in a letter costs n + (n-1) + ... steps: every start in the run walks to its end. But
 * if a branch begins with C+ or C* for a single character class C, it never is the first to match
 * within a run of C: one position earlier it would have matched as well. Such a branch gets the
 * guard `(?:\G|(?<!C))`, \G being where the search began, which changes no result and makes each
 * run cost its length once. No JIT: its stack is small and fixed, and prompts are short; the
 * interpreter keeps its frames on the heap, within a limit.
 *
 * A bound on hostile patterns. PCRE2's match limit counts per start and does not see loops over one
 * character class, so n starts could still cost n^2 steps. Therefore callouts stand where a pattern
 * begins, branches and closes, behind each quantifier and every 64 items; each is charged 1 and the
 * characters since the one before, to a budget that is linear in the text. So a text is refused at
 * the same place on every machine; no clock is read.
 */
#include <config.h>

#include "tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUPS_MAX = 50,  /* depth of parentheses */
    REPEAT_MAX = 1000, /* {n}: what one callout may leave uncounted */
    ITEMS_MAX = 64,   /* between two callouts */
    HEAP_KIB_MAX = 48 * 1024,
    /* the budget of a text: published patterns take up to 12 charges a byte */
    CHARGES = 4 * 1000000,
    CHARGES_PER_BYTE = 64
};

struct tsr_regex {
    pcre2_code *code;
};

struct tsr_regex_scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
    uint64_t left; /* of the budget */
    size_t at;     /* where the callout before was */
};

/* Contents of a class; White_Space of Unicode, and Oniguruma's word characters. */
#define SPACE                                                                                      \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define HEX "0-9A-Fa-f"

struct translator {
    const char *at, *end;
    char *out;
    size_t size, room;
    int depth;
    int items; /* since the last callout */
    int due;   /* a callout, before the next item that is no quantifier */
    int no_memory;
    const char *refused; /* what cannot be translated */
};

static void put(struct translator *t, const char *text, size_t bytes)
{
    char *grown = tsr_grow(t->out, &t->room, t->size + bytes, 1);
    if (!grown) {
        t->no_memory = 1;
        return;
    }
    t->out = grown;
    memcpy(t->out + t->size, text, bytes);
    t->size += bytes;
}

static void puts_to(struct translator *t, const char *text)
{
    put(t, text, strlen(text));
}

static int next_is(const struct translator *t, const char *text)
{
    size_t bytes = strlen(text);
    return (size_t)(t->end - t->at) >= bytes && !memcmp(t->at, text, bytes);
}

static void callout(struct translator *t)
{
    puts_to(t, "(?C)");
    t->items = t->due = 0;
}

static void copy(struct translator *t, size_t bytes)
{
    put(t, t->at, bytes);
    t->at += bytes;
}

/* \xHH, \uHHHH, \x{H...}: at is behind the letter. */
static void code_point(struct translator *t, int digits)
{
    const char *from = t->at;
    if (t->at < t->end && *t->at == '{') {
        from = ++t->at;
        digits = 6;
    }
    size_t length = 0;
    while (length < (size_t)digits && from + length < t->end &&
           strchr("0123456789abcdefABCDEF", from[length]) && from[length])
        length++;
    t->at = from + length;
    int braces = from[-1] == '{';
    if (!length || (braces && (t->at == t->end || *t->at++ != '}'))) {
        t->refused = "a bad \\x or \\u";
        return;
    }
    puts_to(t, "\\x{");
    put(t, from, length);
    puts_to(t, "}");
}

/* \p{Name}, \p{^Name}: general categories as they are, longer names only as scripts. at is behind
 * the p or P. */
static void property(struct translator *t, int negated)
{
    if (t->at == t->end || *t->at++ != '{') {
        t->refused = "\\p without braces";
        return;
    }
    if (t->at < t->end && *t->at == '^') {
        negated = !negated;
        t->at++;
    }
    const char *name = t->at;
    while (t->at < t->end && ((*t->at | 32) >= 'a' && (*t->at | 32) <= 'z'))
        t->at++;
    size_t length = (size_t)(t->at - name);
    if (!length || t->at == t->end || *t->at++ != '}') {
        t->refused = "a bad \\p{...}";
        return;
    }
    puts_to(t, negated ? "\\P{" : "\\p{");
    puts_to(t, length > 2 ? "sc:" : ""); /* PCRE2 would take a bare name for script extensions */
    put(t, name, length);
    puts_to(t, "}");
}

/* An escape, in a class or outside; at is on the backslash. */
static void escape(struct translator *t, int in_class)
{
    static const struct {
        char letter;
        const char *content;
        int negated;
    } classes[] = {{'s', SPACE, 0}, {'S', SPACE, 1}, {'w', WORD, 0},      {'W', WORD, 1},
                   {'h', HEX, 0},   {'H', HEX, 1},   {'d', "\\p{Nd}", 0}, {'D', "\\p{Nd}", 1}};
    if (++t->at == t->end) {
        t->refused = "a backslash at its end";
        return;
    }
    unsigned char letter = (unsigned char)*t->at++;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (classes[i].letter != (char)letter)
            continue;
        if (in_class && classes[i].negated) {
            t->refused = "a negated shorthand in a class";
            return;
        }
        puts_to(t, in_class ? "" : classes[i].negated ? "[^" : "[");
        puts_to(t, classes[i].content);
        puts_to(t, in_class ? "" : "]");
        return;
    }
    if (letter == 'p' || letter == 'P') {
        property(t, letter == 'P');
    } else if (letter == 'x' || letter == 'u') {
        code_point(t, letter == 'x' ? 2 : 4);
    } else if (letter == 'v') {
        puts_to(t, "\\x{0b}");
    } else if (strchr("nrtfae", letter) || (letter == 'A' && !in_class)) {
        char text[2] = {'\\', (char)letter};
        put(t, text, 2);
    } else if (letter < 0x80 && !(letter >= '0' && letter <= '9') &&
               !((letter | 32) >= 'a' && (letter | 32) <= 'z')) {
        char text[2] = {'\\', (char)letter};
        put(t, text, 2);
    } else if (letter >= 0x80) { /* an escaped character is itself */
        put(t, t->at - 1, 1);
    } else {
        t->refused = "an escape that is not handled";
    }
}

/* [...]; at is on the bracket. */
static void class(struct translator *t)
{
    copy(t, 1);
    if (next_is(t, "^"))
        copy(t, 1);
    if (next_is(t, "]"))
        t->refused = "an empty class";
    while (!t->refused && t->at < t->end && *t->at != ']') {
        if (*t->at == '\\')
            escape(t, 1);
        else if (*t->at == '[' || next_is(t, "&&"))
            t->refused = "a class within a class";
        else
            copy(t, 1);
    }
    if (t->refused)
        return;
    if (t->at == t->end)
        t->refused = "a class without end";
    else
        copy(t, 1);
}

/* "(" and what follows it. */
static void group(struct translator *t)
{
    static const char *const heads[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    if (++t->depth > GROUPS_MAX) {
        t->refused = "parentheses nested too deep";
        return;
    }
    if (!next_is(t, "(?")) {
        puts_to(t, "(?:"); /* nobody asks what a group captured */
        t->at++;
        return;
    }
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        if (next_is(t, heads[i])) {
            copy(t, strlen(heads[i]));
            return;
        }
    }
    t->refused = "a kind of group that is not handled";
}

/* {n}, {n,}, {n,m}; another brace stands for itself. */
static void braces(struct translator *t)
{
    const char *s = t->at + 1;
    size_t digits = 0;
    int comma = 0, count = 0, most = 0;
    for (; s < t->end && ((*s >= '0' && *s <= '9') || (*s == ',' && !comma)); s++) {
        comma |= *s == ',';
        digits += *s != ',';
        count = *s == ',' ? 0 : count > REPEAT_MAX ? count : 10 * count + *s - '0';
        most = count > most ? count : most;
    }
    if (s == t->end || *s != '}' || !digits) {
        puts_to(t, "\\{");
        t->at++;
        return;
    }
    if (t->at[1] == ',' || most > REPEAT_MAX) {
        t->refused = most > REPEAT_MAX ? "more than 1000 repetitions" : "{,n}";
        return;
    }
    t->due = 1;
    copy(t, (size_t)(s + 1 - t->at));
    if (next_is(t, "+") || (next_is(t, "?") && !comma))
        t->refused = "a quantifier after braces";
}

/* One item; begins_branch: nothing of its branch at depth 0 was written before. */
static void item(struct translator *t, int begins_branch)
{
    int single = 1; /* one character exactly, so that it can be looked behind for */
    unsigned char c = (unsigned char)*t->at;
    if (!strchr("*+?{", c) && (t->due || t->items == ITEMS_MAX))
        callout(t);
    t->items += t->items < ITEMS_MAX;
    size_t from = t->size;
    if (c == '\\') {
        single = !next_is(t, "\\A");
        escape(t, 0);
    } else if (c == '[') {
        class(t);
    } else if (c >= 0x80) { /* a character of several bytes: one item */
        uint32_t code;
        copy(t, tsr_utf8_next(t->at, (size_t)(t->end - t->at), &code));
    } else {
        single = !strchr("()|^$*+?{", c);
        if (c == '(')
            group(t);
        else if (c == '{')
            braces(t);
        else {
            t->depth -= c == ')';
            copy(t, 1);
        }
        if (c == '(' || c == '|')
            callout(t);
        t->due |= c == ')' || c == '*' || c == '+' || c == '?';
    }
    if (t->refused || !begins_branch || !single || t->at == t->end ||
        (*t->at != '+' && *t->at != '*'))
        return;
    size_t bytes = t->size - from;
    char *atom = malloc(bytes);
    if (!atom) {
        t->no_memory = 1;
        return;
    }
    memcpy(atom, t->out + from, bytes);
    t->size = from;
    puts_to(t, "(?:\\G|(?<!");
    put(t, atom, bytes);
    puts_to(t, "))");
    put(t, atom, bytes);
    free(atom);
}

static tsr_status compile(tsr_regex *regex, const struct translator *t, struct tsr_error *error)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return tsr_fail(error, TSR_MEMORY, "out of memory for a regular expression");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, GROUPS_MAX + 2);
    int number;
    PCRE2_SIZE at;
    regex->code = pcre2_compile((PCRE2_SPTR)t->out, t->size,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                &number, &at, context);
    pcre2_compile_context_free(context);
    if (regex->code)
        return TSR_OK;
    if (number == PCRE2_ERROR_HEAP_FAILED)
        return tsr_fail(error, TSR_MEMORY, "out of memory for a regular expression");
    char words[120] = "";
    pcre2_get_error_message(number, (PCRE2_UCHAR *)words, sizeof words);
    return tsr_fail(error, TSR_UNSUPPORTED, "regular expression of the tokenizer: %s", words);
}

tsr_status tsr_regex_new(tsr_regex **regex, const char *pattern, size_t bytes,
                         struct tsr_error *error)
{
    *regex = NULL;
    if (bytes > TSR_REGEX_BYTES_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED,
                        "regular expression of the tokenizer: %zu bytes, the limit is %d", bytes,
                        TSR_REGEX_BYTES_MAX);
    struct translator t = {.at = pattern, .end = pattern + bytes};
    callout(&t);
    for (int begins = 1; t.at < t.end && !t.refused && !t.no_memory;) {
        const char *from = t.at;
        item(&t, begins);
        begins = t.depth == 0 && *from == '|';
    }
    if (t.due)
        callout(&t);
    tsr_status status;
    tsr_regex *made = calloc(1, sizeof *made);
    if (t.refused)
        status =
            tsr_fail(error, TSR_UNSUPPORTED, "regular expression of the tokenizer: %s at byte %zu",
                     t.refused, (size_t)(t.at - pattern));
    else if (t.no_memory || !made)
        status = tsr_fail(error, TSR_MEMORY, "out of memory for a regular expression");
    else
        status = compile(made, &t, error);
    free(t.out);
    if (status == TSR_OK)
        *regex = made;
    else
        tsr_regex_free(made);
    return status;
}

void tsr_regex_free(tsr_regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex);
}

/* ---- matching ---- */

/* Charges the budget; a negative value ends the match. */
static int charge(pcre2_callout_block *block, void *data)
{
    tsr_regex_scratch *scratch = data;
    size_t at = block->current_position;
    uint64_t cost = 1 + (at > scratch->at ? at - scratch->at : 0);
    scratch->at = at;
    scratch->left = cost < scratch->left ? scratch->left - cost : 0;
    return scratch->left ? 0 : PCRE2_ERROR_CALLOUT;
}

tsr_regex_scratch *tsr_regex_scratch_new(size_t bytes)
{
    tsr_regex_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return NULL;
    scratch->left = CHARGES + (uint64_t)CHARGES_PER_BYTE * bytes;
    scratch->data = pcre2_match_data_create(1, NULL);
    scratch->limits = pcre2_match_context_create(NULL);
    if (!scratch->data || !scratch->limits) {
        tsr_regex_scratch_free(scratch);
        return NULL;
    }
    pcre2_set_heap_limit(scratch->limits, HEAP_KIB_MAX);
    pcre2_set_match_limit(scratch->limits, UINT32_MAX); /* the callouts count */
    pcre2_set_callout(scratch->limits, charge, scratch);
    return scratch;
}

void tsr_regex_scratch_free(tsr_regex_scratch *scratch)
{
    if (!scratch)
        return;
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->limits);
    free(scratch);
}

int tsr_regex_find(const tsr_regex *regex, tsr_regex_scratch *scratch, const char *text,
                   size_t bytes, size_t from, size_t *begin, size_t *end)
{
    scratch->at = from;
    int found = pcre2_match(regex->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK,
                            scratch->data, scratch->limits);
    if (found < 0)
        return found == PCRE2_ERROR_NOMATCH ? 0 : found == PCRE2_ERROR_NOMEMORY ? -2 : -1;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(scratch->data);
    *begin = at[0];
    *end = at[1];
    return 1;
}
