/**
 * The opcodes of pickles that snapshots are made of. Knows nothing of what they do: that is pickle.c's and unpickle.c's.
 */
#ifndef TRACEMORTEM_ENGINE_SNAPSHOT_OPCODES_H
#define TRACEMORTEM_ENGINE_SNAPSHOT_OPCODES_H

enum tm_pickle_opcode {
    TM_PICKLE_MARK = '(',
    TM_PICKLE_STOP = '.',
    TM_PICKLE_NONE = 'N',
    TM_PICKLE_BININT = 'J',
    TM_PICKLE_BININT1 = 'K',
    TM_PICKLE_BININT2 = 'M',
    TM_PICKLE_LONG1 = 0x8a,
    TM_PICKLE_LONG4 = 0x8b,
    TM_PICKLE_BINUNICODE = 'X',
    TM_PICKLE_SHORT_BINUNICODE = 0x8c,
    TM_PICKLE_BINUNICODE8 = 0x8d,
    TM_PICKLE_EMPTY_TUPLE = ')',
    TM_PICKLE_TUPLE = 't',
    TM_PICKLE_TUPLE1 = 0x85,
    TM_PICKLE_TUPLE2 = 0x86,
    TM_PICKLE_TUPLE3 = 0x87,
    TM_PICKLE_EMPTY_LIST = ']',
    TM_PICKLE_APPEND = 'a',
    TM_PICKLE_APPENDS = 'e',
    TM_PICKLE_EMPTY_DICT = '}',
    TM_PICKLE_SETITEM = 's',
    TM_PICKLE_SETITEMS = 'u',
    TM_PICKLE_GLOBAL = 'c',
    TM_PICKLE_STACK_GLOBAL = 0x93,
    TM_PICKLE_NEWOBJ = 0x81,
    TM_PICKLE_BUILD = 'b',
    TM_PICKLE_BINPUT = 'q',
    TM_PICKLE_LONG_BINPUT = 'r',
    TM_PICKLE_MEMOIZE = 0x94,
    TM_PICKLE_BINGET = 'h',
    TM_PICKLE_LONG_BINGET = 'j',
    TM_PICKLE_PROTO = 0x80,
    TM_PICKLE_FRAME = 0x95,
};

#endif
