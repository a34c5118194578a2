/* SPDX-License-Identifier: Apache-2.0 */
/* Standard base64 with padding, decoding only. */
#ifndef RIDE_DEMO_BASE64_H
#define RIDE_DEMO_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* False for anything but whole, padded base64, or when |size| is too small. */
bool base64_decode(const char *text, size_t length, char *out, size_t size, size_t *decoded);

#endif
