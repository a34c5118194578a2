/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#define NONE 64u /* of no character: above all values, so that a bit of it tells of any among four */

static uint32_t value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - (uint32_t)'A';
    if (c >= 'a' && c <= 'z')
        return c - (uint32_t)'a' + 26;
    if (c >= '0' && c <= '9')
        return c - (uint32_t)'0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : NONE;
}

/* Four characters of which the last |pads| are padding, to 3 - |pads| octets. Bits that belong to none have to be 0. */
static bool decode_four(const uint8_t *from, unsigned pads, uint8_t *to)
{
    uint32_t value = 0;
    uint32_t seen = 0;

    for (unsigned i = 0; i < 4 - pads; i++) {
        uint32_t v = value_of(from[i]);
        seen |= v;
        value |= (v & 63u) << (18 - 6 * i);
    }
    for (unsigned i = 0; i < 3 - pads; i++)
        to[i] = (uint8_t)(value >> (16 - 8 * i));
    return (seen & NONE) == 0 && (pads == 0 || (value & ((1u << 8 * pads) - 1)) == 0);
}

bool nbj__base64_decode(nbj_bytes text, uint8_t *out, size_t *len)
{
    const uint8_t *at = text.ptr;

    *len = 0;
    if (text.len % 4 != 0)
        return false;
    if (text.len == 0)
        return true;
    const uint8_t *last = text.ptr + text.len - 4;
    unsigned pads = last[3] != '=' ? 0 : last[2] != '=' ? 1 : 2;
    for (; at < last; at += 4) {
        if (!decode_four(at, 0, out + *len))
            return false;
        *len += 3;
    }
    if (!decode_four(last, pads, out + *len))
        return false;
    *len += 3 - pads;
    return true;
}
