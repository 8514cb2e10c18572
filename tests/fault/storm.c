// C threads without the interpreter's lock. They never stop allocating, resizing and freeing.

#include <pthread.h>
#include <stdlib.h>

void *PyMem_RawRealloc(void *block, size_t size);
void PyMem_RawFree(void *block);

enum { KEPT = 64 };

void begin_storm(int threads);

static void *storm(void *unused)
{
    void *kept[KEPT] = {NULL};
    (void)unused;
    for (unsigned i = 0;; i++) {
        void **place = &kept[i % KEPT];
        if (i % 3 != 0) {
            PyMem_RawFree(*place);
            *place = NULL;
        }
        *place = PyMem_RawRealloc(*place, 24 + i % 500);
    }
    return NULL;
}

void begin_storm(int threads)
{
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, storm, NULL) != 0)
            abort();
    }
}
