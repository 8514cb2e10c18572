// Prints a source file as src/process/encoding.c decodes it; exits with 1 if it does not.

#include <stdio.h>
#include <stdlib.h>

#include "process/encoding.h"

int main(int count, char **words)
{
    static unsigned char bytes[1 << 20];
    struct tm_text text = TM_TEXT_EMPTY;
    FILE *file = count == 2 ? fopen(words[1], "rb") : NULL;
    if (!file)
        return 2;
    size_t length = fread(bytes, 1, sizeof(bytes), file);
    const char *problem = tm_source_decode(bytes, length, &text);
    if (!problem)
        fwrite(tm_text_string(&text), 1, text.length, stdout);
    fclose(file);
    tm_text_deinit(&text);
    return problem ? 1 : 0;
}
