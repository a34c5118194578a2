/* SPDX-License-Identifier: Apache-2.0 */
/* Option structs that callers compiled with another version of the headers. */
#ifndef NBJ_BASE_OPTIONS_H
#define NBJ_BASE_OPTIONS_H

#include <nbj/status.h>
#include <stddef.h>

/* Copies |src|, whose first member is its size, to |dst| of |size| octets: what it lacks is zero. NULL gives zeros.
 * NBJ_E_INVALID: the size is no size, or a field that this version does not know is not zero. */
nbj_status nbj__options_read(void *dst, size_t size, const void *src);

#endif
