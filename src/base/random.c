/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

/* splitmix64: full period, passes the usual batteries, eight octets of state. */
uint64_t nbj__random_next(nbj__random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t nbj__random_below(nbj__random *r, uint64_t n)
{
    if (n == 0)
        return 0;
    uint64_t limit = UINT64_MAX - UINT64_MAX % n; /* the tail past the last whole multiple would favour small numbers */
    uint64_t v = nbj__random_next(r);
    while (v >= limit)
        v = nbj__random_next(r);
    return v % n;
}

void nbj__random_name(nbj__random *r, char *out, size_t len)
{
    static const char alphabet[62] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[nbj__random_below(r, sizeof alphabet)];
}
