/* SPDX-License-Identifier: Apache-2.0 */
/* One part of the demo as a process of its own (part.h). */
#include "part.h"

#include <inttypes.h>

static const struct {
    const char *name, *word; /* for people; on the command line */
    bool piped;              /* reports to the supervisor instead of talking to the terminal */
} kinds[] = {
    [PART_PUBLISHER] = { "publisher", "publish", true },
    [PART_PROCESSOR] = { "processor", "process", true },
    [PART_CHECKER] = { "checker", "check", false },
};

typedef struct command {
    char *words[32];
    size_t count, numbers;
    char number[8][24];
} command;

static void add_words(command *to, const char *option, const char *value)
{
    to->words[to->count++] = (char *)(uintptr_t)option; /* exec wants no const, but changes nothing */
    to->words[to->count++] = (char *)(uintptr_t)value;
}

static void add_number(command *to, const char *option, uint64_t value)
{
    char *text = to->number[to->numbers++];

    snprintf(text, sizeof to->number[0], "%" PRIu64, value);
    add_words(to, option, text);
}

bool part_start(part *out, part_kind kind, const part_setting *setting, problem *why)
{
    const trip_source_options *source = &setting->with->source;
    command c = { 0 };

    *out = (part){ .process = CHILD_NONE };
    add_words(&c, "/proc/self/exe", kinds[kind].word);
    add_words(&c, "--run", setting->run);
    add_words(&c, "--directory", setting->directory);
    if (source->path != NULL)
        add_words(&c, "--trips", source->path);
    if (source->count != 0)
        add_number(&c, "--count", source->count);
    add_number(&c, "--seed", source->seed);
    add_number(&c, "--window", setting->with->window);
    add_number(&c, "--patience", setting->with->patience_s);
    add_number(&c, "--port", setting->port);
    add_number(&c, "--singles", setting->singles);
    add_number(&c, "--drop", setting->drop);
    return child_start(&out->process, kinds[kind].name, c.words, kinds[kind].piped, why);
}
