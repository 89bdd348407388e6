#include "shim/command/drill_faults.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
bool drill_faults_make(struct drill_faults *out, const struct settings *settings,
                       const char *const *given, size_t count, char *message, size_t size) {
    (void)settings;
    (void)given;
    *out = (struct drill_faults){0};
    out->text = strdup("");
    if (count) {
        snprintf(message, size, "not yet");
        return false;
    }
    return true;
}
void drill_faults_free(struct drill_faults *faults) {
    free(faults->list);
    free(faults->text);
}
