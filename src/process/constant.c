// A file is compared with what the core has of it: the first page, which the kernel and gcore dump.

#define _GNU_SOURCE

#include "process/constant.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/grow.h"
#include "engine/base/text.h"

enum { PAGE = 4096, MOST_HEADERS = 64, MOST_NOTES = 4096, LONGEST_ID = 64, MOST_FILES = 4096 };

/** What an ELF file is. */
struct identity {
    unsigned char id[LONGEST_ID];
    size_t id_length;
    Elf64_Phdr loads[MOST_HEADERS];
    unsigned load_count;
};

struct tm_constant_file {
    const char *path; // the notes'
    int file;         // -1: it cannot be used
    struct stat status;
    uint64_t bias;
    struct identity identity;
    char why[512];
};

struct source {
    int file; // or, if it is -1, the core
    tm_constant_reader reader;
    void *context;
    uint64_t base;
};

static size_t read_from(const struct source *source, uint64_t offset, void *buffer, size_t length)
{
    if (source->file < 0)
        return source->reader(source->context, source->base + offset, buffer, length);
    ssize_t count;
    do
        count = offset <= INT64_MAX ? pread(source->file, buffer, length, (off_t)offset) : 0;
    while (count < 0 && errno == EINTR);
    return count > 0 ? (size_t)count : 0;
}

static bool find_id(const unsigned char *bytes, size_t length, struct identity *identity)
{
    Elf64_Nhdr head;
    for (size_t at = 0; at + sizeof(head) <= length;) {
        memcpy(&head, bytes + at, sizeof(head));
        uint64_t begin = at + sizeof(head) + (((uint64_t)head.n_namesz + 3) & ~UINT64_C(3));
        if (begin > length || head.n_descsz > length - begin)
            return false;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && memcmp(bytes + at + sizeof(head), "GNU", 4) == 0 &&
            head.n_descsz >= 8 && head.n_descsz <= LONGEST_ID) {
            memcpy(identity->id, bytes + begin, head.n_descsz);
            identity->id_length = head.n_descsz;
            return true;
        }
        at = (size_t)(begin + (((uint64_t)head.n_descsz + 3) & ~UINT64_C(3)));
    }
    return false;
}

static bool identify(const struct source *source, struct identity *identity)
{
    Elf64_Ehdr head;
    Elf64_Phdr headers[MOST_HEADERS];
    unsigned char notes[MOST_NOTES];
    bool found = false;

    memset(identity, 0, sizeof(*identity));
    if (read_from(source, 0, &head, sizeof(head)) < sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(headers[0]) || head.e_phnum == 0 ||
        head.e_phnum > MOST_HEADERS ||
        read_from(source, head.e_phoff, headers, head.e_phnum * sizeof(headers[0])) < head.e_phnum * sizeof(headers[0]))
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        size_t length = headers[i].p_filesz < MOST_NOTES ? (size_t)headers[i].p_filesz : MOST_NOTES;
        if (headers[i].p_type == PT_LOAD)
            identity->loads[identity->load_count++] = headers[i];
        if (headers[i].p_type == PT_NOTE && !found)
            found = find_id(notes, read_from(source, headers[i].p_offset, notes, length), identity);
    }
    return found && identity->load_count > 0;
}

static bool same(const struct identity *a, const struct identity *b)
{
    return a->id_length == b->id_length && memcmp(a->id, b->id, a->id_length) == 0 && a->load_count == b->load_count &&
           memcmp(a->loads, b->loads, a->load_count * sizeof(a->loads[0])) == 0;
}

