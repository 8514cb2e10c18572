/**
 * How the process ends: seen for the sake of the recorder's file.
 *
 * exit() and the end of main() come to a function that was registered for it. `os._exit()`, with which forked children of
 * Python end, and `os.execv()` and its like call libc through slots of the interpreter, which bind.c makes lead here. Other
 * ends are not seen: the file stays.
 */
#ifndef TRACEMORTEM_TRACER_ENDS_H
#define TRACEMORTEM_TRACER_ENDS_H

/** Have the process's exit recorded. Once a process. */
void ends_watch(void);

/** In place of libc's functions, for the interpreter. */
void ends_exit(int status) __attribute__((noreturn));
int ends_execv(const char *path, char *const arguments[]);
int ends_execve(const char *path, char *const arguments[], char *const environment[]);
int ends_fexecve(int descriptor, char *const arguments[], char *const environment[]);

#endif
