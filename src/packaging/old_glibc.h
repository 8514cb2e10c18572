/**
 * Makes the tracer and the engine load where glibc is older than the one they were built with. Every file of both is
 * compiled with `-include src/packaging/old_glibc.h`; `make check-glibc` says whether it is enough.
 *
 * glibc 2.34 moved libdl and libpthread into libc and gave their functions a new version; glibc 2.38 gave strtoul() and
 * its like new names. The functions of the old versions are the same ones for us, and every glibc has them.
 */
#ifndef TRACEMORTEM_OLD_GLIBC_H
#define TRACEMORTEM_OLD_GLIBC_H

#if __has_include(<gnu/libc-version.h>) // not musl
#if defined(__x86_64__)
#define TM_FIRST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define TM_FIRST_GLIBC "GLIBC_2.17"
#endif
#endif

#ifdef TM_FIRST_GLIBC
// A name that a file does not use costs nothing.
#define TM_BIND(name, old_name) __asm__(".symver " #name "," #old_name "@" TM_FIRST_GLIBC);
#define TM_BIND_MOVED(name) TM_BIND(name, name)

TM_BIND_MOVED(dladdr)
TM_BIND_MOVED(dlclose)
TM_BIND_MOVED(dlerror)
TM_BIND_MOVED(dlopen)
TM_BIND_MOVED(dlsym)
TM_BIND_MOVED(pthread_create)
TM_BIND_MOVED(pthread_detach)
TM_BIND_MOVED(pthread_getspecific)
TM_BIND_MOVED(pthread_join)
TM_BIND_MOVED(pthread_key_create)
TM_BIND_MOVED(pthread_key_delete)
TM_BIND_MOVED(pthread_mutex_trylock)
TM_BIND_MOVED(pthread_once)
TM_BIND_MOVED(pthread_setspecific)
TM_BIND_MOVED(pthread_sigmask)
TM_BIND(__isoc23_strtol, strtol)
TM_BIND(__isoc23_strtoll, strtoll)
TM_BIND(__isoc23_strtoul, strtoul)
TM_BIND(__isoc23_strtoull, strtoull)

#undef TM_BIND_MOVED
#undef TM_BIND
#undef TM_FIRST_GLIBC
#endif

#endif
