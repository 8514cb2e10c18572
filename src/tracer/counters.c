// The notes of updates in flight.

#include "counters.h"

struct counter_note counter_notes[COUNTER_NOTES];
__thread char counter_thread;
