/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people write them (count.h). */
#include "count.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void count_text(uint64_t value, char out[COUNT_TEXT_SIZE])
{
    char digits[COUNT_TEXT_SIZE];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value);

    for (size_t i = 0; i < length; i++) {
        *out++ = digits[i];
        if (i + 1 < length && (length - i - 1) % 3 == 0)
            *out++ = ',';
    }
    *out = '\0';
}
