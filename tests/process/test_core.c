/**
 * Cores: which files are refused and why, and which bytes of memory a file holds. Strategy: made-up ELF files, whole, cut
 * at each byte, and with each byte changed. Real cores are read in test_command.py.
 */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "process/core.h"
#include "process/table_file.h"

enum { PAGE = 256, MOST = 16384 };

// A file that is being made.
struct made {
    unsigned char bytes[MOST];
    size_t size;
    Elf64_Ehdr head;
    Elf64_Phdr headers[8];
    unsigned count;
};

static void begin(struct made *made, unsigned count)
{
    memset(made, 0, sizeof(*made));
    memcpy(made->head.e_ident, ELFMAG, SELFMAG);
    made->head.e_ident[EI_CLASS] = ELFCLASS64;
    made->head.e_ident[EI_DATA] = ELFDATA2LSB;
    made->head.e_type = ET_CORE;
    made->head.e_machine = EM_X86_64;
    made->head.e_phoff = sizeof(made->head);
    made->head.e_phentsize = sizeof(made->headers[0]);
    made->head.e_phnum = (Elf64_Half)count;
    made->size = sizeof(made->head) + count * sizeof(made->headers[0]);
}

static void add(struct made *made, uint32_t type, uint64_t start, uint64_t memory_size, const void *data, size_t length,
                uint32_t flags)
{
    made->headers[made->count++] = (Elf64_Phdr){.p_type = type,
                                                .p_flags = flags,
                                                .p_offset = made->size,
                                                .p_vaddr = start,
                                                .p_filesz = length,
                                                .p_memsz = memory_size};
    memcpy(made->bytes + made->size, data, length);
    made->size += length;
}

static void add_filled(struct made *made, uint64_t start, uint64_t memory_size, char fill, size_t length,
                       uint32_t flags)
{
    char data[4 * PAGE];
    memset(data, fill, sizeof(data));
    add(made, PT_LOAD, start, memory_size, data, length, flags);
}

static size_t add_note(unsigned char *to, uint32_t type, const void *data, size_t length)
{
    const Elf64_Nhdr head = {5, (Elf64_Word)length, type};
    memcpy(to, &head, sizeof(head));
    memcpy(to + sizeof(head), "CORE\0\0\0", 8);
    memcpy(to + sizeof(head) + 8, data, length);
    return sizeof(head) + 8 + (length + 3) / 4 * 4;
}

