/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/registers.h"

#if defined(__x86_64__)

#define UPPER_16                                                                                                \
    "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
        "xmm28", "xmm29", "xmm30", "xmm31"
#define LOWER_16                                                                                               \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13", "xmm14", "xmm15"
#define EMPTY_512(n) "vpxorq %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define EMPTY_128(n) "pxor %%xmm" #n ", %%xmm" #n "\n\t"

__attribute__((noinline, target("avx512f"))) static void forget_upper(void)
{
    __asm__ volatile(EMPTY_512(16) EMPTY_512(17) EMPTY_512(18) EMPTY_512(19) EMPTY_512(20) EMPTY_512(21) EMPTY_512(22)
                         EMPTY_512(23) EMPTY_512(24) EMPTY_512(25) EMPTY_512(26) EMPTY_512(27) EMPTY_512(28)
                             EMPTY_512(29) EMPTY_512(30) EMPTY_512(31)
                     :
                     :
                     : UPPER_16);
}

/* In all their width. */
__attribute__((noinline, target("avx"))) static void forget_lower(void)
{
    __asm__ volatile("vzeroall" : : : LOWER_16);
}

void nbj__registers_forget(void)
{
    if (__builtin_cpu_supports("avx512f"))
        forget_upper();
    if (__builtin_cpu_supports("avx")) {
        forget_lower();
        return;
    }
    __asm__ volatile(EMPTY_128(0) EMPTY_128(1) EMPTY_128(2) EMPTY_128(3) EMPTY_128(4) EMPTY_128(5) EMPTY_128(6)
                         EMPTY_128(7) EMPTY_128(8) EMPTY_128(9) EMPTY_128(10) EMPTY_128(11) EMPTY_128(12) EMPTY_128(13)
                             EMPTY_128(14) EMPTY_128(15)
                     :
                     :
                     : LOWER_16);
}

#elif defined(__aarch64__)

#define EMPTY(n) "movi v" #n ".2d, #0\n\t"

/* Without v8 to v15, which functions that copy leave alone: callers rely on them. */
void nbj__registers_forget(void)
{
    __asm__ volatile(EMPTY(0) EMPTY(1) EMPTY(2) EMPTY(3) EMPTY(4) EMPTY(5) EMPTY(6) EMPTY(7) EMPTY(16) EMPTY(17)
                         EMPTY(18) EMPTY(19) EMPTY(20) EMPTY(21) EMPTY(22) EMPTY(23) EMPTY(24) EMPTY(25) EMPTY(26)
                             EMPTY(27) EMPTY(28) EMPTY(29) EMPTY(30) EMPTY(31)
                     :
                     :
                     : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22",
                       "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#else

void nbj__registers_forget(void)
{
}

#endif
