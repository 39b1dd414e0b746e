/*
 * harness.c: buffers between guard pages, the runs over all placements, and the comparison (see
 * harness.h).
 *
 * Each buffer of a call has a slot: a mapping with a page without access at either end, kept and
 * grown from call to call, so that placing a buffer costs no system call. A touch of a guard page
 * is caught as a signal and becomes a failure like any other, which lets the tests of planted bugs
 * run in the same process.
 */
#include "harness.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
static uint64_t control_word(void)
{
    return _mm_getcsr() & ~UINT32_C(0x3f); /* without the sticky flags */
}

static inline void clean_upper(void)
{
    __asm__ volatile("vzeroupper");
}

/* Whether a register's upper half is left in use, which slows down all code that follows:
 * vzeroupper is missing. Right after the kernel, before anything else can clean up. */
static inline __attribute__((always_inline)) int upper_dirty(void)
{
    uint64_t ymm[16][4], dirty = 0;

#define STORE(i) "vmovdqu %%ymm" #i ", 32*" #i "(%0)\n\t"
    __asm__ volatile(STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6) STORE(7)
                         STORE(8) STORE(9) STORE(10) STORE(11) STORE(12) STORE(13) STORE(14)
                             STORE(15)
                     :
                     : "r"(ymm)
                     : "memory");
#undef STORE
    for (size_t i = 0; i < 16; i++)
        dirty |= ymm[i][2] | ymm[i][3];
    return dirty != 0;
}
#else
static inline void clean_upper(void) {}
static inline int upper_dirty(void)
{
    return 0;
}
static uint64_t control_word(void)
{
    uint64_t word;

    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
}
#endif

const struct op_case *const harness_cases[TSR_OPS] = {
#define OP(name, args) &tsr_case_##name,
#include "kernels.def"
};

/* ---- buffers ---- */

enum { OUT_PATTERN = 0xa5, IN_PATTERN = 0xff /* NaN in every float format */ };

struct slot {
    uint8_t *base, *initial; /* base: the first byte that may be touched */
    size_t capacity;
};
static struct slot slots[BUFFERS_MAX];

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void grow(struct slot *slot, size_t bytes)
{
    const size_t page = page_bytes();
    uint8_t *map;

    if (slot->base)
        munmap(slot->base - page, slot->capacity + 2 * page);
    free(slot->initial);
    slot->capacity = tsr_round_up(bytes, 16 * page);
    map = mmap(NULL, slot->capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    slot->initial = malloc(slot->capacity);
    if (map == MAP_FAILED || !slot->initial ||
        mprotect(map + page, slot->capacity, PROT_READ | PROT_WRITE))
        abort();
    slot->base = map + page;
}

static struct buffer *place(struct call *c, size_t bytes, size_t align, int pattern)
{
    struct slot *slot = &slots[c->buffer_count];
    struct buffer *b = &c->buffers[c->buffer_count];
    const size_t shift = c->shifted ? align : 0;
    const size_t window = tsr_round_up(bytes + shift + align, page_bytes());

    if (c->buffer_count++ == BUFFERS_MAX)
        abort();
    if (slot->capacity < window)
        grow(slot, window);
    b->bytes = bytes;
    b->window_bytes = window;
    b->window = c->left ? slot->base : slot->base + slot->capacity - window;
    b->data = c->left ? b->window + shift : b->window + (window - shift - bytes) / align * align;
    b->initial = slot->initial;
    b->written = 0;
    memset(b->window, pattern, window);
    return b;
}

static size_t element_bytes(enum element element)
{
    return element == ELEMENT_F32 || element == ELEMENT_I32 ? 4 : element == ELEMENT_F16 ? 2 : 1;
}

static void set_output(struct call *c, size_t buffer, const struct output *shape)
{
    if (c->output_count == OUTPUTS_MAX)
        abort();
    c->buffers[buffer].written = (int)c->output_count + 1;
    c->outputs[c->output_count] = *shape;
    c->outputs[c->output_count++].buffer = buffer;
}

void *case_in(struct call *c, size_t bytes, size_t align)
{
    return place(c, bytes, align, IN_PATTERN)->data;
}

void *case_out(struct call *c, enum element element, size_t rows, size_t cols, size_t ld)
{
    const struct output shape = {0, element, rows, cols, ld};
    const size_t count = rows ? (rows - 1) * ld + cols : 0;
    const size_t align = element == ELEMENT_SCRATCH ? 8 : element_bytes(element);
    struct buffer *b = place(c, count * element_bytes(element), align, OUT_PATTERN);

    set_output(c, c->buffer_count - 1, &shape);
    return b->data;
}

void case_in_place(struct call *c, const void *data, enum element element, size_t rows, size_t cols,
                   size_t ld)
{
    const struct output shape = {0, element, rows, cols, ld};

    for (size_t i = 0; i < c->buffer_count; i++)
        if (c->buffers[i].data == data && !c->buffers[i].written) {
            set_output(c, i, &shape);
            return;
        }
    abort();
}

/* ---- one run ---- */

static sigjmp_buf escape;
static volatile uintptr_t touched;
static volatile int caught;

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    caught = signal;
    touched = (uintptr_t)info->si_addr;
    siglongjmp(escape, 1);
}

