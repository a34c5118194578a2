/* SPDX-License-Identifier: Apache-2.0 */
/* Standard base64 with padding (base64.h). */
#include "base64.h"

#include <string.h>

/* 0 to 63, or -1. */
static int digit(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);

    return at == NULL ? -1 : (int)(at - alphabet);
}

static size_t padding(const char *text, size_t length)
{
    if (length >= 2 && text[length - 1] == '=')
        return text[length - 2] == '=' ? 2 : 1;
    return 0;
}

bool base64_decode(const char *text, size_t length, char *out, size_t size, size_t *decoded)
{
    size_t pad = padding(text, length);

    if (length % 4 != 0 || length / 4 * 3 - pad > size)
        return false;
    *decoded = length / 4 * 3 - pad;
    for (size_t i = 0, at = 0; i < length; i += 4) {
        unsigned long group = 0;
        for (size_t j = i; j < i + 4; j++) {
            int value = j >= length - pad ? 0 : digit(text[j]);
            if (value < 0)
                return false;
            group = group << 6 | (unsigned long)value;
        }
        for (int shift = 16; shift >= 0 && at < *decoded; shift -= 8)
            out[at++] = (char)(group >> shift & 0xff);
    }
    return true;
}
