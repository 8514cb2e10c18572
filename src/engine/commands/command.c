// The table of commands, in the order in which a manual would explain them.

#include "engine/commands/command.h"

#include <string.h>

static const struct tm_command *const commands[] = {
    &tm_command_info,         &tm_command_top,    &tm_command_traceback, &tm_command_traces,
    &tm_command_find_objects, &tm_command_object, &tm_command_holders,   &tm_command_leaks,
    &tm_command_threads,      &tm_command_memory, &tm_command_diff,      &tm_command_save,
    &tm_command_export,       &tm_command_filter, &tm_command_set,       &tm_command_verify,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

const struct tm_command *tm_command_find(const char *name)
{
    for (size_t i = 0; name && i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const char *tm_command_name(size_t index)
{
    return index < COMMANDS ? commands[index]->name : NULL;
}

const char *tm_command_help(const char *name)
{
    const struct tm_command *command = tm_command_find(name);
    if (name && strcmp(name, "tracemortem") == 0)
        return tm_help_topic;
    return command ? command->help : NULL;
}
