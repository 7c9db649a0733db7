/* What cmocka wants included before itself. */
#ifndef FH_TEST_CMOCKA_ALL_H
#define FH_TEST_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
