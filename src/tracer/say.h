/** The tracer's one way to say something to the user. */
#ifndef TRACEMORTEM_TRACER_SAY_H
#define TRACEMORTEM_TRACER_SAY_H

/** One line on stderr, "tracemortem: " before it. Does nothing else to the program, even where stderr is a broken pipe. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
