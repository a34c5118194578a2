/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Time and durations: unsigned nanoseconds everywhere, with the unit in each name. */
#ifndef NBJ_TIME_H
#define NBJ_TIME_H

#include <stdint.h>

/** A point in time: monotonic nanoseconds of any epoch; never wall-clock time. */
typedef uint64_t nbj_time;

/** Never. Sorts last, so that "the next deadline" is a plain minimum. As a duration: without end. */
#define NBJ_TIME_NEVER UINT64_MAX

#define NBJ_MICROS(n) ((uint64_t)(n)*1000u)              /**< @p n microseconds in nanoseconds. */
#define NBJ_MILLIS(n) ((uint64_t)(n)*1000000u)           /**< @p n milliseconds in nanoseconds. */
#define NBJ_SECONDS(n) ((uint64_t)(n)*1000000000u)       /**< @p n seconds in nanoseconds. */
#define NBJ_MINUTES(n) (NBJ_SECONDS(60) * (uint64_t)(n)) /**< @p n minutes in nanoseconds. */
#define NBJ_HOURS(n) (NBJ_SECONDS(3600) * (uint64_t)(n)) /**< @p n hours in nanoseconds. */

#endif
