/*
 * criterion.h: as much of Criterion as the tests of quant/ use, for the 32-bit build: Debian has no
 * Criterion for armhf. Each test registers itself before main (criterion.c), which runs it in a
 * process of its own, so a crash is one failed test. cr_expect goes on after a failure, cr_assert
 * ends the test. Options of a test are ignored.
 */
#ifndef TSR_ARMHF_CRITERION_H
#define TSR_ARMHF_CRITERION_H

#include <string.h>

struct cr_test {
    const char *suite, *name;
    void (*run)(void);
    struct cr_test *next;
};

enum { CR_GO_ON, CR_END };

void cr_register(struct cr_test *test);
__attribute__((format(printf, 3, 4))) void cr_check(int passed, int then, const char *format, ...);

#define Test(suite, name, ...)                                                                     \
    static void suite##_##name##_run(void);                                                        \
    __attribute__((constructor)) static void suite##_##name##_add(void)                            \
    {                                                                                              \
        static struct cr_test test = {#suite, #name, suite##_##name##_run, NULL};                  \
        cr_register(&test);                                                                        \
    }                                                                                              \
    static void suite##_##name##_run(void)

#define CR_TEXT_(line) #line
#define CR_TEXT(line) CR_TEXT_(line)
#define CR_WHERE __FILE__ ":" CR_TEXT(__LINE__) ": "
#define cr_expect(condition, ...) cr_check(!!(condition), CR_GO_ON, CR_WHERE __VA_ARGS__)
#define cr_assert(condition, ...) cr_check(!!(condition), CR_END, CR_WHERE __VA_ARGS__)
#define cr_expect_eq(a, b, ...) cr_expect((a) == (b), __VA_ARGS__)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b), __VA_ARGS__)
#define cr_expect_null(pointer, ...) cr_expect((pointer) == NULL, __VA_ARGS__)
#define cr_assert_null(pointer, ...) cr_assert((pointer) == NULL, __VA_ARGS__)
#define cr_expect_not_null(pointer, ...) cr_expect((pointer) != NULL, __VA_ARGS__)
#define cr_assert_not_null(pointer, ...) cr_assert((pointer) != NULL, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) cr_expect(strcmp(a, b) == 0, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp(a, b) == 0, __VA_ARGS__)

#endif
