#include <curl/curl.h>
#include <math.h>

#include "shim/command/drill_report.h"

double drill_step(double length, unsigned most) {
    double wanted = length / (most ? most : 1);
    double power = pow(10, floor(log10(fmax(wanted, 1e-3))));
    static const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < 4; i++)
        if (power * factors[i] >= wanted * (1 - 1e-9))
            return power * factors[i];
    return power * 10;
}

void drill_write_time(double seconds, char *out, size_t size) {
    if (seconds < 0)
        snprintf(out, size, "-");
    else if (seconds < 0.0095 && seconds > 0)
        snprintf(out, size, "%.1f ms", seconds * 1000);
    else if (seconds < 0.9995 && seconds > 0)
        snprintf(out, size, "%.0f ms", seconds * 1000);
    else if (seconds < 9.995 && seconds > 0)
        snprintf(out, size, "%.2f s", seconds);
    else
        snprintf(out, size, seconds > 0 && seconds < 99.95 ? "%.1f s" : "%.0f s", seconds);
}

void drill_write_outcome(const struct drill_attempt *attempt, char *out, size_t size) {
    if (attempt->outcome == DRILL_FAILED && attempt->status)
        snprintf(out, size, "%d, then %s", attempt->status, attempt->error);
    else if (attempt->outcome == DRILL_FAILED)
        snprintf(out, size, "%s", attempt->error);
    else if (attempt->outcome == DRILL_UNFINISHED)
        snprintf(out, size, "%d, unfinished", attempt->status);
    else
        snprintf(out, size, "%d", attempt->status);
}

void drill_write_ending(const struct drill_transfer *transfer, char *out, size_t size) {
    if (transfer->outcome == DRILL_UNFINISHED)
        snprintf(out, size, "unfinished");
    else if (transfer->outcome == DRILL_FAILED)
        snprintf(out, size, "%s", curl_easy_strerror((CURLcode)transfer->result));
    else
        snprintf(out, size, "%d", transfer->status);
}

const char *drill_fault_text(const struct drill_report *report,
                             const struct drill_attempt *attempt) {
    size_t number = attempt->fault_number;
    if (number > 0 && number <= report->facts->fault_count)
        return report->facts->faults[number - 1].text;
    return attempt->fault ? attempt->fault : "";
}
