// The profile of the present trace, which tracing.c chooses, and the profiles' names.

#include "profile.h"

#include <string.h>

profile_t profile_now = &profile_full;

profile_t profile_called(const char *name)
{
    if (strcmp(name, "lean") == 0)
        return &profile_lean;
    if (strcmp(name, "full") == 0)
        return &profile_full;
    return strcmp(name, "sampled") == 0 ? &profile_sampled : NULL;
}
