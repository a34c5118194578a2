/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people write them: 12,345. */
#ifndef RIDE_DEMO_COUNT_H
#define RIDE_DEMO_COUNT_H

#include <stdint.h>

#define COUNT_TEXT_SIZE 32

void count_text(uint64_t value, char out[COUNT_TEXT_SIZE]);

#endif
