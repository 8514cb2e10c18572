// Looks at the program's file, and makes a name of the tracer that LD_PRELOAD can have.

#define _GNU_SOURCE

#include "cli/preload.h"

#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "process/core.h"

#define TRACER "_tracer.abi3.so"
#define LINK_FOLDER "tracemortem-" // the tracer's environment.c knows this
enum { MOST_SCRIPTS = 4, MOST_LINE = 512 };

// ---------------------------------------------------------------------------------------------------------------
// The tracer

char *tm_preload_tracer(void)
{
    // Below the folder of the command: in a build, installed, and beside it.
    static const char *const places[] = {"/../python/tracemortem/" TRACER, "/../share/tracemortem/tracemortem/" TRACER,
                                         "/" TRACER};
    char folder[PATH_MAX], path[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", folder, places[i]);
        char *real = realpath(path, NULL);
        if (real)
            return real;
    }
    snprintf(path, sizeof(path), "%s%s", folder, places[0]);
    return strdup(path);
}

// ---------------------------------------------------------------------------------------------------------------
// What a program's file says of itself

struct program {
    bool is_elf;
    unsigned char word_size, byte_order;
    unsigned machine;
    bool is_static;
    char loader[256];
};

static void read_loader(Elf *elf, int file, struct program *program)
{
    size_t count = 0;
    program->is_static = true;
    if (elf_getphdrnum(elf, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_INTERP)
            continue;
        size_t most = sizeof(program->loader) - 1, length = header.p_filesz < most ? header.p_filesz : most;
        ssize_t there = pread(file, program->loader, length, (off_t)header.p_offset);
        program->loader[there > 0 ? there : 0] = '\0';
        program->is_static = false;
    }
}

static struct program read_program(int file)
{
    struct program program = {0};
    GElf_Ehdr head;

    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(file, ELF_C_READ, NULL);
    if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &head)) {
        program.is_elf = true;
        program.word_size = head.e_ident[EI_CLASS];
        program.byte_order = head.e_ident[EI_DATA];
        program.machine = head.e_machine;
        read_loader(elf, file, &program);
    }
    elf_end(elf);
    return program;
}

// The C library that the tracer was built with.
static const char *library_of(int tracer)
{
    struct stat status;
    static const char name[] = "\0libc.so.6";
    const char *found = "musl";
    char *bytes = fstat(tracer, &status) == 0 ? malloc((size_t)status.st_size) : NULL;
    if (bytes && pread(tracer, bytes, (size_t)status.st_size, 0) == (ssize_t)status.st_size &&
        memmem(bytes, (size_t)status.st_size, name, sizeof(name)))
        found = "glibc";
    free(bytes);
    return found;
}

static bool is_privileged(int file, const char *path)
{
    struct stat status;
    char value[64];
    if (fstat(file, &status) != 0)
        return false;
    bool other_user = (status.st_mode & S_ISUID) && status.st_uid != getuid();
    bool other_group = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status.st_gid != getgid();
    return other_user || other_group ||
           (getuid() != 0 && getxattr(path, "security.capability", value, sizeof(value)) > 0);
}

static void compare(const char *path, int file, int tracer, bool preloads, struct tm_text *why)
{
    struct program theirs = read_program(file), ours = read_program(tracer);
    struct tm_printable printable = tm_printable(path);
    const char *name = printable.text, *library = library_of(tracer), *loader = strrchr(theirs.loader, '/');

    if (!ours.is_elf)
        tm_text_add(why, "the tracer is no ELF file");
    else if (!theirs.is_elf) // the kernel knows another kind of program, or refuses it
        return;
    else if (theirs.word_size != ours.word_size || theirs.byte_order != ours.byte_order ||
             theirs.machine != ours.machine)
        tm_text_printf(why, "the tracer was built for another processor than %s", name);
    else if (theirs.is_static)
        tm_text_printf(why, "%s is linked statically", name);
    else if ((strstr(loader ? loader : theirs.loader, "musl") != NULL) != (strcmp(library, "musl") == 0))
        tm_text_printf(why, "the tracer was built for %s, which %s does not use", library, name);
    else if (preloads && is_privileged(file, path))
        tm_text_printf(why, "%s is setuid or has file capabilities, so LD_PRELOAD is ignored", name);
}

// The program that a script names after "#!"; false: it is no script.
static bool script_program(int file, char *program, size_t capacity)
{
    char line[MOST_LINE];
    ssize_t length = pread(file, line, sizeof(line) - 1, 0);
    if (length < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[length] = '\0';
    const char *begin = line + 2 + strspn(line + 2, " \t");
    size_t size = strcspn(begin, " \t\n");
    if (size == 0 || size >= capacity)
        return false;
    memcpy(program, begin, size);
    program[size] = '\0';
    return true;
}

static void why_not(const char *program, const char *tracer_path, bool preloads, struct tm_text *why)
{
    char path[PATH_MAX];
    int tracer = open(tracer_path, O_RDONLY | O_CLOEXEC);
    if (tracer < 0) {
        tm_text_printf(why, "%s is missing", tm_printable(tracer_path).text);
        return;
    }
    snprintf(path, sizeof(path), "%s", program);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < MOST_SCRIPTS && file >= 0 && script_program(file, path, sizeof(path)); i++) {
        close(file);
        file = open(path, O_RDONLY | O_CLOEXEC);
    }
    // A program may be run and not read.
    if (file >= 0) {
        compare(path, file, tracer, preloads, why);
        close(file);
    }
    close(tracer);
}

void tm_preload_why_not(const char *program, const char *tracer, struct tm_text *why)
{
    why_not(program, tracer, true, why);
}

void tm_preload_why_not_load(const char *program, const char *tracer, struct tm_text *why)
{
    why_not(program, tracer, false, why);
}

// ---------------------------------------------------------------------------------------------------------------
// A name for LD_PRELOAD

// glibc splits at blanks and colons, musl at every blank, and `$` begins a variable.
static bool is_split(const char *path)
{
    return path[strcspn(path, " \t\n\v\f\r:;$")] != '\0';
}

static char *make_link_in(const char *place, const char *tracer)
{
    char folder[PATH_MAX], *link;
    if (snprintf(folder, sizeof(folder), "%s/" LINK_FOLDER "XXXXXX", place) >= (int)sizeof(folder) || !mkdtemp(folder))
        return NULL;
    // Child processes may become another user.
    if (chmod(folder, 0711) != 0 || asprintf(&link, "%s/" TRACER, folder) < 0) {
        rmdir(folder);
        return NULL;
    }
    if (symlink(tracer, link) == 0)
        return link;
    rmdir(folder);
    free(link);
    return NULL;
}

char *tm_preload_name(const char *tracer, bool *is_link)
{
    const char *const places[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};
    *is_link = is_split(tracer);
    if (!*is_link)
        return strdup(tracer);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *link = places[i] && places[i][0] == '/' && !is_split(places[i]) ? make_link_in(places[i], tracer) : NULL;
        if (link)
            return link;
    }
    return NULL;
}

void tm_preload_remove_link(const char *link)
{
    char *folder = strdup(link), *slash = folder ? strrchr(folder, '/') : NULL;
    unlink(link);
    if (slash) {
        *slash = '\0';
        rmdir(folder);
    }
    free(folder);
}
