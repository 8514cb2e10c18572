// What becomes of one row of families.h, which has defined FAMILY.

#if defined EACH_FAMILY
#define EXPANDED(family) EACH_FAMILY(family)
EXPANDED(FAMILY)
#undef EXPANDED
#elif defined COMPILE_HOOKS
#define PROFILE lean
#include "hooks.inc.h"
#define PROFILE full
#include "hooks.inc.h"
#define PROFILE sampled
#include "hooks.inc.h"
#endif

#undef FAMILY
