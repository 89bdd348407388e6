/* What an attempt's outcome means, as far as no libcurl is needed for it. */
#include <criterion/criterion.h>

#include "shim/curl/verdict.h"

#define MS 1000000ull

Test(verdict, time_is_out_as_libcurl_reckons_it) {
    static const struct {
        uint64_t deadline, now;
        bool out;
    } table[] = {
        {0, 5000 * MS, false}, /* no deadline */
        {1300 * MS, 1000 * MS, false}, {1300 * MS, 1297 * MS, false},
        {1300 * MS, 1299 * MS, true}, /* one early, by a time that was cut off ... */
        {1300 * MS, 1298 * MS, true}, /* ... and by a limit that was, too */
        {1300 * MS, 1300 * MS, true},  {1300 * MS, 9000 * MS, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        cr_expect_eq(verdict_time_is_out(table[i].deadline, table[i].now), table[i].out, "row %zu",
                     i);
}
