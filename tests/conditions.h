/*
 * conditions.h: what a test may judge where it runs.
 */
#ifndef TSR_TESTS_CONDITIONS_H
#define TSR_TESTS_CONDITIONS_H

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

/* Whether two times of one run may be compared: no sanitizer slows one of them only, nor does an emulator (QEMU_CPU). */
static inline int times_compare(void)
{
    return !SANITIZED && getenv("QEMU_CPU") == NULL;
}

#endif
