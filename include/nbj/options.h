/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * How option structs work. Each begins with its own size, so that it may grow at its end without breaking programs that
 * were compiled before. Zero in a field means the default that its comment names.
 *
 * In C, NBJ_CLIENT_OPTIONS(.url = "nats://localhost:4222") and its like give a pointer to a literal that lives until the
 * end of the enclosing block. In C++ and in bindings, zero the struct and set struct_size to sizeof itself. A struct that
 * is larger than the library knows is refused with NBJ_E_INVALID unless what lies beyond is zero. */
#ifndef NBJ_OPTIONS_H
#define NBJ_OPTIONS_H

#include <stddef.h>

/** A pointer to a literal of option struct @p type with its size filled in; C only. */
#define NBJ_OPTIONS_OF(type, ...) (&(type){ .struct_size = sizeof(type), __VA_ARGS__ })

#endif
