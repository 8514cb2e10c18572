// A list of harmless opcodes. All others are taken to write.

#include "instruction.h"

/** The destination is a register, or on the stack: rsp and a constant. */
static bool to_register(const unsigned char *modrm)
{
    return modrm[0] >> 6 == 3 || ((modrm[0] & 7) == 4 && modrm[1] == 0x24);
}

static unsigned extension(unsigned char modrm)
{
    return modrm >> 3 & 7;
}

static bool harmless_two_bytes(unsigned char opcode, const unsigned char *modrm)
{
    switch (opcode) {
    case 0x10: // loads of vectors
    case 0x28:
    case 0x6f:
    case 0x1e: // endbr, nop
    case 0x1f: // nop
    case 0xa3: // bt
    case 0xaf: // imul
    case 0xb6: // movzx, movsx
    case 0xb7:
    case 0xbe:
    case 0xbf:
    case 0xbc: // bit scans
    case 0xbd:
    case 0xef: // pxor
        return true;
    case 0x11: // stores of vectors
    case 0x29:
    case 0x7f:
        return to_register(modrm);
    default:
        return (opcode & 0xf0) == 0x40 ||                       // cmov
               (opcode & 0xf0) == 0x80 ||                       // jumps
               ((opcode & 0xf0) == 0x90 && to_register(modrm)); // set
    }
}

bool instruction_is_harmless(const unsigned char *bytes)
{
    while (*bytes == 0x66 || *bytes == 0xf2 || *bytes == 0xf3 || *bytes == 0x64)
        bytes++;
    if ((*bytes & 0xf0) == 0x40)
        bytes++;
    unsigned char opcode = bytes[0];
    const unsigned char *modrm = bytes + 1;
    if (opcode == 0x0f)
        return harmless_two_bytes(bytes[1], bytes + 2);
    if ((opcode & 0xf0) == 0x50 || (opcode & 0xf0) == 0x70 || (opcode & 0xf0) == 0xb0)
        return true; // push and pop, jumps, constants
    if (opcode < 0x40) {
        // Arithmetic: to memory or a register, to a register, to rax. 38 to 3d compare.
        unsigned form = opcode & 7;
        return (opcode >= 0x38 && opcode <= 0x3d) || form == 2 || form == 3 || form == 4 || form == 5 ||
               (form < 2 && to_register(modrm));
    }
    switch (opcode) {
    case 0x63: // movsxd
    case 0x69: // imul
    case 0x6b:
    case 0x84: // test
    case 0x85:
    case 0x8a: // mov from memory
    case 0x8b:
    case 0x8d: // lea
    case 0x90:
    case 0x98:
    case 0x99:
    case 0xa8:
    case 0xa9:
    case 0xc3: // ret
    case 0xc9: // leave
    case 0xe8: // calls and jumps
    case 0xe9:
    case 0xeb:
        return true;
    case 0x80: // with a constant; 7 is a comparison
    case 0x81:
    case 0x83:
        return to_register(modrm) || extension(*modrm) == 7;
    case 0x88: // mov
    case 0x89:
    case 0xc0: // shifts
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return to_register(modrm);
    case 0xf6: // test, not, neg; multiplications and divisions
    case 0xf7:
        return to_register(modrm) || extension(*modrm) < 2 || extension(*modrm) > 3;
    case 0xff: // inc, dec, calls, jumps
        return to_register(modrm) || extension(*modrm) == 2 || extension(*modrm) == 4;
    default:
        return false;
    }
}
