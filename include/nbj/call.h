/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Options that all calls to JetStream's API share. */
#ifndef NBJ_CALL_H
#define NBJ_CALL_H

#include <nbj/options.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of a call to JetStream's API: whom to ask, and for how long. */
typedef struct nbj_call_options {
    size_t struct_size;     /**< See nbj/options.h. */
    uint64_t timeout_ns;    /**< Of the whole call, which may be several requests. 0: 5 s. */
    const char *domain;     /**< The JetStream domain to ask, in place of the client's. NULL: the client's; "": none. */
    const char *api_prefix; /**< In place of "$JS.API": where another account exports its API. Excludes @c domain. NULL:
                             *   the client's. */
} nbj_call_options;
#define NBJ_CALL(...) NBJ_OPTIONS_OF(nbj_call_options, __VA_ARGS__) /**< As designated initialisers. */

#ifdef __cplusplus
}
#endif
#endif
