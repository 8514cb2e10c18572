// The families of CPython: one row for each release and build that can be traced, oldest first. A row names the header with
// the facts of the family, and the end of all its names.
//
// This file is included once for each use, so it has no include guard. Included as it is, it gives the facts as constants
// (cpython_3_13). Where EACH_FAMILY(family) is defined it gives that for each row, such as an entry of a table. Where
// COMPILE_HOOKS is defined it compiles hooks.inc.h for each row, once in each profile.

#include "facts/3.8.h"
#define FAMILY 3_8
#include "family.inc.h"

#include "facts/3.9.h"
#define FAMILY 3_9
#include "family.inc.h"

#include "facts/3.10.h"
#define FAMILY 3_10
#include "family.inc.h"

#include "facts/3.11.h"
#define FAMILY 3_11
#include "family.inc.h"

#include "facts/3.12.h"
#define FAMILY 3_12
#include "family.inc.h"

#include "facts/3.13.h"
#define FAMILY 3_13
#include "family.inc.h"

#include "facts/3.13t.h"
#define FAMILY 3_13t
#include "family.inc.h"

#include "facts/3.14.h"
#define FAMILY 3_14
#include "family.inc.h"

#include "facts/3.14t.h"
#define FAMILY 3_14t
#include "family.inc.h"

#include "facts/3.15.h"
#define FAMILY 3_15
#include "family.inc.h"

#include "facts/3.15t.h"
#define FAMILY 3_15t
#include "family.inc.h"

#undef EACH_FAMILY
#undef COMPILE_HOOKS