/* Runs a range. 0, or an error in `message`. */
static int run(tsr_kernel *kernel, const void *args, size_t begin, size_t end, char message[256])
{
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old[SIGNALS];
    const uint64_t control = control_word();
    volatile int failed = 0;
    volatile int dirty = 0;

    sigemptyset(&fault.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &fault, &old[i]);
    if (sigsetjmp(escape, 1)) {
        if (caught == SIGSEGV || caught == SIGBUS)
            snprintf(message, 256, "touched memory outside its buffers (%#jx)", (uintmax_t)touched);
        else
            snprintf(message, 256, "ended by signal %d (%s)", caught, strsignal(caught));
        failed = 1;
    } else {
        clean_upper();
        kernel(args, begin, end);
        dirty = upper_dirty();
    }
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &old[i], NULL);
    if (!failed && control_word() != control) {
        snprintf(message, 256, "changed the floating-point control word");
        failed = 1;
    }
    if (!failed && dirty) {
        snprintf(message, 256, "left upper halves of vector registers in use (vzeroupper)");
        failed = 1;
    }
    return failed;
}

/* Scratch that the first of two ranges has written must be left alone by the other: it may run
 * beside it. */
static int run_two(struct call *c, tsr_kernel *kernel, size_t units, char message[256])
{
    static uint8_t *after;
    static size_t capacity;
    const struct buffer *b = NULL;

    if (run(kernel, &c->args, units / 2, units, message))
        return 1;
    for (size_t o = 0; o < c->output_count; o++)
        if (c->outputs[o].element == ELEMENT_SCRATCH)
            b = &c->buffers[c->outputs[o].buffer];
    if (b != NULL && capacity < b->window_bytes) {
        free(after);
        capacity = b->window_bytes;
        after = malloc(capacity);
        if (!after)
            abort();
    }
    if (b != NULL)
        memcpy(after, b->window, b->window_bytes);
    if (run(kernel, &c->args, 0, units / 2, message))
        return 1;
    for (size_t i = 0; b != NULL && i < b->window_bytes; i++)
        if (after[i] != b->initial[i] && after[i] != b->window[i]) {
            snprintf(message, 256, "two ranges write the same scratch");
            return 1;
        }
    return 0;
}

/* ---- the comparison ---- */

/* What ref computed: the rows of each output without gaps. */
struct expected {
    uint8_t *rows[OUTPUTS_MAX];
    size_t capacity[OUTPUTS_MAX];
};
static struct expected expected;

static void keep_expected(const struct call *c)
{
    for (size_t o = 0; o < c->output_count; o++) {
        const struct output *out = &c->outputs[o];
        const size_t size = element_bytes(out->element), bytes = out->rows * out->cols * size;

        if (expected.capacity[o] < bytes || !expected.rows[o]) {
            free(expected.rows[o]);
            expected.capacity[o] = bytes;
            expected.rows[o] = malloc(bytes + 1);
            if (!expected.rows[o])
                abort();
        }
        for (size_t r = 0; r < out->rows; r++)
            memcpy(expected.rows[o] + r * out->cols * size,
                   c->buffers[out->buffer].data + r * out->ld * size, out->cols * size);
    }
}