static void open_file(struct tm_constant_file *file, const struct tm_notes *notes, tm_constant_reader reader,
                      void *context)
{
    struct source ours = {.file = -1}, theirs = {.file = -1, .reader = reader, .context = context};
    struct identity identity;
    char path[256];
    bool has_base = false;

    file->file = -1;
    tm_escape_into(path, sizeof(path), file->path, strlen(file->path));
    for (size_t i = 0; i < notes->count && !has_base; i++) {
        has_base = notes->files[i].offset == 0 && strcmp(notes->files[i].path, file->path) == 0;
        theirs.base = notes->files[i].start;
    }
    // Opening a device or a pipe could do harm.
    if (stat(file->path, &file->status) != 0) {
        snprintf(file->why, sizeof(file->why),
                 "left out of the core, and the file that was mapped there is not here: %s", path);
        return;
    }
    if (!S_ISREG(file->status.st_mode))
        return;
    ours.file = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (ours.file < 0 || fstat(ours.file, &file->status) != 0)
        return;
    bool comparable = has_base && identify(&ours, &file->identity) && identify(&theirs, &identity);
    if (comparable && same(&file->identity, &identity)) {
        file->file = ours.file;
        file->bias = theirs.base - (file->identity.loads[0].p_vaddr & ~(uint64_t)(PAGE - 1));
        return;
    }
    close(ours.file);
    snprintf(file->why, sizeof(file->why), "left out of the core, and %s here %s the file that was mapped there", path,
             comparable ? "is not" : "cannot be compared with");
}

static struct tm_constant_file *known_file(const struct tm_constants *constants, const char *path)
{
    for (size_t i = 0; i < constants->count; i++)
        if (strcmp(constants->files[i]->path, path) == 0)
            return constants->files[i];
    return NULL;
}

static struct tm_constant_file *get_file(struct tm_constants *constants, const struct tm_notes *notes,
                                         tm_constant_reader reader, void *context, const char *path)
{
    struct tm_constant_file *file = known_file(constants, path);
    if (file || constants->count >= MOST_FILES)
        return file;
    file = calloc(1, sizeof(*file));
    if (!file || !TM_GROW(&constants->files, constants->count + 1, &constants->capacity)) {
        free(file);
        return NULL;
    }
    file->path = path;
    open_file(file, notes, reader, context);
    constants->files[constants->count++] = file;
    return file;
}

static bool is_changed(const struct tm_constant_file *file)
{
    struct stat now;
    return fstat(file->file, &now) != 0 || now.st_size != file->status.st_size ||
           now.st_mtim.tv_sec != file->status.st_mtim.tv_sec || now.st_mtim.tv_nsec != file->status.st_mtim.tv_nsec;
}

size_t tm_constant_read(struct tm_constants *constants, const struct tm_notes *notes, tm_constant_reader reader,
                        void *context, uint64_t address, void *buffer, size_t length)
{
    const struct tm_mapped_file *mapped = tm_notes_file_at(notes, address);
    if (!mapped || mapped->path[0] != '/')
        return 0;
    struct tm_constant_file *file = get_file(constants, notes, reader, context, mapped->path);
    if (!file || file->file < 0 || is_changed(file))
        return 0;
    if (length > mapped->end - address)
        length = (size_t)(mapped->end - address);
    for (unsigned i = 0; i < file->identity.load_count; i++) {
        const Elf64_Phdr *load = &file->identity.loads[i];
        uint64_t start = (file->bias + load->p_vaddr) & ~(uint64_t)(PAGE - 1);
        uint64_t end = (file->bias + load->p_vaddr + load->p_filesz + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        if ((load->p_flags & PF_W) || address < start || address >= end)
            continue;
        const struct source source = {.file = file->file};
        if (length > end - address)
            length = (size_t)(end - address);
        return read_from(&source, mapped->offset + (address - mapped->start), buffer, length);
    }
    return 0;
}

const char *tm_constant_why(const struct tm_constants *constants, const struct tm_notes *notes, uint64_t address)
{
    const struct tm_mapped_file *mapped = tm_notes_file_at(notes, address);
    const struct tm_constant_file *file = mapped ? known_file(constants, mapped->path) : NULL;
    return file && file->why[0] ? file->why : NULL;
}

void tm_constants_deinit(struct tm_constants *constants)
{
    for (size_t i = 0; i < constants->count; i++) {
        if (constants->files[i]->file >= 0)
            close(constants->files[i]->file);
        free(constants->files[i]);
    }
    free(constants->files);
    *constants = (struct tm_constants){0};
}
