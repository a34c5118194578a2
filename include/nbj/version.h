/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The version of the headers, and of the library that is running. */
#ifndef NBJ_VERSION_H
#define NBJ_VERSION_H

#include <nbj/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NBJ_VERSION_MAJOR 0 /**< Changes when programs must be changed. */
#define NBJ_VERSION_MINOR 1 /**< Changes when something is added. */
#define NBJ_VERSION_PATCH 0 /**< Changes when something is mended. */
#define NBJ_VERSION "0.1.0" /**< The three together. */

/** The running library's version, in the form of NBJ_VERSION. Static text; callable from anywhere. */
NBJ_API const char *nbj_version(void);

#ifdef __cplusplus
}
#endif
#endif
