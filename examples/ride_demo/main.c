/* SPDX-License-Identifier: Apache-2.0 */
/* nbj-ride-demo: starts the part that the command line names. See supervisor.c for the whole. */
#include "parts.h"

int main(int count, char *arguments[])
{
    options with;
    problem why;

    if (!options_read(&with, count, arguments, &why))
        return complain(EXIT_USAGE, "", &why);
    if (with.help) {
        options_help(stdout);
        return EXIT_PASSED;
    }
    switch (with.role) {
    case ROLE_DEMO:
        return supervisor_run(&with);
    case ROLE_PUBLISH:
        return publisher_run(&with);
    case ROLE_PROCESS:
        return processor_run(&with);
    case ROLE_CHECK:
        return check_run(&with);
    }
    return EXIT_USAGE;
}
