// Reads a core's headers and notes, and memory out of its segments.

#define _GNU_SOURCE

#include "process/core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/base/text.h"
#include "process/notes.h"

// More than any kernel allows a process (vm.max_map_count), and still read in a moment.
#define MOST_SEGMENTS (UINT64_C(1) << 20)
// Bytes of notes to read. More notes than that would only add details.
#define MOST_NOTES (UINT64_C(64) << 20)
// Holes of a sparse file to look for. Beyond that all counts as data.
#define MOST_HOLES (1u << 20)
#define HEADERS_AT_ONCE 256
#define SECTION_INFO_END (offsetof(Elf64_Shdr, sh_info) + sizeof(Elf64_Word))

#define GIVE "Give a core written by the kernel or by gcore, or a snapshot file"

struct tm_printable tm_printable(const char *path)
{
    struct tm_printable result = {{0}};
    tm_escape_into(result.text, sizeof(result.text), path, strlen(path));
    return result;
}

// ---------------------------------------------------------------------------------------------------------------
// The file's bytes

// How many bytes were read; fewer than asked for at the end of the file, or where the disk fails.
static size_t read_at(int file, uint64_t offset, void *buffer, size_t length)
{
    size_t done = 0;
    while (done < length && offset + done <= INT64_MAX) {
        ssize_t count = pread(file, (char *)buffer + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

// The first range of data in [*at, end): *at becomes its end, and its beginning is returned.
static uint64_t next_data(int file, uint64_t *at, uint64_t end)
{
    off_t begin = lseek(file, (off_t)*at, SEEK_DATA);
    off_t hole = begin < 0 ? -1 : lseek(file, begin, SEEK_HOLE);
    uint64_t from = *at;

    if (hole < 0) {
        // ENXIO: only a hole is left. Anything else: this system does not know holes.
        *at = end;
        return errno == ENXIO ? end : from;
    }
    if ((uint64_t)begin < from || (uint64_t)begin >= end)
        return *at = end;
    *at = (uint64_t)hole > end ? end : (uint64_t)hole > (uint64_t)begin ? (uint64_t)hole : (uint64_t)begin + 1;
    return (uint64_t)begin;
}

// Holes do not count: the kernel leaves out pages that were never used.
static uint64_t count_data(int file, uint64_t at, uint64_t end, unsigned *steps)
{
    uint64_t total = 0;
    while (at < end) {
        uint64_t begin = at;
        if (++*steps < MOST_HOLES)
            begin = next_data(file, &at, end);
        else
            at = end;
        total += at - begin;
    }
    return total;
}

// ---------------------------------------------------------------------------------------------------------------
// Which file this is

static const char *compression_of(const unsigned char *start, size_t length)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *program;
    } kinds[] = {{"\x1f\x8b", 2, "gzip"},
                 {"\x28\xb5\x2f\xfd", 4, "zstd"},
                 {"\xfd"
                  "7zXZ",
                  5, "xz"},
                 {"\x04\x22\x4d\x18", 4, "lz4"},
                 {"BZh", 3, "bzip2"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (length >= kinds[i].length && memcmp(start, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].program;
    return NULL;
}

static struct tm_error *refuse(const char *format, const char *path, const char *what)
{
    return tm_error_create(TM_ERROR_NO_TARGET, format, path, what);
}

static struct tm_error *check_start(const char *path, const unsigned char *start, size_t length)
{
    if (length == 0)
        return refuse("%s is empty, so not a core file%s", path, "");
    if (length < SELFMAG || memcmp(start, ELFMAG, SELFMAG) != 0) {
        const char *program = compression_of(start, length);
        if (program)
            return tm_error_create(TM_ERROR_NO_TARGET,
                                   "%s is compressed by %s, and no debugger can read it\nDecompress it: %s -d < %s > "
                                   "NEW-FILE\nIf it is systemd-coredump's: coredumpctl dump PID -o NEW-FILE",
                                   path, program, program, path);
        return refuse("%s is not a core file: it does not begin as an ELF file does\n%s", path, GIVE);
    }
    if (length > EI_DATA && start[EI_CLASS] == ELFCLASS32)
        return refuse("the core file %s is of another architecture: %s; only 64-bit cores can be read", path, "32-bit");
    if (length > EI_DATA && start[EI_DATA] == ELFDATA2MSB)
        return refuse("the core file %s is of another architecture: %s; only little-endian cores can be read", path,
                      "big-endian");
    if (length < sizeof(Elf64_Ehdr))
        return refuse("%s is not a usable core file: %s", path, "it ends inside its ELF header");
    return NULL;
}

static const char *kind_name(unsigned kind)
{
    switch (kind) {
    case ET_REL:
        return "an object file";
    case ET_EXEC:
        return "a program";
    case ET_DYN:
        return "a program or a shared library";
    default:
        return "an ELF file of another kind";
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Headers

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool add_segment(struct tm_core *core, const Elf64_Phdr *header)
{
    uint64_t size = (uint64_t)core->status.st_size;
    uint64_t in_file = size > header->p_offset ? size - header->p_offset : 0;
    uint64_t held = min(header->p_filesz, in_file);
    uint64_t most = header->p_memsz > header->p_filesz ? header->p_memsz : header->p_filesz;

    core->missing = tm_add_saturating(core->missing, header->p_filesz - held);
    if (!TM_GROW(&core->segments, core->count + 1, &core->capacity))
        return false;
    struct tm_segment *segment = &core->segments[core->count++];
    *segment = (struct tm_segment){.start = header->p_vaddr,
                                   .end = tm_add_saturating(header->p_vaddr, most),
                                   .offset = header->p_offset,
                                   .readable = header->p_flags & PF_R,
                                   .writable = header->p_flags & PF_W};
    segment->held_end = min(tm_add_saturating(segment->start, held), segment->end);
    segment->file_end = min(tm_add_saturating(segment->start, header->p_filesz), segment->end);
    return true;
}

// Reads the notes of one segment into `notes`, as many bytes as the limit leaves.
static bool add_notes(struct tm_core *core, unsigned machine, const Elf64_Phdr *header, struct tm_notes *notes,
                      uint64_t *left)
{
    uint64_t size = (uint64_t)core->status.st_size;
    uint64_t there = size > header->p_offset ? size - header->p_offset : 0;
    size_t length = (size_t)min(min(header->p_filesz, there), *left);
    unsigned char *bytes = malloc(length ? length : 1);
    if (!bytes)
        return false;
    length = read_at(core->file, header->p_offset, bytes, length);
    *left -= length;
    bool is_fine = tm_notes_read(notes, machine, bytes, length);
    free(bytes);
    return is_fine;
}

static bool read_table(struct tm_core *core, const Elf64_Ehdr *head, uint64_t count, struct tm_notes *notes)
{
    Elf64_Phdr headers[HEADERS_AT_ONCE];
    uint64_t notes_left = MOST_NOTES;

    for (uint64_t done = 0; done < count;) {
        size_t wanted = (size_t)min(count - done, HEADERS_AT_ONCE);
        size_t length =
            read_at(core->file, head->e_phoff + done * sizeof(headers[0]), headers, wanted * sizeof(headers[0]));
        size_t there = length / sizeof(headers[0]);
        for (size_t i = 0; i < there; i++) {
            if (headers[i].p_type == PT_LOAD && !add_segment(core, &headers[i]))
                return false;
            if (headers[i].p_type == PT_NOTE && !add_notes(core, head->e_machine, &headers[i], notes, &notes_left))
                return false;
        }
        if (there < wanted)
            break;
        done += there;
    }
    return true;
}

// The number of program headers if e_phnum is too small for it: it is in section header 0.
static uint64_t extended_count(const struct tm_core *core, const Elf64_Ehdr *head)
{
    Elf64_Shdr section;
    if (head->e_shentsize < SECTION_INFO_END ||
        read_at(core->file, head->e_shoff, &section, SECTION_INFO_END) < SECTION_INFO_END)
        return PN_XNUM;
    return section.sh_info;
}

static struct tm_error *read_headers(struct tm_core *core, struct tm_notes *notes)
{
    Elf64_Ehdr head = {0};
    struct tm_printable path = tm_printable(core->path);
    uint64_t size = (uint64_t)core->status.st_size;

    struct tm_error *error =
        check_start(path.text, (unsigned char *)&head, read_at(core->file, 0, &head, sizeof(head)));
    if (error)
        return error;
    if (head.e_type != ET_CORE)
        return tm_error_create(TM_ERROR_NO_TARGET, "%s is %s, not a core file\n" GIVE, path.text,
                               kind_name(head.e_type));
    uint64_t count = head.e_phnum == PN_XNUM ? extended_count(core, &head) : head.e_phnum;
    if (count && head.e_phentsize != sizeof(Elf64_Phdr))
        return tm_error_create(TM_ERROR_NO_TARGET,
                               "%s is not a usable core file: its program headers have %u bytes, not %zu", path.text,
                               head.e_phentsize, sizeof(Elf64_Phdr));
    uint64_t room = size > head.e_phoff ? (size - head.e_phoff) / sizeof(Elf64_Phdr) : 0;
    count = min(min(count, MOST_SEGMENTS), room);
    if (!count)
        return tm_error_create(TM_ERROR_NO_TARGET,
                               "%s is not a usable core file: it has no program headers, or ends before them",
                               path.text);
    return read_table(core, &head, count, notes) ? NULL : tm_error_no_memory();
}

static int by_start(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_segment *)a)->start, ((const struct tm_segment *)b)->start);
}

static void learn(struct tm_core *core, struct tm_notes *notes)
{
    if (core->count)
        qsort(core->segments, core->count, sizeof(core->segments[0]), by_start);
    tm_notes_sort(notes);
    core->process = notes->process;
    for (size_t i = 0; i < core->count; i++) {
        const struct tm_mapped_file *file = tm_notes_file_at(notes, core->segments[i].start);
        core->segments[i].is_file = file;
        core->segments[i].is_memory = file && file->is_memory;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Opening

static struct tm_error *cannot_open(const char *path)
{
    int number = errno;
    return tm_error_create(TM_ERROR_NO_TARGET, "cannot open the core file %s: %s", tm_printable(path).text,
                           strerror(number));
}

struct tm_error *tm_core_open(const char *path, struct tm_core **result)
{
    struct stat status;

    if (stat(path, &status) != 0) // opening a pipe would wait
        return cannot_open(path);
    if (S_ISDIR(status.st_mode))
        return refuse("%s is a directory, not a core file%s", tm_printable(path).text, "");
    if (!S_ISREG(status.st_mode))
        return refuse("%s is not a regular file, so not a core file%s", tm_printable(path).text, "");
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return file < 0 ? cannot_open(path) : tm_core_open_file(file, path, result);
}

bool tm_core_is_recorder(const struct tm_core *core, struct tm_recorder_note *note)
{
    return tm_recorder_note(&core->notes, note);
}

bool tm_core_is_saved(const struct tm_core *core, struct tm_saved_note *note)
{
    const struct tm_own_note *own = &core->notes.own;
    if (own->type != TM_SAVED_NOTE_TYPE || own->length < sizeof(*note))
        return false;
    memcpy(note, own->bytes, sizeof(*note));
    return note->version == TM_SAVED_VERSION;
}

static struct tm_error *check_own_note(const struct tm_core *core)
{
    struct tm_recorder_note recorder;
    struct tm_saved_note saved;
    if (core->notes.own.type == 0 || tm_core_is_recorder(core, &recorder) || tm_core_is_saved(core, &saved))
        return NULL;
    return tm_error_create(TM_ERROR_NO_TARGET,
                           "%s has the trace table of a process in a form that this tracemortem does not know\n"
                           "Read it with the tracemortem whose tracer wrote it",
                           tm_printable(core->path).text);
}

bool tm_core_refresh(struct tm_core *core)
{
    struct stat now;
    if (fstat(core->file, &now) != 0 || now.st_size == core->status.st_size)
        return false;
    struct tm_core fresh = {.file = core->file, .status = now, .path = core->path};
    struct tm_error *error = read_headers(&fresh, &fresh.notes);
    if (error) {
        tm_error_destroy(error);
        tm_notes_deinit(&fresh.notes);
        free(fresh.segments);
        return false;
    }
    learn(&fresh, &fresh.notes);
    tm_constants_deinit(&core->constants);
    tm_notes_deinit(&core->notes);
    free(core->segments);
    core->status = now;
    core->segments = fresh.segments;
    core->count = fresh.count;
    core->capacity = fresh.capacity;
    core->missing = fresh.missing;
    core->notes = fresh.notes;
    core->process = fresh.process;
    return true;
}

struct tm_error *tm_core_open_file(int file, const char *path, struct tm_core **result)
{
    struct tm_core *core = calloc(1, sizeof(*core));
    if (core)
        core->path = strdup(path);
    if (!core || !core->path) {
        free(core);
        close(file);
        return tm_error_no_memory();
    }
    core->file = file;
    struct tm_error *error = fstat(file, &core->status) != 0 ? cannot_open(path) : read_headers(core, &core->notes);
    if (!error)
        learn(core, &core->notes);
    if (!error)
        error = check_own_note(core);
    if (error)
        tm_core_close(core);
    else
        *result = core;
    return error;
}

void tm_core_close(struct tm_core *core)
{
    if (!core)
        return;
    tm_core_close(core->table);
    close(core->file);
    tm_constants_deinit(&core->constants);
    tm_notes_deinit(&core->notes);
    free(core->segments);
    free(core->path);
    free(core);
}

bool tm_core_is_changed(const struct tm_core *core)
{
    struct stat now;
    return fstat(core->file, &now) != 0 || now.st_size != core->status.st_size ||
           now.st_mtim.tv_sec != core->status.st_mtim.tv_sec || now.st_mtim.tv_nsec != core->status.st_mtim.tv_nsec;
}

// ---------------------------------------------------------------------------------------------------------------
// The engine's callbacks

// The last segment that begins at this address or before it; NULL if there is no such segment.
static const struct tm_segment *segment_before(const struct tm_core *core, uint64_t address)
{
    size_t low = 0, high = core->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (core->segments[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &core->segments[low - 1] : NULL;
}

// How many bytes from this address on are in the file, of one segment; 0: none.
static size_t read_held(void *context, uint64_t address, void *buffer, size_t length)
{
    const struct tm_core *core = context;
    const struct tm_segment *segment = segment_before(core, address);
    if (!segment || address >= segment->held_end)
        return 0;
    uint64_t piece = min(length, segment->held_end - address), inside = address - segment->start;
    return segment->offset > UINT64_MAX - inside ? 0
                                                 : read_at(core->file, segment->offset + inside, buffer, (size_t)piece);
}

// Where the next segment begins above this address, but `end` at most.
static uint64_t next_segment(const struct tm_core *core, uint64_t address, uint64_t end)
{
    const struct tm_segment *segment = segment_before(core, address);
    size_t next = segment ? (size_t)(segment - core->segments) + 1 : 0;
    return next < core->count && core->segments[next].start < end ? core->segments[next].start : end;
}

static size_t read_constant(struct tm_core *core, uint64_t address, void *buffer, size_t length)
{
    const struct tm_segment *segment = segment_before(core, address);
    if (segment && address < segment->end && segment->writable)
        return 0;
    return tm_constant_read(&core->constants, &core->notes, read_held, core, address, buffer,
                            (size_t)(next_segment(core, address, address + length) - address));
}

// From the recorder's file that the core names: what the core lacks of the table.
static size_t read_named(const struct tm_core *core, uint64_t address, void *buffer, size_t length)
{
    size_t most = (size_t)(next_segment(core, address, address + length) - address);
    size_t done = core->table ? read_held(core->table, address, buffer, most) : 0;
    return done == 0 && core->table && tm_core_refresh(core->table) ? read_held(core->table, address, buffer, most)
                                                                    : done;
}

size_t tm_core_read_held(const struct tm_core *core, uint64_t address, void *buffer, size_t length)
{
    return read_held((void *)core, address, buffer, length);
}

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length);

// A recorder's file grows while its process lives.
static int read_grown(struct tm_core *core, uint64_t address, void *buffer, uint64_t length)
{
    struct tm_recorder_note note;
    return tm_core_is_recorder(core, &note) && tm_core_refresh(core) ? read_memory(core, address, buffer, length) : -1;
}

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    struct tm_core *core = context;
    unsigned char *to = buffer;

    if (length && address > UINT64_MAX - length)
        return -1;
    while (length) {
        size_t done = read_held(core, address, to, (size_t)length);
        if (done == 0)
            done = read_named(core, address, to, (size_t)length);
        if (done == 0)
            done = read_constant(core, address, to, (size_t)length);
        if (done == 0)
            return read_grown(core, address, to, length);
        address += done;
        to += done;
        length -= done;
    }
    return 0;
}

static void add_region(struct tm_region *regions, size_t capacity, size_t *count, const struct tm_region *region)
{
    if ((*count)++ < capacity)
        regions[*count - 1] = *region;
}

// What was mapped from a file and has no segment, since nothing of it was dumped. Files are ascending; where those of a
// damaged core overlap, the part before `from` was added with another. Returns how far it went.
static uint64_t add_unlisted(const struct tm_core *core, const struct tm_mapped_file *file, uint64_t from,
                             struct tm_region *regions, size_t capacity, size_t *count)
{
    uint64_t start = file->start > from ? file->start : from;
    while (start < file->end) {
        const struct tm_segment *segment = segment_before(core, start);
        bool inside = segment && start < segment->end;
        uint64_t end = inside ? segment->end : next_segment(core, start, file->end);
        if (end > file->end)
            end = file->end;
        const struct tm_region region = {
            .start = start, .end = end, .flags = TM_REGION_READABLE | TM_REGION_FILE | TM_REGION_ABSENT};
        if (!inside)
            add_region(regions, capacity, count, &region);
        start = end;
    }
    return start;
}

static int by_region_start(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_region *)a)->start, ((const struct tm_region *)b)->start);
}

static size_t list_regions(void *context, struct tm_region *regions, size_t capacity)
{
    const struct tm_core *core = context;
    size_t count = 0;
    uint64_t end = 0;

    for (size_t i = 0; i < core->count; i++) {
        const struct tm_segment *segment = &core->segments[i];
        uint32_t flags = (segment->readable ? TM_REGION_READABLE : 0) | (segment->writable ? TM_REGION_WRITABLE : 0) |
                         (segment->is_file ? TM_REGION_FILE : 0);
        if (segment->held_end > segment->start && count++ < capacity)
            regions[count - 1] = (struct tm_region){.start = segment->start, .end = segment->held_end, .flags = flags};
        if (segment->end > segment->held_end && count++ < capacity)
            regions[count - 1] =
                (struct tm_region){.start = segment->held_end, .end = segment->end, .flags = flags | TM_REGION_ABSENT};
    }
    for (size_t i = 0; i < core->notes.count; i++)
        end = add_unlisted(core, &core->notes.files[i], end, regions, capacity, &count);
    if (count > 0 && count <= capacity)
        qsort(regions, count, sizeof(*regions), by_region_start);
    return count;
}

static const char *why_missing(void *context, uint64_t address)
{
    struct tm_core *core = context;
    const struct tm_segment *segment = segment_before(core, address);
    const char *why = tm_constant_why(&core->constants, &core->notes, address);

    if (why)
        return why;
    if (!segment || address >= segment->end)
        return "the core file has no such memory, it was not mapped or is left out";
    if (segment->held_end < segment->file_end && address < segment->file_end) {
        struct tm_recorder_note note;
        snprintf(core->why, sizeof(core->why), "the %s is cut short, %llu bytes of memory are missing from its end",
                 tm_core_is_recorder(core, &note) ? "recorder's file" : "core file", (unsigned long long)core->missing);
        return core->why;
    }
    return "left out when the core was written, perhaps by coredump_filter";
}

static uint32_t process_id(void *context)
{
    return ((const struct tm_core *)context)->process;
}

static uint64_t private_memory(void *context, uint32_t *kind)
{
    struct tm_core *core = context;
    struct tm_recorder_note recorder;
    struct tm_saved_note saved;
    unsigned steps = 0;

    if (tm_core_is_recorder(core, &recorder))
        return 0;
    if (tm_core_is_saved(core, &saved)) {
        *kind = saved.private_kind;
        return saved.private_bytes;
    }
    *kind = TM_PRIVATE_IN_CORE;
    for (size_t i = 0; i < core->count && !core->counted; i++) {
        const struct tm_segment *segment = &core->segments[i];
        if (segment->writable && (segment->is_memory || !segment->is_file))
            core->private_bytes = tm_add_saturating(
                core->private_bytes, count_data(core->file, segment->offset,
                                                segment->offset + (segment->held_end - segment->start), &steps));
    }
    core->counted = true;
    return core->private_bytes;
}

static size_t list_threads(void *context, struct tm_thread *threads, size_t capacity)
{
    const struct tm_notes *notes = &((const struct tm_core *)context)->notes;
    for (size_t i = 0; i < notes->thread_count && i < capacity; i++)
        threads[i] = notes->threads[i];
    return notes->thread_count;
}

static size_t list_modules(void *context, struct tm_module *modules, size_t capacity)
{
    const struct tm_notes *notes = &((const struct tm_core *)context)->notes;
    for (size_t i = 0; i < notes->count && i < capacity; i++) {
        const struct tm_mapped_file *file = &notes->files[i];
        modules[i] = (struct tm_module){.start = file->start, .end = file->end, .offset = file->offset};
        memcpy(modules[i].path, file->path, sizeof(modules[i].path));
    }
    return notes->count;
}

static uint64_t nanoseconds(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * UINT64_C(1000000000) + (uint64_t)time->tv_nsec;
}

// What the recorder's file says of itself now.
static void tell_recorder(struct tm_core *file, struct tm_backing *backing)
{
    struct tm_recorder_note note;
    struct stat now;
    unsigned char page[2 * TM_RECORDER_NOTES];
    struct tm_notes notes = {.process = 0};

    if (!tm_core_is_recorder(file, &note))
        return;
    // The note changes when the process ends.
    size_t length = read_at(file->file, TM_RECORDER_NOTES, page, sizeof(page));
    if (tm_notes_read(&notes, 0, page, length) && notes.own.type == TM_RECORDER_NOTE_TYPE)
        file->notes.own = notes.own;
    tm_notes_deinit(&notes);
    if (!tm_core_is_recorder(file, &note))
        return;
    backing->life = tm_recorder_life(file->file, &note);
    if (fstat(file->file, &now) == 0)
        backing->file_changed = nanoseconds(&now.st_mtim);
    backing->note_length = file->notes.own.length;
    memcpy(backing->note, file->notes.own.bytes, file->notes.own.length);
    tm_escape_into(backing->file, sizeof(backing->file), file->path, strlen(file->path));
}

// The signals by which the kernel makes a core. (SIGTRAP may be a debugger's.)
static bool ends_with_core(uint32_t signal)
{
    switch (signal) {
    case SIGQUIT:
    case SIGILL:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGXCPU:
    case SIGXFSZ:
    case SIGSYS:
        return true;
    default:
        return false;
    }
}

static void tell_backing(void *context, struct tm_backing *backing)
{
    struct tm_core *core = context;
    struct tm_recorder_note recorder;
    struct tm_saved_note saved;
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) == 0)
        backing->now = nanoseconds(&now);
    backing->moment = nanoseconds(&core->status.st_mtim);
    backing->kind = TM_BACKING_CORE;
    backing->crashed = ends_with_core(core->notes.signal);
    if (tm_core_is_recorder(core, &recorder)) {
        backing->kind = TM_BACKING_RECORDER;
        tell_recorder(core, backing);
    } else if (tm_core_is_saved(core, &saved)) {
        backing->kind = TM_BACKING_SAVED;
        backing->moment = saved.moment;
        backing->note_length = core->notes.own.length;
        memcpy(backing->note, core->notes.own.bytes, core->notes.own.length);
    } else if (core->table) {
        tell_recorder(core->table, backing);
    } else {
        tm_escape_into(backing->file, sizeof(backing->file), core->table_path, strlen(core->table_path));
        snprintf(backing->why, sizeof(backing->why), "%s", core->table_why);
    }
}

const struct tm_target_callbacks tm_core_callbacks = {
    .read = read_memory,
    .regions = list_regions,
    .why_missing = why_missing,
    .process = process_id,
    .private_memory = private_memory,
    .threads = list_threads,
    .modules = list_modules,
    .backing = tell_backing,
};
