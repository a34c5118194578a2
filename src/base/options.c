/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include <string.h>

#define SIZE_SANE 65536u

nbj_status nbj__options_read(void *dst, size_t size, const void *src)
{
    size_t theirs = 0;

    memset(dst, 0, size);
    if (src == NULL)
        return NBJ_OK;
    memcpy(&theirs, src, sizeof theirs);
    if (theirs < sizeof theirs || theirs > SIZE_SANE)
        return NBJ_E_INVALID;
    const unsigned char *from = src;
    for (size_t i = size; i < theirs; i++) {
        if (from[i] != 0)
            return NBJ_E_INVALID;
    }
    memcpy(dst, src, theirs < size ? theirs : size);
    return NBJ_OK;
}
