// ELF as the recorder writes it. A reader may look at any moment, so what grows is stored in one piece and in order.

#define _GNU_SOURCE
#include "recorder_head.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "pages.h"
#include "recorder_place.h"
#include "recorder_self.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE };
#endif

// ---------------------------------------------------------------------------------------------------------------
// The notes of fixed size

#define NOTE_BYTES(size) (((size) + 3u) & ~3u)

/** The notes as they are in the file. */
struct notes {
    Elf64_Nhdr own_head;
    char own_name[12];
    struct tm_recorder_note own; // aligned, since it comes first
    Elf64_Nhdr info_head;
    char info_name[8];
    struct elf_prpsinfo info;
    Elf64_Nhdr files_head;
    char files_name[8];
    char files[];
} __attribute__((packed));
_Static_assert(sizeof(struct elf_prpsinfo) % 4 == 0, "notes are aligned to 4 bytes");

static struct notes *notes_of(char *head)
{
    return (struct notes *)(head + TM_RECORDER_NOTES);
}

struct tm_recorder_note *recorder_head_note(char *head)
{
    return (struct tm_recorder_note *)(head + TM_RECORDER_NOTES + __builtin_offsetof(struct notes, own));
}
_Static_assert((TM_RECORDER_NOTES + __builtin_offsetof(struct notes, own)) % 8 == 0, "our note is aligned");

static void describe_program(struct elf_prpsinfo *info, bool arguments)
{
    char name[16];
    memset(info, 0, sizeof *info);
    recorder_program(name);
    info->pr_sname = 'R';
    info->pr_pid = (int)self_pid();
    info->pr_ppid = (int)getppid();
    memcpy(info->pr_fname, name, strnlen(name, sizeof info->pr_fname));
    memcpy(info->pr_psargs, name, strlen(name));
    size_t length = arguments ? self_read("/proc/self/cmdline", info->pr_psargs, sizeof info->pr_psargs) : 0;
    for (size_t i = 0; i + 1 < length; i++)
        if (info->pr_psargs[i] == '\0')
            info->pr_psargs[i] = ' ';
}

static void set_head(Elf64_Nhdr *note, char *name, size_t name_room, const char *called, uint32_t type, size_t size)
{
    note->n_namesz = (uint32_t)strlen(called) + 1;
    note->n_descsz = (uint32_t)size;
    note->n_type = type;
    memset(name, 0, name_room);
    memcpy(name, called, strlen(called));
}

// ---------------------------------------------------------------------------------------------------------------
// NT_FILE: the number of rows and the unit of the offsets, the rows, then the names

struct file_row {
    uint64_t start, end, offset;
};

struct file_note {
    char *rows, *names; // where the next ones go
    uint64_t count, most;
    char *end; // of the room
    bool measuring;
    size_t bytes; // measured
};

static void add_row(struct file_note *note, const struct file_row *row, const char *path)
{
    size_t length = strlen(path) + 1;
    if (note->measuring) {
        if (note->bytes + sizeof *row + length > (size_t)(note->end - note->rows))
            return;
        note->bytes += sizeof *row + length;
        note->count++;
        return;
    }
    if (note->count == note->most || length > (size_t)(note->end - note->names))
        return;
    memcpy(note->rows, row, sizeof *row);
    memcpy(note->names, path, length);
    note->rows += sizeof *row;
    note->names += length;
    note->count++;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *context)
{
    static char program[4096];
    const char *path = info->dlpi_name;
    (void)size;
    if (path == NULL || *path == '\0') {
        ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
        program[length < 0 ? 0 : length] = '\0';
        path = program;
    }
    for (unsigned i = 0; *path == '/' && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        uint64_t page = PAGE_BYTES - 1, start = info->dlpi_addr + segment->p_vaddr;
        add_row(context,
                &(struct file_row){.start = start & ~page,
                                   .end = (start + segment->p_filesz + page) & ~page,
                                   .offset = segment->p_offset / PAGE_BYTES},
                path);
    }
    return 0;
}