static int file_of(const struct made *made, size_t size)
{
    unsigned char bytes[MOST];
    int file = memfd_create("core", MFD_CLOEXEC);
    memcpy(bytes, made->bytes, MOST);
    memcpy(bytes, &made->head, sizeof(made->head));
    memcpy(bytes + sizeof(made->head), made->headers, made->count * sizeof(made->headers[0]));
    assert_true(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    return file;
}

static struct tm_core *opened(const struct made *made, size_t size)
{
    struct tm_core *core = NULL;
    assert_null(tm_core_open_file(file_of(made, size), "made.core", &core));
    return core;
}

static bool holds(struct tm_core *core, uint64_t address, uint64_t length)
{
    static char buffer[16 * PAGE];
    return tm_core_callbacks.read(core, address, buffer, length) == 0;
}

static void assert_refused(int file, const char *expected)
{
    struct tm_core *core = NULL;
    struct tm_error *error = tm_core_open_file(file, "made.core", &core);
    assert_non_null(error);
    if (!strstr(tm_error_message(error), expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, tm_error_message(error));
    tm_error_destroy(error);
}

static int file_with(const char *bytes, size_t length)
{
    int file = memfd_create("core", MFD_CLOEXEC);
    assert_true(file >= 0 && write(file, bytes, length) == (ssize_t)length);
    return file;
}

// ---------------------------------------------------------------------------------------------------------------

static void test_it_holds_exactly_the_bytes_that_the_file_has(void **state)
{
    struct made made;
    (void)state;
    begin(&made, 2);
    add_filled(&made, 0x10000, 3 * PAGE, 'x', PAGE, PF_R | PF_W);
    add_filled(&made, 0x40000, PAGE, 0, 0, PF_R);
    struct tm_core *core = opened(&made, made.size);
    assert_true(holds(core, 0x10000, PAGE) && holds(core, 0x10000 + PAGE - 1, 1) && holds(core, 0x10001, PAGE - 1));
    assert_false(holds(core, 0x10000, PAGE + 1)); // the segment goes on, the file does not
    assert_false(holds(core, 0x10000 + PAGE, 1) || holds(core, 0xffff, 1) || holds(core, 0x40000, 1));
    assert_false(holds(core, UINT64_MAX, 2));

    struct tm_region regions[8];
    assert_int_equal(tm_core_callbacks.regions(core, regions, 8), 3);
    assert_int_equal(tm_core_callbacks.regions(core, regions, 1), 3); // as many as there are
    assert_int_equal(regions[0].end, 0x10000 + PAGE);
    assert_int_equal(regions[0].flags, TM_REGION_READABLE | TM_REGION_WRITABLE);
    assert_int_equal(regions[1].flags, TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_ABSENT);
    assert_int_equal(regions[2].flags, TM_REGION_READABLE | TM_REGION_ABSENT);
    assert_int_equal(core->missing, 0);
    tm_core_close(core);
}

static void test_a_read_may_cross_adjacent_segments_but_no_gap(void **state)
{
    static const uint64_t starts[] = {0x10000 + PAGE, 0x10000, 0x10000 + 3 * PAGE};
    struct made made;
    char buffer[2 * PAGE];
    (void)state;
    begin(&made, 3);
    for (unsigned i = 0; i < 3; i++)
        add_filled(&made, starts[i], PAGE, (char)('a' + i), PAGE, PF_R);
    struct tm_core *core = opened(&made, made.size);
    assert_int_equal(tm_core_callbacks.read(core, 0x10000, buffer, 2 * PAGE), 0);
    assert_true(buffer[0] == 'b' && buffer[PAGE - 1] == 'b' && buffer[PAGE] == 'a');
    assert_false(holds(core, 0x10000, 2 * PAGE + 1) || holds(core, 0x10000 + 3 * PAGE - 1, 2));
    tm_core_close(core);
}

static void test_why_a_byte_is_missing(void **state)
{
    struct made made;
    (void)state;
    begin(&made, 2);
    add_filled(&made, 0x10000, 2 * PAGE, 'a', PAGE, PF_R);
    add_filled(&made, 0x20000, PAGE, 'b', PAGE, PF_R);
    struct tm_core *core = opened(&made, made.size - 100);
    assert_int_equal(core->missing, 100);
    assert_true(holds(core, 0x20000, PAGE - 100) && !holds(core, 0x20000, PAGE - 99));
    assert_non_null(strstr(tm_core_callbacks.why_missing(core, 0x10000 + PAGE), "left out when the core was written"));
    assert_non_null(strstr(tm_core_callbacks.why_missing(core, 0x20000 + PAGE - 100), "is cut short, 100 bytes"));
    assert_non_null(strstr(tm_core_callbacks.why_missing(core, 0x10000 + 2 * PAGE), "no such memory"));
    assert_non_null(strstr(tm_core_callbacks.why_missing(core, 0), "no such memory"));
    tm_core_close(core);
}

static void test_notes_say_which_process_and_what_was_mapped_from_files(void **state)
{
    unsigned char notes[1024];
    struct elf_prpsinfo process = {.pr_pid = 77};
    struct {
        uint64_t count, unit, rows[2][3];
        char names[32];
    } files = {2, 1, {{0x20000, 0x20000 + PAGE, 0}, {0x30000, 0x30000 + PAGE, 0}}, "/tmp/old.core\0/memfd:x"};
    struct made made;
    uint32_t kind = 0;
    (void)state;
    size_t length = add_note(notes, 1, "0123456789", 10);
    length += add_note(notes + length, NT_PRPSINFO, &process, sizeof(process));
    length += add_note(notes + length, NT_FILE, &files, sizeof(files));
    begin(&made, 4);
    for (unsigned i = 1; i <= 3; i++)
        add_filled(&made, 0x10000 * i, PAGE, 'a', PAGE, PF_R | PF_W);
    add(&made, PT_NOTE, 0, 0, notes, length, 0);
    struct tm_core *core = opened(&made, made.size);
    assert_int_equal(tm_core_callbacks.process(core), 77);
    assert_false(core->segments[0].is_file || core->segments[1].is_memory);
    assert_true(core->segments[1].is_file && core->segments[2].is_file && core->segments[2].is_memory);
    assert_int_equal(tm_core_callbacks.private_memory(core, &kind), 2 * PAGE);
    assert_int_equal(kind, TM_PRIVATE_IN_CORE);
    tm_core_close(core);
}

// Each gap between segments is one region, however many rows have it: to go through all gaps for each row would take for
// ever in a core made for that.
static void test_rows_of_files_that_overlap_are_gone_through_once(void **state)
{
    enum { ROWS = 100 };
    unsigned char notes[ROWS * 24 + 64];
    struct {
        uint64_t count, unit, rows[ROWS][3];
    } files = {.count = ROWS, .unit = 1};
    struct tm_region regions[16];
    struct made made;
    (void)state;
    for (unsigned i = 0; i < ROWS; i++) {
        files.rows[i][0] = 0x10000 + i % 2;
        files.rows[i][1] = i % 3 ? 0x30000 : 0x38000;
    }
    begin(&made, 3);
    add_filled(&made, 0x10000, PAGE, 'a', PAGE, PF_R);
    add_filled(&made, 0x20000, PAGE, 'a', PAGE, PF_R);
    add(&made, PT_NOTE, 0, 0, notes, add_note(notes, NT_FILE, &files, sizeof(files)), 0);
    struct tm_core *core = opened(&made, made.size);
    assert_int_equal(core->notes.count, ROWS);
    assert_int_equal(tm_core_callbacks.regions(core, regions, 16), 5);
    assert_int_equal(regions[1].start, 0x10000 + PAGE);
    assert_int_equal(regions[1].end, 0x20000);
    assert_int_equal(regions[1].flags, TM_REGION_READABLE | TM_REGION_FILE | TM_REGION_ABSENT);
    assert_int_equal(regions[3].start, 0x20000 + PAGE);
    assert_int_equal(regions[4].end, 0x38000);
    tm_core_close(core);
}

// Bytes that this process has read so far.
static unsigned long read_so_far(void)
{
    unsigned long bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    if (!file || fscanf(file, "rchar: %lu", &bytes) != 1)
        skip();
    fclose(file);
    return bytes;
}

// What it takes to look at the files which a core names in 80 rows: at itself, by as many names as are wanted.
static void look_at_named(unsigned names, unsigned long *one, unsigned long *all)
{
    enum { ROWS = 80 };
    struct {
        uint64_t count, unit, rows[ROWS][3];
        char names[MOST];
    } files = {.count = ROWS, .unit = 1};
    unsigned char notes[sizeof(files) + 64];
    struct made made;
    int kept = memfd_create("named", MFD_CLOEXEC);
    size_t length = 0;
    for (unsigned i = 0; i < ROWS; i++) {
        files.rows[i][0] = 0x50000 + i * 0x1000;
        files.rows[i][1] = files.rows[i][0] + 0x1000;
        length += 1 + (size_t)sprintf(
                          files.names + length, "/proc%.*s/self/fd/%d", (int)(i % names),
                          "/////////////////////////////////////////////////////////////////////////////////", kept);
    }
    begin(&made, 2);
    add_filled(&made, 0x10000, PAGE, 'a', PAGE, PF_R);
    add(&made, PT_NOTE, 0, 0, notes, add_note(notes, NT_FILE, &files, offsetof(typeof(files), names) + length), 0);
    int file = file_of(&made, made.size);
    assert_int_equal(dup3(file, kept, O_CLOEXEC), kept);
    unsigned long before = read_so_far();
    struct tm_core *core = NULL;
    assert_null(tm_core_open_file(file, "made.core", &core));
    unsigned long between = read_so_far();
    tm_core_find_table(core);
    *all = read_so_far() - between;
    *one = between - before;
    assert_null(core->table);
    tm_core_close(core);
    close(kept);
}

static void test_a_file_that_a_core_names_often_is_read_once(void **state)
{
    unsigned long one, all;
    (void)state;
    look_at_named(2, &one, &all);
    assert_true(one > 2000 && all > one && all < 4 * one);
}

static void test_a_core_that_names_many_cores_has_not_all_of_them_read(void **state)
{
    unsigned long one, all;
    (void)state;
    look_at_named(40, &one, &all);
    assert_true(all > 30 * one && all < 50 * one);
    look_at_named(80, &one, &all);
    assert_true(all > 60 * one && all < 70 * one);
}

static void test_holes_of_a_sparse_core_are_no_private_memory(void **state)
{
    enum { HOLE = 1 << 20 };
    char path[] = "/tmp/tm-test-core-XXXXXX"; // a file system that knows holes, or none is found
    struct made made;
    uint32_t kind;
    (void)state;
    begin(&made, 1);
    add_filled(&made, 0x10000, PAGE, 'a', PAGE, PF_R | PF_W);
    made.headers[0].p_filesz = made.headers[0].p_memsz = HOLE;
    int file = mkstemp(path);
    unlink(path);
    assert_true(write(file, &made.head, sizeof(made.head)) > 0 && ftruncate(file, 2 * HOLE) == 0);
    assert_true(pwrite(file, made.headers, sizeof(made.headers[0]), sizeof(made.head)) > 0);
    off_t hole = lseek(file, 0, SEEK_HOLE);
    struct tm_core *core = NULL;
    assert_null(tm_core_open_file(file, path, &core));
    uint64_t size = tm_core_callbacks.private_memory(core, &kind);
    assert_true(hole >= 2 * HOLE ? size == HOLE : size <= 65536);
    tm_core_close(core);
}

static void test_what_is_no_core_is_refused_with_the_reason(void **state)
{
    struct made made;
    (void)state;
    assert_refused(file_with("", 0), "is empty");
    assert_refused(file_with("hello", 5), "does not begin as an ELF file does");
    assert_refused(file_with("\x28\xb5\x2f\xfd....", 8), "zstd -d < made.core > NEW-FILE");
    begin(&made, 0);
    assert_refused(file_of(&made, 30), "ends inside its ELF header");
    assert_refused(file_of(&made, 64), "no program headers");
    begin(&made, 1);
    made.head.e_type = ET_DYN;
    assert_refused(file_of(&made, made.size), "a program or a shared library, not a core file");
    begin(&made, 1);
    made.head.e_ident[EI_CLASS] = ELFCLASS32;
    assert_refused(file_of(&made, made.size), "32-bit");
    begin(&made, 1);
    made.head.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_refused(file_of(&made, made.size), "big-endian");
    begin(&made, 1);
    made.head.e_phentsize = 32;
    assert_refused(file_of(&made, made.size), "program headers have 32 bytes");
    begin(&made, 1);
    made.head.e_phoff = UINT64_MAX - 10;
    assert_refused(file_of(&made, made.size), "no program headers");

    struct tm_core *core = NULL;
    struct tm_error *error = tm_core_open("/", &core);
    assert_non_null(strstr(tm_error_message(error), "is a directory"));
    tm_error_destroy(error);
    error = tm_core_open("/dev/null", &core);
    assert_non_null(strstr(tm_error_message(error), "is not a regular file"));
    tm_error_destroy(error);
    error = tm_core_open("/nothing", &core);
    assert_non_null(strstr(tm_error_message(error), "No such file"));
    tm_error_destroy(error);
}

static void test_a_core_of_another_machine_is_read_too(void **state)
{
    struct made made;
    (void)state;
    begin(&made, 1);
    add_filled(&made, 0x10000, PAGE, 'a', PAGE, PF_R);
    made.head.e_machine = EM_AARCH64;
    struct tm_core *core = opened(&made, made.size);
    assert_true(holds(core, 0x10000, PAGE));
    tm_core_close(core);
}

// Looks at everything; what it finds does not matter.
static void look(int file)
{
    struct tm_region regions[16];
    struct tm_core *core = NULL;
    uint32_t kind;
    char byte;
    struct tm_error *error = tm_core_open_file(file, "made.core", &core);
    tm_error_destroy(error);
    if (error)
        return;
    size_t count = tm_core_callbacks.regions(core, regions, 16);
    for (size_t i = 0; i < count && i < 16; i++) {
        bool there = tm_core_callbacks.read(core, regions[i].start, &byte, 1) == 0;
        assert_true(there || regions[i].start < regions[i].end);
        assert_non_null(tm_core_callbacks.why_missing(core, regions[i].start));
    }
    tm_core_callbacks.private_memory(core, &kind);
    tm_core_close(core);
}

static void test_a_core_cut_anywhere_or_with_any_byte_changed_harms_nothing(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    unsigned char notes[256];
    struct elf_prpsinfo process = {.pr_pid = 77};
    struct made made;
    (void)state;
    begin(&made, 3);
    add_filled(&made, 0x10000, 2 * PAGE, 'a', 16, PF_R | PF_W);
    add_filled(&made, 0x20000, 16, 'b', 16, PF_R | PF_W);
    add(&made, PT_NOTE, 0, 0, notes, add_note(notes, NT_PRPSINFO, &process, sizeof(process)), 0);
    for (size_t size = 0; size <= made.size; size++)
        look(file_of(&made, size));
    unsigned char *parts[] = {(unsigned char *)&made.head, (unsigned char *)made.headers};
    const size_t sizes[] = {sizeof(made.head), made.count * sizeof(made.headers[0])};
    for (size_t part = 0; part < 2; part++) {
        for (size_t at = 0; at < sizes[part]; at++) {
            unsigned char before = parts[part][at];
            for (size_t i = 0; i < sizeof(values); i++) {
                parts[part][at] = values[i];
                look(file_of(&made, made.size));
            }
            parts[part][at] = before;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_holds_exactly_the_bytes_that_the_file_has),
        cmocka_unit_test(test_a_read_may_cross_adjacent_segments_but_no_gap),
        cmocka_unit_test(test_why_a_byte_is_missing),
        cmocka_unit_test(test_notes_say_which_process_and_what_was_mapped_from_files),
        cmocka_unit_test(test_rows_of_files_that_overlap_are_gone_through_once),
        cmocka_unit_test(test_a_file_that_a_core_names_often_is_read_once),
        cmocka_unit_test(test_a_core_that_names_many_cores_has_not_all_of_them_read),
        cmocka_unit_test(test_holes_of_a_sparse_core_are_no_private_memory),
        cmocka_unit_test(test_what_is_no_core_is_refused_with_the_reason),
        cmocka_unit_test(test_a_core_of_another_machine_is_read_too),
        cmocka_unit_test(test_a_core_cut_anywhere_or_with_any_byte_changed_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
