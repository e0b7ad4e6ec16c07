/* Whether a file holds all of a shared library for this machine. dlopen maps what the headers promise: where
 * the file ends before, the first touch of such a page would end the program. */
#include "runtime/library.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    unsigned number;
    const char *name;
} machines[] = {{EM_X86_64, "x86_64"}, {EM_AARCH64, "aarch64"}};

#if defined(__x86_64__)
enum { THIS_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { THIS_MACHINE = EM_AARCH64 };
#else
enum { THIS_MACHINE = EM_NONE };
#endif

static const char *machine_name(unsigned number) {
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (machines[i].number == number) return machines[i].name;
    return "another kind of machine";
}

/* `bytes` from `offset` on, inside a file of `size`. */
static bool is_inside(uint64_t offset, uint64_t bytes, uint64_t size) {
    return offset <= size && bytes <= size - offset;
}

static bool read_at(int file, void *to, size_t bytes, uint64_t offset) {
    return pread(file, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Whether all that the program headers load, and the section headers, which stand last, are there. */
static bool is_whole(int file, const Elf64_Ehdr *h, uint64_t size) {
    Elf64_Phdr p;
    if (h->e_phentsize != sizeof p || !is_inside(h->e_phoff, (uint64_t)h->e_phnum * sizeof p, size))
        return false;
    if (!is_inside(h->e_shoff, (uint64_t)h->e_shnum * h->e_shentsize, size)) return false;
    for (unsigned i = 0; i < h->e_phnum; i++)
        if (!read_at(file, &p, sizeof p, h->e_phoff + i * sizeof p) ||
            (p.p_type == PT_LOAD && !is_inside(p.p_offset, p.p_filesz, size)))
            return false;
    return true;
}

static int check(int file, const struct run_request *r, const char *path) {
    Elf64_Ehdr h;
    struct stat s;
    bool read = !fstat(file, &s) && S_ISREG(s.st_mode) && read_at(file, &h, sizeof h, 0);
    if (!read || memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_type != ET_DYN)
        return run_error(r, RUN_FAILED, "%s: not a compiled model: not a shared library of 64 bits", path);
    if (THIS_MACHINE != EM_NONE && h.e_machine != THIS_MACHINE)
        return run_error(r, RUN_FAILED, "%s: compiled for %s, but this is %s", path,
                         machine_name(h.e_machine), machine_name(THIS_MACHINE));
    if (!is_whole(file, &h, (uint64_t)s.st_size))
        return run_error(r, RUN_FAILED, "%s: the file is cut short: compile the model again", path);
    return RUN_DONE;
}

int library_check(const struct run_request *r, const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no FIFO is waited for */
    if (file < 0) return run_error(r, RUN_IO, "%s: %s", path, strerror(errno));
    int status = check(file, r, path);
    close(file);
    return status;
}
