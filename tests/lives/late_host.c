// A program that is no Python until it loads one: late_host LIBPYTHON WAY SCRIPT. WAY is how it loads the interpreter.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *load(const char *library, const char *way)
{
    if (strcmp(way, "namespace") == 0)
        return dlmopen(LM_ID_NEWLM, library, RTLD_NOW);
    if (strcmp(way, "plugin") == 0)
        return dlopen("libplugin.so", RTLD_LAZY); // found by our RUNPATH; it needs the interpreter
    if (strcmp(way, "copy") == 0 && dlopen(library, RTLD_NOW) != NULL)
        library = getenv("TM_COPY"); // another file with the same content
    if (strcmp(way, "again") == 0)
        dlclose(dlopen(library, RTLD_NOW));
    int scope = strcmp(way, "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
    return dlopen(library, RTLD_NOW | scope | (strcmp(way, "deep") == 0 ? RTLD_DEEPBIND : 0));
}

static int live(void *python, const char *script)
{
    void (*initialize)(int);
    int (*run)(const char *), (*finalize)(void);
    *(void **)&initialize = dlsym(python, "Py_InitializeEx");
    *(void **)&run = dlsym(python, "PyRun_SimpleString");
    *(void **)&finalize = dlsym(python, "Py_FinalizeEx");
    initialize(0);
    int failed = run(script);
    return finalize() | failed;
}

int main(int argc, char **argv)
{
    const char *way = argc > 3 ? argv[2] : "";
    void *python = argc > 3 ? load(argv[1], way) : NULL;
    if (python == NULL) {
        fprintf(stderr, "late_host: %s\n", argc > 3 ? dlerror() : "usage");
        return 2;
    }
    int failed = live(python, argv[3]);
    return strcmp(way, "twice") == 0 ? live(python, argv[3]) | failed : failed;
}
