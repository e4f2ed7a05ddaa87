/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes; cmocka.h wants these four before it. */
#ifndef HSM_UNIT_H
#define HSM_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
