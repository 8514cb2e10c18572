// Every length in a note is checked against the bytes that are there.

#include "process/notes.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "layout/recorder_file.h"

// NT_FILE: the number of rows and the unit of the offsets, the rows (start, end, offset), then the names.
enum { FILES_HEAD = 16, FILES_ROW = 24 };

static bool is_memory_file(const char *name, size_t length)
{
    static const char *const beginnings[] = {"/dev/zero", "/memfd:", "/dev/shm/", "/SYSV"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
        if (length >= strlen(beginnings[i]) && memcmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static bool read_files(struct tm_notes *notes, const unsigned char *bytes, size_t length)
{
    if (length < FILES_HEAD)
        return true;
    uint64_t count = tm_load_u64(bytes), unit = tm_load_u64(bytes + 8);
    if (count > (length - FILES_HEAD) / FILES_ROW)
        count = (length - FILES_HEAD) / FILES_ROW;
    const char *name = (const char *)bytes + FILES_HEAD + count * FILES_ROW, *end = (const char *)bytes + length;
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *row = bytes + FILES_HEAD + i * FILES_ROW;
        size_t name_length = strnlen(name, (size_t)(end - name));
        if (!TM_GROW(&notes->files, notes->count + 1, &notes->capacity))
            return false;
        struct tm_mapped_file *file = &notes->files[notes->count++];
        *file = (struct tm_mapped_file){.start = tm_load_u64(row),
                                        .end = tm_load_u64(row + 8),
                                        .offset = tm_load_u64(row + 16) * unit,
                                        .is_memory = is_memory_file(name, name_length)};
        size_t kept = name_length < sizeof(file->path) ? name_length : sizeof(file->path) - 1;
        memcpy(file->path, name + name_length - kept, kept);
        name += name_length + (name + name_length < end);
    }
    return true;
}

// struct elf_prstatus: the thread's number and its general registers. How many there are depends on the machine.
static bool read_thread(struct tm_notes *notes, unsigned machine, const unsigned char *bytes, size_t length)
{
    enum { SIGNAL = 12, NUMBER = 32, REGISTERS = 112 };
    uint32_t count = machine == EM_X86_64 ? 27 : machine == EM_AARCH64 ? 34 : 0;
    uint32_t stack_pointer = machine == EM_X86_64 ? 19 : 31;
    if (count == 0 || length < REGISTERS + 8 * (size_t)count)
        return true;
    if (!TM_GROW(&notes->threads, notes->thread_count + 1, &notes->thread_capacity))
        return false;
    if (notes->thread_count == 0)
        notes->signal = bytes[SIGNAL] | (uint32_t)bytes[SIGNAL + 1] << 8;
    struct tm_thread *thread = &notes->threads[notes->thread_count++];
    *thread = (struct tm_thread){.id = tm_load_u32(bytes + NUMBER), .register_count = count};
    for (uint32_t i = 0; i < count; i++)
        thread->registers[i] = tm_load_u64(bytes + REGISTERS + 8 * (size_t)i);
    thread->stack_pointer = thread->registers[stack_pointer];
    return true;
}

static bool is_own(const Elf64_Nhdr *head, const unsigned char *name)
{
    return head->n_namesz == sizeof(TM_RECORDER_NOTE) && memcmp(name, TM_RECORDER_NOTE, sizeof(TM_RECORDER_NOTE)) == 0;
}

// The first one counts.
static void read_own(struct tm_notes *notes, uint32_t type, const unsigned char *bytes, size_t length)
{
    struct tm_own_note *own = &notes->own;
    if (own->type != 0 || type == 0)
        return;
    own->type = type;
    own->length = (uint32_t)(length < sizeof(own->bytes) ? length : sizeof(own->bytes));
    memcpy(own->bytes, bytes, own->length);
}

bool tm_notes_read(struct tm_notes *notes, unsigned machine, const unsigned char *bytes, size_t length)
{
    Elf64_Nhdr head;
    while (length >= sizeof(head)) {
        memcpy(&head, bytes, sizeof(head));
        uint64_t name_size = ((uint64_t)head.n_namesz + 3) & ~UINT64_C(3);
        uint64_t size = ((uint64_t)head.n_descsz + 3) & ~UINT64_C(3);
        uint64_t left = length - sizeof(head);
        if (name_size > left || head.n_descsz > left - name_size)
            break;
        const unsigned char *data = bytes + sizeof(head) + name_size;
        uint32_t process;
        if (is_own(&head, bytes + sizeof(head))) {
            read_own(notes, head.n_type, data, head.n_descsz);
        } else if (head.n_type == NT_PRPSINFO &&
                   head.n_descsz >= offsetof(struct elf_prpsinfo, pr_pid) + sizeof(process)) {
            memcpy(&process, data + offsetof(struct elf_prpsinfo, pr_pid), sizeof(process));
            notes->process = process;
        } else if ((head.n_type == NT_FILE && !read_files(notes, data, head.n_descsz)) ||
                   (head.n_type == NT_PRSTATUS && !read_thread(notes, machine, data, head.n_descsz))) {
            return false;
        }
        uint64_t step = sizeof(head) + name_size + size;
        if (step >= length)
            break;
        bytes += step;
        length -= (size_t)step;
    }
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct tm_mapped_file *one = a, *other = b;
    int order = tm_compare_numbers(one->start, other->start);
    return order ? order : tm_compare_numbers(one->end, other->end);
}

void tm_notes_sort(struct tm_notes *notes)
{
    if (notes->count)
        qsort(notes->files, notes->count, sizeof(notes->files[0]), by_start);
}

const struct tm_mapped_file *tm_notes_file_at(const struct tm_notes *notes, uint64_t address)
{
    size_t low = 0, high = notes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (notes->files[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && address < notes->files[low - 1].end ? &notes->files[low - 1] : NULL;
}

void tm_notes_deinit(struct tm_notes *notes)
{
    free(notes->files);
    free(notes->threads);
}