/* Equal bits, or both a NaN of the type. */
static int equal(enum element element, const uint8_t *got, const uint8_t *want)
{
    uint32_t g = 0, w = 0;

    memcpy(&g, got, element_bytes(element));
    memcpy(&w, want, element_bytes(element));
    if (element == ELEMENT_F32 && (g & 0x7fffffff) > 0x7f800000)
        return (w & 0x7fffffff) > 0x7f800000;
    if (element == ELEMENT_F16 && (g & 0x7fff) > 0x7c00)
        return (w & 0x7fff) > 0x7c00;
    return g == w;
}

static int same_outputs(const struct call *c, char message[256])
{
    for (size_t o = 0; o < c->output_count; o++) {
        const struct output *out = &c->outputs[o];
        const size_t size = element_bytes(out->element);

        if (out->element == ELEMENT_SCRATCH)
            continue;
        for (size_t r = 0; r < out->rows; r++) {
            const uint8_t *got = c->buffers[out->buffer].data + r * out->ld * size;
            const uint8_t *want = expected.rows[o] + r * out->cols * size;
            uint32_t bits[2] = {0, 0};
            size_t i = 0;

            if (!memcmp(got, want, out->cols * size))
                continue;
            while (i < out->cols && equal(out->element, got + i * size, want + i * size))
                i++;
            if (i == out->cols)
                continue;
            memcpy(&bits[0], got + i * size, size);
            memcpy(&bits[1], want + i * size, size);
            snprintf(message, 256, "output %zu [%zu, %zu]: got %#x, want %#x", o, r, i, bits[0],
                     bits[1]);
            return 0;
        }
    }
    return 1;
}

/* Everything in a window that is no element of an output holds what it held before. */
static int rest_untouched(const struct call *c, char message[256])
{
    for (size_t i = 0; i < c->buffer_count; i++) {
        const struct buffer *b = &c->buffers[i];
        const struct output *out = b->written ? &c->outputs[b->written - 1] : NULL;
        const size_t size = out ? element_bytes(out->element) : 1;
        size_t at = 0; /* in the window */

        for (size_t r = 0; out && r < out->rows; r++) {
            const size_t row = (size_t)(b->data - b->window) + r * out->ld * size;

            if (memcmp(b->window + at, b->initial + at, row - at))
                break;
            at = row + out->cols * size;
        }
        if (memcmp(b->window + at, b->initial + at, b->window_bytes - at)) {
            snprintf(message, 256, "changed bytes outside the elements of buffer %zu (%s)", i,
                     out ? "an output" : "an input");
            return 0;
        }
    }
    return 1;
}

/* ---- all runs of a case ---- */

enum { PLACEMENTS = 4, SPLITS = 2, REAL_FILLS = 1 << FILL_RANDOM | 1 << FILL_BYTES };

static const char *const fill_names[FILLS] = {"random",   "min",  "max", "alternating", "huge",
                                              "denormal", "zero", "nan", "inf",         "bytes"};

static size_t build(struct call *c, const struct op_case *cs, const size_t *d, enum fill fill,
                    size_t variant)
{
    size_t units;

    c->d = d;
    c->fill = fill;
    c->left = variant < PLACEMENTS && variant & 1;
    c->shifted = variant < PLACEMENTS && variant & 2;
    c->alias = variant < PLACEMENTS ? 0 : (unsigned)(variant - PLACEMENTS + 1);
    c->buffer_count = c->output_count = c->oracle_failures = 0;
    c->random = UINT64_C(0x9e3779b97f4a7c15) * (fill + 1);
    for (size_t i = 0; i < SHAPE_DIMS; i++)
        c->random = (c->random ^ d[i]) * UINT64_C(0xd6e8feb86659fd93);
    memset(&c->args, 0, sizeof c->args);
    units = cs->build(c, d);
    for (size_t i = 0; i < c->buffer_count; i++)
        memcpy(c->buffers[i].initial, c->buffers[i].window, c->buffers[i].window_bytes);
    return units;
}

