/*
 * fp_env.h: the floating-point environment in which operators run.
 *
 * The contracts of kernels.h mean IEEE arithmetic with round-to-nearest, denormals kept and exceptions
 * masked. A host program may have set flush-to-zero or another rounding mode (some start-up code does), so
 * every entry into the pool sets the default control word and puts the caller's back afterwards.
 */
#ifndef TSR_FP_ENV_H
#define TSR_FP_ENV_H

#include <stdint.h>

#if defined(__x86_64__)

#include <xmmintrin.h>

enum { TSR_FP_DEFAULT = 0x1f80, TSR_FP_CONTROL = 0xffc0 }; /* the low six bits are sticky flags */

static inline uint64_t tsr_fp_enter(void)
{
    const unsigned saved = _mm_getcsr();

    if ((saved & TSR_FP_CONTROL) != TSR_FP_DEFAULT)
        _mm_setcsr(TSR_FP_DEFAULT);
    return saved;
}

static inline void tsr_fp_leave(uint64_t saved)
{
    if ((saved & TSR_FP_CONTROL) != TSR_FP_DEFAULT)
        _mm_setcsr((unsigned)saved);
}

#elif defined(__aarch64__)

static inline uint64_t tsr_fp_enter(void)
{
    uint64_t saved;

    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    if (saved != 0)
        __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return saved;
}

static inline void tsr_fp_leave(uint64_t saved)
{
    if (saved != 0)
        __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}

#endif

#endif