/** The modules that are loaded now, as many as there is room for. The bytes of the note. */
static size_t describe_modules(char *bytes, char *end)
{
    enum { HEAD = 16 };
    struct file_note note = {.rows = bytes + HEAD, .end = end, .measuring = true};
    dl_iterate_phdr(add_module, &note);
    uint64_t count = note.count;
    note = (struct file_note){
        .rows = bytes + HEAD, .names = bytes + HEAD + count * sizeof(struct file_row), .most = count, .end = end};
    dl_iterate_phdr(add_module, &note);
    // If a module has gone meanwhile, the last rows are empty, and so are their names.
    while (note.count++ < count && note.names < end)
        *note.names++ = '\0';
    memcpy(bytes, (uint64_t[]){count, PAGE_BYTES}, HEAD);
    return (size_t)(note.names - bytes);
}

// ---------------------------------------------------------------------------------------------------------------
// The headers

void recorder_head_renew(char *head, bool arguments)
{
    ((Elf64_Ehdr *)head)->e_phnum = 1;
    struct notes *notes = notes_of(head);
    struct elf_prpsinfo info;
    struct tm_recorder_note own = {.version = TM_RECORDER_VERSION, .size = sizeof own, .root = notes->own.root};
    describe_program(&info, arguments);
    self_describe(&own);
    memcpy(&notes->info, &info, sizeof info);
    memcpy(&notes->own, &own, sizeof own);
}

void recorder_head_init(char *head, bool arguments)
{
    struct notes *notes = notes_of(head);
    recorder_head_renew(head, arguments);
    Elf64_Nhdr note;
    set_head(&note, notes->info_name, sizeof notes->info_name, "CORE", NT_PRPSINFO, sizeof notes->info);
    notes->info_head = note;
    set_head(&note, notes->own_name, sizeof notes->own_name, TM_RECORDER_NOTE, TM_RECORDER_NOTE_TYPE,
             sizeof notes->own);
    notes->own_head = note;
    size_t bytes = describe_modules(notes->files, head + TM_RECORDER_HEADER);
    set_head(&note, notes->files_name, sizeof notes->files_name, "CORE", NT_FILE, bytes);
    notes->files_head = note;

    Elf64_Phdr *segment = (Elf64_Phdr *)(head + sizeof(Elf64_Ehdr));
    *segment = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_offset = TM_RECORDER_NOTES, .p_filesz = sizeof *notes + NOTE_BYTES(bytes), .p_align = 4};
    Elf64_Ehdr *elf = (Elf64_Ehdr *)head;
    *elf = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB, EV_CURRENT, ELFOSABI_NONE},
        .e_type = ET_CORE,
        .e_machine = MACHINE,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof *elf,
        .e_ehsize = sizeof *elf,
        .e_phentsize = sizeof *segment,
        .e_phnum = 1,
    };
}

void recorder_head_segment(char *head, unsigned index, uint64_t address, uint64_t offset, uint64_t size)
{
    Elf64_Ehdr *elf = (Elf64_Ehdr *)head;
    Elf64_Phdr *segment = (Elf64_Phdr *)(head + sizeof *elf) + 1 + index;
    if (index + 1u == elf->e_phnum) {
        *segment = (Elf64_Phdr){.p_type = PT_LOAD,
                                .p_flags = PF_R | PF_W,
                                .p_offset = offset,
                                .p_vaddr = address,
                                .p_filesz = size,
                                .p_memsz = size,
                                .p_align = PAGE_BYTES};
        __atomic_store_n(&elf->e_phnum, (uint16_t)(index + 2), __ATOMIC_RELEASE);
        return;
    }
    __atomic_store_n(&segment->p_filesz, size, __ATOMIC_RELEASE);
    __atomic_store_n(&segment->p_memsz, size, __ATOMIC_RELEASE);
}
_Static_assert(sizeof(Elf64_Ehdr) + (TM_RECORDER_SEGMENTS + 1) * sizeof(Elf64_Phdr) <= TM_RECORDER_NOTES,
               "program headers are in front of the notes");
