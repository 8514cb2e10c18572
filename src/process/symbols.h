/**
 * Addresses of global variables and functions, found by elfutils' libdwfl in the modules of a process or a core.
 *
 * A child process does the work, with bounds of time and memory: libdwfl reads the headers that are in a core's memory,
 * which can be anything. What is not found costs speed and never an answer, for the engine then searches, and it checks
 * each address. Debug information is looked for on this host only, never in the network.
 */
#ifndef TRACEMORTEM_PROCESS_SYMBOLS_H
#define TRACEMORTEM_PROCESS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** Where to look: in a live process, whose folder in /proc is open; or, if `pid` is 0, in a core, which is open. */
struct tm_symbols {
    pid_t pid;
    int file; // the folder, or the core
    // Kept between look-ups; zero at first.
    pid_t child;
    int socket;
    bool failed;
    struct {
        char name[64];
        uint64_t address;
    } known[16];
    size_t known_count;
};

/** The address of what has this name; 0 if it is not found. */
uint64_t tm_symbols_find(struct tm_symbols *symbols, const char *name);
void tm_symbols_deinit(struct tm_symbols *symbols);

#endif
