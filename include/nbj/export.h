/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * How the library's functions are exported and which results must be looked at. */
#ifndef NBJ_EXPORT_H
#define NBJ_EXPORT_H

#if defined(__GNUC__)
#define NBJ_API __attribute__((visibility("default")))
#define NBJ_CHECKED __attribute__((warn_unused_result))
#define NBJ_PRINTF(format_index, args_index) __attribute__((format(printf, format_index, args_index)))
#else
#define NBJ_API
#define NBJ_CHECKED
#define NBJ_PRINTF(format_index, args_index)
#endif

#endif
