/*
 * conditions.h: what a test may judge where it runs.
 */
#ifndef TSR_TESTS_CONDITIONS_H
#define TSR_TESTS_CONDITIONS_H

#include <stdio.h>
#include <stdlib.h>

/* A sanitizer's memory and time are not the program's own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

/* Whether an emulator runs this program: QEMU_CPU names the processor that it stands for. */
static inline int emulated(void)
{
    return getenv("QEMU_CPU") != NULL;
}

/* Whose time and memory count in this process besides the program's; NULL: nobody's, and both may be judged. */
static inline const char *company(void)
{
    return SANITIZED ? "the sanitizer" : emulated() ? "the emulator" : NULL;
}

/* Whether times and memory may be judged; else says what is skipped, and why. */
static inline int judged(const char *what)
{
    if (company() != NULL)
        printf("skipped: %s (%s takes time and memory, too)\n", what, company());
    return company() == NULL;
}

/* How often to do what is done `often` to meet rare moments or rare data: under an emulator fewer times, and it says so. */
static inline unsigned repeats(const char *what, unsigned often, unsigned emulator)
{
    if (!emulated())
        return often;
    printf("under an emulator: %u of %u %s\n", emulator, often, what);
    return emulator;
}

#endif
