// Runs of data, of zeros and of what is missing; then the file, from its beginning to its end.

#include "engine/target/small_core.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "engine/base/grow.h"
#include "layout/hash.h"
#include "layout/recorder_file.h"

// Shorter stretches of zeros are written as data: a program header has 56 bytes, and debuggers are slow with many.
#define ZEROS_LEAST (UINT64_C(1) << 16)
// All zeros are this part of the file, again and again.
#define ZEROS ((uint64_t)1 << 18)
// e_phnum has 16 bits, and one header is for the notes.
#define HEADERS_MOST 60000u
#define PIECE TM_READ_LIMIT
_Static_assert(ZEROS <= PIECE, "zeros are written at once");

enum run_kind { DATA, NOTHING, ABSENT };

struct tm_core_run {
    uint64_t start, end;
    enum run_kind kind;
};

// ---------------------------------------------------------------------------------------------------------------
// What is there

static struct tm_error *add_run(struct tm_small_core *core, uint64_t start, uint64_t end, enum run_kind kind)
{
    struct tm_core_run *last = core->count ? &core->runs[core->count - 1] : NULL;
    if (last && last->end == start && last->kind == kind) {
        last->end = end;
        return NULL;
    }
    if (!TM_GROW(&core->runs, core->count + 1, &core->capacity))
        return tm_error_no_memory();
    core->runs[core->count++] = (struct tm_core_run){start, end, kind};
    return NULL;
}

static bool is_zero(const unsigned char *bytes, size_t length)
{
    static const unsigned char zeros[TM_CORE_PAGE];
    return memcmp(bytes, zeros, length) == 0;
}

static struct tm_error *look_at_pages(struct tm_small_core *core, uint64_t start, uint64_t end, unsigned char *bytes)
{
    struct tm_error *error = NULL;
    bool whole = tm_target_try_read(core->target, start, bytes, end - start);
    for (uint64_t at = start; at < end && !error; at += TM_CORE_PAGE) {
        unsigned char *page = bytes + (at - start);
        bool there = whole || tm_target_try_read(core->target, at, page, TM_CORE_PAGE);
        core->missing += there ? 0 : TM_CORE_PAGE;
        error = add_run(core, at, at + TM_CORE_PAGE, !there ? ABSENT : is_zero(page, TM_CORE_PAGE) ? NOTHING : DATA);
    }
    return error;
}

// Short stretches of zeros become data.
static void join_runs(struct tm_small_core *core)
{
    size_t kept = 0;
    for (size_t i = 0; i < core->count; i++) {
        struct tm_core_run run = core->runs[i];
        if (run.kind == NOTHING && run.end - run.start < ZEROS_LEAST)
            run.kind = DATA;
        struct tm_core_run *last = kept ? &core->runs[kept - 1] : NULL;
        if (last && last->kind == run.kind && last->end == run.start)
            last->end = run.end;
        else
            core->runs[kept++] = run;
    }
    core->count = kept;
}

static uint64_t piece_end(const struct tm_core_run *run, uint64_t at)
{
    return run->end - at < PIECE ? run->end : at + PIECE;
}

// Remembers what the data is. What cannot be read any more is noticed when it is written.
static struct tm_error *hash_data(struct tm_small_core *core, unsigned char *bytes)
{
    for (size_t i = 0; i < core->count; i++) {
        const struct tm_core_run *run = &core->runs[i];
        for (uint64_t at = run->start, end; run->kind == DATA && at < run->end; at = end) {
            end = piece_end(run, at);
            struct tm_error *error = tm_host_check(core->host);
            if (error)
                return error;
            if (!TM_GROW(&core->hashes, core->hash_count + 1, &core->hash_capacity))
                return tm_error_no_memory();
            bool there = tm_target_try_read(core->target, at, bytes, end - at);
            core->hashes[core->hash_count++] = there ? tm_content_hash(bytes, (uint32_t)(end - at)) : 0;
        }
    }
    return NULL;
}

struct tm_error *tm_small_core_init(struct tm_small_core *core, struct tm_target *target, const struct tm_host *host,
                                    const struct tm_core_range *ranges, size_t count)
{
    *core = (struct tm_small_core){.target = target, .host = host};
    unsigned char *bytes = malloc(PIECE);
    struct tm_error *error = bytes ? NULL : tm_error_no_memory();
    for (size_t i = 0; i < count && !error; i++) {
        for (uint64_t at = ranges[i].start, end; at < ranges[i].end && !error; at = end) {
            end = ranges[i].end - at < PIECE ? ranges[i].end : at + PIECE;
            error = tm_host_check(host);
            if (!error)
                error = look_at_pages(core, at, end, bytes);
            core->bytes += end - at;
        }
    }
    join_runs(core);
    if (!error)
        error = hash_data(core, bytes);
    free(bytes);
    return error;
}