static void restore(struct call *c)
{
    for (size_t i = 0; i < c->buffer_count; i++)
        memcpy(c->buffers[i].window, c->buffers[i].initial, c->buffers[i].window_bytes);
}

static void fail(struct verdict *v, const struct call *c, const char *how, const char *message)
{
    char shape[96];
    int used = 0;

    for (size_t i = 0; i < SHAPE_DIMS && used < (int)sizeof shape - 12; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%zu", i ? " " : "", c->d[i]);
    if (v->failures < FAILURES_KEPT)
        snprintf(v->messages[v->failures], sizeof v->messages[0], "{%s} %s, guard %s%s%s, %s: %s",
                 shape, fill_names[c->fill], c->left ? "left" : "right",
                 c->shifted ? ", shifted" : "", c->alias ? ", in place" : "", how, message);
    v->failures++;
}

/*
 * One shape and fill: ref once, then every placement of the kernel in question. Fast math is judged by the
 * oracle the first time, in place of ref, and must then give its own bits in every placement.
 */
static void check_fill(struct verdict *v, size_t op, tsr_kernel *kernel, const size_t *d,
                       enum fill fill, int oracle, double bound)
{
    const struct tsr_kernels ref = tsr_kernels_select(0);
    tsr_kernel *const refs[TSR_OPS] = {
#define OP(name, args) ref.name,
#include "kernels.def"
    };
    const struct op_case *cs = harness_cases[op];
    static struct call c;
    char message[256];

    for (size_t variant = 0; variant < PLACEMENTS + cs->aliases; variant++) {
        const size_t units = build(&c, cs, d, fill, variant);

        c.bound = bound;
        if (variant == 0) {
            if (run(bound > 0 ? kernel : refs[op], &c.args, 0, units, message))
                fail(v, &c, "first run", message);
            keep_expected(&c);
            if (oracle)
                cs->oracle(&c, d);
            if (c.oracle_failures)
                fail(v, &c, "oracle", c.oracle_message);
        }
        for (int split = 0; split < SPLITS; split++) {
            restore(&c);
            if ((split ? run_two(&c, kernel, units, message)
                       : run(kernel, &c.args, 0, units, message)) ||
                !same_outputs(&c, message) || !rest_untouched(&c, message))
                fail(v, &c, split ? "two ranges" : "one range", message);
            v->runs++;
        }
    }
}

static void check(struct verdict *v, size_t op, tsr_kernel *kernel, int real, int oracle,
                  double bound, size_t most)
{
    const struct op_case *cs = harness_cases[op];

    memset(v, 0, sizeof *v);
    for (size_t s = 0; s < cs->small_count + (real ? cs->real_count : 0); s++)
        for (enum fill fill = 0; fill < FILLS; fill++) {
            const int is_real = s >= cs->small_count;
            const size_t *d = is_real ? cs->real[s - cs->small_count].d : cs->small[s].d;

            if (!is_real || REAL_FILLS >> fill & 1)
                check_fill(v, op, kernel, d, fill, oracle, bound);
            if (v->failures >= most)
                return;
        }
}

void harness_check(struct verdict *v, size_t op, tsr_kernel *kernel, int real, int oracle,
                   size_t most)
{
    check(v, op, kernel, real, oracle, 0, most);
}

void harness_check_bound(struct verdict *v, size_t op, tsr_kernel *kernel, int real, double bound,
                         size_t most)
{
    check(v, op, kernel, real, 1, bound, most);
}

size_t harness_runs(size_t op, int real)
{
    const struct op_case *cs = harness_cases[op];
    size_t real_fills = 0;

    for (int fill = 0; fill < FILLS; fill++)
        real_fills += REAL_FILLS >> fill & 1;
    return (cs->small_count * FILLS + (real ? cs->real_count * real_fills : 0)) *
           (PLACEMENTS + cs->aliases) * SPLITS;
}
