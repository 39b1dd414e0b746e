/*
 * cpu.c: which tiers this CPU and its operating system can run.
 *
 * x86-64: cpuid says what the core has, xgetbv says which registers the system saves across a
 * context switch; both are needed, and neither is an AVX instruction, so this file runs on any
 * x86-64 (xgetbv only where OSXSAVE says it exists); AMX's tiles must be asked for, besides.
 * AArch64: the kernel's HWCAP words say both at once. Sources: Intel SDM vol. 1 chapters 14 and 15; Linux
 * Documentation/arch/arm64/elf_hwcaps.rst.
 */
#include "kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LEAF1_ECX = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29,     /* FMA OSXSAVE AVX F16C */
    LEAF7_EBX = 1u << 5 | 1u << 8,                             /* AVX2 BMI2 */
    LEAF7_EBX_512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30, /* AVX512 F DQ CD BW */
    LEAF7_ECX_512 = 1u << 11,                                  /* AVX512 VNNI */
    LEAF7_ECX_GFNI = 1u << 8,                                  /* GFNI */
    LEAF7_EDX_AMX = 1u << 24 | 1u << 25,                       /* AMX TILE INT8 */
    LEAF7_EDX_FP16 = 1u << 23,                                 /* AVX512 FP16 */
    LEAF71_EAX_VNNI = 1u << 4,                                 /* AVX-VNNI */
    LEAF71_EAX_BF16 = 1u << 5,                                 /* AVX512 BF16 */
    XCR0_YMM = 0x06,                                           /* SSE and AVX state */
    XCR0_ZMM = 0xe6,                                           /* and opmask, zmm0-15, zmm16-31 */
    XCR0_TILE = 3u << 17                                       /* tile configuration and data */
};
#define LEAF7_EBX_VL (1u << 31) /* AVX512 VL; does not fit an enum constant */

/* The low word of XCR0: register state that the operating system saves. */
static uint32_t saved_state(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/*
 * Linux keeps AMX's tiles from a process until it asks (Documentation/arch/x86/xstate.rst), because they are 8
 * KiB more of each thread to save. Alternate signal stacks must have room for them: where one has not, the
 * answer is no; later ones must.
 */
static int tiles_granted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

uint32_t tsr_cpu_tiers(void)
{
    uint32_t a, b, c, d, b7, c7, d7, state, subleaf_max, tiers;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & LEAF1_ECX) != LEAF1_ECX)
        return 0;
    state = saved_state();
    if ((state & XCR0_YMM) != XCR0_YMM || !__get_cpuid_count(7, 0, &subleaf_max, &b7, &c7, &d7) ||
        (b7 & LEAF7_EBX) != LEAF7_EBX)
        return 0;
    tiers = 1u << TSR_TIER_ref | 1u << TSR_TIER_avx2;
    if (subleaf_max >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & LEAF71_EAX_VNNI))
        tiers |= 1u << TSR_TIER_avxvnni;
    if ((state & XCR0_ZMM) == XCR0_ZMM && (b7 & LEAF7_EBX_512) == LEAF7_EBX_512 &&
        (b7 & LEAF7_EBX_VL) && (c7 & LEAF7_ECX_512)) {
        tiers |= 1u << TSR_TIER_avx512;
        if (c7 & LEAF7_ECX_GFNI) {
            tiers |= 1u << TSR_TIER_avx512x2;
            if ((d7 & LEAF7_EDX_AMX) == LEAF7_EDX_AMX && (state & XCR0_TILE) == XCR0_TILE &&
                tiles_granted())
                tiers |= 1u << TSR_TIER_amx;
        }
    }
    return tiers;
}

uint32_t tsr_cpu_fast_tiers(void)
{
    uint32_t a, b, c, d, fast = 0;

    if (tsr_cpu_tiers() >> TSR_TIER_avx512 & 1 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
        a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & LEAF71_EAX_BF16))
        fast |= 1u << TSR_TIER_bf16;
    return fast;
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

/* Bits of the Linux ABI, named here because older system headers lack the newer ones. */
enum { ASIMD = 1u << 1, ASIMDDP = 1u << 20, I8MM_2 = 1u << 13 };

uint32_t tsr_cpu_tiers(void)
{
    const unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AT_HWCAP2);
    uint32_t tiers;

    if (!(cap & ASIMD))
        return 0;
    tiers = 1u << TSR_TIER_ref | 1u << TSR_TIER_neon;
    if (cap & ASIMDDP)
        tiers |= 1u << TSR_TIER_neondot;
    if ((cap & ASIMDDP) && (cap2 & I8MM_2))
        tiers |= 1u << TSR_TIER_i8mm;
    return tiers;
}

uint32_t tsr_cpu_fast_tiers(void)
{
    return 0;
}

#endif

/*
 * avx512x2, where a core starts one 512-bit multiplication a cycle (Zen 4: attention of a prompt takes
 * 1.2 times as long with zmm). Two start Intel's cores from Golden Cove on, which are those with
 * AVX512-FP16 (1.5 to 1.6 times the speed), and AMD's from family 0x1a (Zen 5) on, but for the mobile
 * models 0x2_ and 0x6_, whose units are 256 bits wide (recalled: no Zen 5 was at hand).
 *
 * bf16, on Intel's: vdpbf16ps does half of fma's work in a cycle on one with AMX, where matmul_tf and conv2d_tf take 1.6
 * to 1.9 times as long as the exact ones, and as much on older ones (recalled). A Zen 4 gains 1.5 to 1.9.
 *
 * The avx512 tiers ask for VNNI, so the cores whose 512-bit units cost more clock than they give (the
 * first AVX-512 servers) never reach them. A model that loses goes here, with its measurement.
 */
uint32_t tsr_cpu_slow_tiers(void)
{
#if defined(__x86_64__)
    uint32_t a, b, c, d, wide = 0, slow = 0;

    __builtin_cpu_init();
    if (__builtin_cpu_is("intel")) {
        wide = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & LEAF7_EDX_FP16);
        slow = 1u << TSR_TIER_bf16;
    } else if (__builtin_cpu_is("amd") && __get_cpuid(1, &a, &b, &c, &d)) {
        const uint32_t family = (a >> 8 & 0xf) + (a >> 20 & 0xff), models = a >> 16 & 0xf;

        wide = family > 0x1a || (family == 0x1a && models != 2 && models != 6);
    }
    if (!wide)
        slow |= 1u << TSR_TIER_avx512x2;
    return slow & (tsr_cpu_tiers() | tsr_cpu_fast_tiers());
#else
    return 0;
#endif
}

/*
 * 4 on Intel's, whose L2 reads on in each stream (vec/matmul_q.inc has the gain); more are not
 * measured, and no other CPU.
 */
size_t tsr_cpu_streams(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_is("intel") ? 4 : 1;
#else
    return 1;
#endif
}