void tm_small_core_deinit(struct tm_small_core *core)
{
    free(core->runs);
    free(core->hashes);
    core->runs = NULL;
    core->hashes = NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The file: its header, the program headers, the notes, the zeros, the data

struct file {
    tm_output_callback output;
    void *context;
    uint64_t at;
};

static struct tm_error *put(struct file *file, const void *bytes, uint64_t length)
{
    if (length && file->output(file->context, bytes, (size_t)length) != 0)
        return tm_error_create(TM_ERROR_OUTPUT, "the file could not be written");
    file->at += length;
    return NULL;
}

static uint64_t page_up(uint64_t size)
{
    return (size + TM_CORE_PAGE - 1) & ~(TM_CORE_PAGE - 1);
}

static struct tm_error *pad(struct file *file, uint64_t end)
{
    static const unsigned char zeros[TM_CORE_PAGE];
    struct tm_error *error = NULL;
    while (file->at < end && !error)
        error = put(file, zeros, end - file->at < sizeof(zeros) ? end - file->at : sizeof(zeros));
    return error;
}

static size_t count_headers(const struct tm_small_core *core)
{
    size_t count = 1;
    for (size_t i = 0; i < core->count; i++) {
        const struct tm_core_run *run = &core->runs[i];
        count += run->kind == NOTHING ? (size_t)((run->end - run->start + ZEROS - 1) / ZEROS) : 1;
    }
    return count;
}

static uint16_t machine(void)
{
#if defined(__aarch64__)
    return EM_AARCH64;
#else
    return EM_X86_64;
#endif
}

static struct tm_error *put_head(struct file *file, size_t headers)
{
    // A kernel's core has no system in its head. lldb finds it out by the files in NT_FILE, which is not here.
    const Elf64_Ehdr head = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_LINUX},
        .e_type = ET_CORE,
        .e_machine = machine(),
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(head),
        .e_ehsize = sizeof(head),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)headers};
    return put(file, &head, sizeof(head));
}

static struct tm_error *put_headers(const struct tm_small_core *core, struct file *file, uint64_t notes,
                                    uint64_t notes_size, uint64_t zeros, uint64_t data)
{
    Elf64_Phdr header = {.p_type = PT_NOTE, .p_offset = notes, .p_filesz = notes_size, .p_align = 4};
    struct tm_error *error = put(file, &header, sizeof(header));
    for (size_t i = 0; i < core->count && !error; i++) {
        const struct tm_core_run *run = &core->runs[i];
        for (uint64_t at = run->start, end; at < run->end && !error; at = end) {
            end = run->kind == NOTHING && run->end - at > ZEROS ? at + ZEROS : run->end;
            header = (Elf64_Phdr){.p_type = PT_LOAD,
                                  .p_flags = PF_R | PF_W,
                                  .p_offset = run->kind == NOTHING ? zeros : data,
                                  .p_vaddr = at,
                                  .p_filesz = run->kind == ABSENT ? 0 : end - at,
                                  .p_memsz = end - at,
                                  .p_align = TM_CORE_PAGE};
            data += run->kind == DATA ? end - at : 0;
            error = put(file, &header, sizeof(header));
        }
    }
    return error;
}

static size_t add_note(unsigned char *to, const char *name, uint32_t type, const void *bytes, size_t length)
{
    const Elf64_Nhdr head = {.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)length, .n_type = type};
    size_t name_room = (head.n_namesz + 3u) & ~3u, room = (length + 3u) & ~(size_t)3u;
    memset(to, 0, sizeof(head) + name_room + room);
    memcpy(to, &head, sizeof(head));
    memcpy(to + sizeof(head), name, head.n_namesz);
    memcpy(to + sizeof(head) + name_room, bytes, length);
    return sizeof(head) + name_room + room;
}

static struct tm_error *changed(void)
{
    return tm_error_create(TM_ERROR_CORRUPT,
                           "the process changed its trace table while it was copied, so the copy would be of no one "
                           "moment\nHold it still: --stop");
}

static struct tm_error *put_data(struct tm_small_core *core, struct file *file, unsigned char *bytes)
{
    size_t piece = 0;
    for (size_t i = 0; i < core->count; i++) {
        const struct tm_core_run *run = &core->runs[i];
        for (uint64_t at = run->start, end; run->kind != ABSENT && at < run->end; at = end) {
            end = piece_end(run, at);
            struct tm_error *error = tm_host_check(core->host);
            if (error)
                return error;
            if (!tm_target_try_read(core->target, at, bytes, end - at))
                return changed();
            if (run->kind == NOTHING) {
                for (uint64_t page = 0; page < end - at; page += TM_CORE_PAGE)
                    if (!is_zero(bytes + page, TM_CORE_PAGE))
                        return changed();
                continue;
            }
            if (tm_content_hash(bytes, (uint32_t)(end - at)) != core->hashes[piece++])
                return changed();
            error = put(file, bytes, end - at);
            if (error)
                return error;
        }
    }
    return NULL;
}

struct tm_error *tm_small_core_write(struct tm_small_core *core, uint32_t process, uint32_t note_type, const void *note,
                                     size_t note_length, tm_output_callback output, void *context, uint64_t *size)
{
    struct file file = {.output = output, .context = context};
    struct elf_prpsinfo info = {.pr_pid = (int)process};
    size_t headers = count_headers(core), notes_size;
    unsigned char *bytes;

    if (headers > HEADERS_MOST)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "the memory of the trace table is in too many pieces (%zu) for a core file", headers);
    bytes = malloc(PIECE);
    if (!bytes)
        return tm_error_no_memory();
    notes_size = add_note(bytes, "CORE", NT_PRPSINFO, &info, sizeof(info));
    notes_size += add_note(bytes + notes_size, TM_RECORDER_NOTE, note_type, note, note_length);
    uint64_t notes = sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr), zeros = page_up(notes + notes_size);
    struct tm_error *error = put_head(&file, headers);
    if (!error)
        error = put_headers(core, &file, notes, notes_size, zeros, zeros + ZEROS);
    if (!error)
        error = put(&file, bytes, notes_size);
    if (!error)
        error = pad(&file, zeros + ZEROS);
    if (!error)
        error = put_data(core, &file, bytes);
    free(bytes);
    *size = file.at;
    return error;
}
