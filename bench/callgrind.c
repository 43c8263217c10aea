/* Lets Python tell callgrind when to count. Outside valgrind a call is a few idle instructions. */
#include <valgrind/callgrind.h>

void case_starts(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

void toggle_counting(void) { CALLGRIND_TOGGLE_COLLECT; }

void case_ends(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}
