#include "shim/command/status_watch.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

#include "shim/command/figures.h"
#include "shim/command/status_print.h"

#define SECOND UINT64_C(1000000000)

void watch_rates(const struct pool_view *before, const struct pool_view *after, size_t count,
                 uint64_t elapsed, struct watch_rate *rates) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t first = before[i].outcomes[LEDGER_ANSWERED],
                 last = after[i].outcomes[LEDGER_ANSWERED];
        rates[i].share = (double)(last >= first ? last - first : last);
        sum += rates[i].share;
    }
    for (size_t i = 0; i < count; i++) {
        rates[i].per_second = elapsed ? rates[i].share * 1e9 / (double)elapsed : 0;
        rates[i].share = sum > 0 ? rates[i].share / sum : 0;
    }
}

void watch_bar(double share, size_t width, char *out) {
    size_t filled = (size_t)(share * (double)width + 0.5);
    if (share > 0 && !filled)
        filled = 1;
    for (size_t i = 0; i < width; i++)
        out[i] = i < filled ? '#' : '.';
    out[width] = '\0';
}

struct pool_view watch_later(const struct pool_view *view, uint64_t elapsed) {
    struct pool_view later = *view;
    later.left_ns = view->left_ns > elapsed ? view->left_ns - elapsed : 0;
    if (view->state == POOL_COOLING && !later.left_ns)
        later.state = POOL_AVAILABLE;
    return later;
}

/* What is known of an endpoint besides its views. */
struct trace {
    struct pool_view before[BACKENDS_MAX]; /* the views of the look before the last one */
    struct watch_rate rates[BACKENDS_MAX]; /* between the two */
};

/* What is on the screen, and how much of it. */
struct screen {
    struct live *live;
    struct trace *traces; /* one per endpoint */
    uint64_t interval;    /* ns */
    int top, height;      /* the first line that is shown, of how many there are */
    bool over;
    const char *problem;
};

/* Written by the handler of signals. */
static volatile sig_atomic_t caught;

static void catch_signal(int number) {
    caught = number;
}

static void look(struct screen *screen) {
    struct live *live = screen->live;
    uint64_t last = live->now;
    const struct settings *settings = live->settings;
    for (size_t i = 0; i < settings->endpoint_count; i++)
        memcpy(screen->traces[i].before, live->views[i],
               settings->endpoints[i].backend_count * sizeof *live->views[i]);
    screen->problem = live_look(live);
    screen->over |= screen->problem != NULL;
    for (size_t i = 0; i < settings->endpoint_count; i++)
        watch_rates(screen->traces[i].before, live->views[i], settings->endpoints[i].backend_count,
                    live->now - last, screen->traces[i].rates);
}

/* Starts line LINE of all; false if it is not on the screen. */
static bool begin_line(const struct screen *screen, int line) {
    int place = line - screen->top + 1;
    return place >= 1 && place < LINES - 1 && move(place, 0) == OK;
}

/* Adds text, as far as the line goes. */
static void put(const char *text, attr_t attributes) {
    int left = COLS - getcurx(stdscr);
    attron(attributes);
    if (left > 1) /* the last column stays free: the cursor would go on to the next line */
        addnstr(text, left - 1);
    attroff(attributes);
}

static void put_cell(const char *text, int width, attr_t attributes) {
    char cell[160];
    snprintf(cell, sizeof cell, width < 0 ? "%-*s " : "%*s ", abs(width), text);
    put(cell, attributes);
}

static attr_t attributes_of(enum pool_state state) {
    return has_colors()              ? (attr_t)COLOR_PAIR((int)state + 1)
           : state == POOL_AVAILABLE ? A_NORMAL
                                     : A_BOLD;
}

/* Of what status_headings are over. */
static const int cell_widths[STATUS_CELLS] = {3, 4, 3, 4, 3, 3, 4};

#define NAME_HEADING    "TIER BACKEND"
#define LATENCY_HEADING "P50/P90/P99"
#define BAR_MAXIMUM     10
#define BAR_SHORT       6 /* rather than a shorter one there is no rate */
#define BAR_MINIMUM     3

/* The widths of the other columns, without the space behind each. A negative one is for text, which
 * begins at the left. No rate: there is no such column. */
struct layout {
    int tier, name, bar, rate, state, latency;
};

static int widest(int width, const char *text) {
    int length = (int)strlen(text);
    return length > width ? length : width;
}

/* What ROWS of ENDPOINT need, whose states are BRIEF or not. */
static struct layout measure(const struct endpoint *endpoint, const struct status_row *rows,
                             bool brief) {
    int tier = 1, name = 0, latency = (int)strlen(LATENCY_HEADING);
    int state = (int)strlen(brief ? "10.0 s: 429" : "cooling 10.0 s left: connect");
    for (size_t i = 0; i < endpoint->backend_count; i++) {
        tier = widest(tier, rows[i].tier);
        name = widest(name, rows[i].name);
        state = widest(state, rows[i].state);
        latency = widest(latency, rows[i].latency);
    }
    if (tier + 1 + name < (int)strlen(NAME_HEADING)) /* it is over both */
        name = (int)strlen(NAME_HEADING) - tier - 1;
    return (struct layout){tier, -name, -BAR_MAXIMUM, 5, -state, latency};
}

/* How many columns LAYOUT leaves free; negative if it needs more. */
static int rest(const struct layout *layout) {
    int sum = layout->tier - layout->name - layout->bar - layout->state + layout->latency + 4;
    for (size_t c = 0; c < STATUS_CELLS; c++)
        sum += cell_widths[c] + 1;
    if (layout->rate)
        sum += layout->rate + 1;
    return COLS - 1 - sum; /* see put */
}

/* What has room: first the states get short, then the bars, then there are no rates; where the
 * screen is narrower still the last columns are cut. Fills ROWS. */
static struct layout lay_out(const struct endpoint *endpoint, const struct pool_view *views,
                             struct status_row *rows) {
    status_rows(endpoint, views, false, rows);
    struct layout layout = measure(endpoint, rows, false);
    if (rest(&layout) >= 0)
        return layout;
    status_rows(endpoint, views, true, rows);
    layout = measure(endpoint, rows, true);
    if (rest(&layout) < BAR_SHORT - BAR_MAXIMUM)
        layout.rate = 0;
    int missing = -rest(&layout);
    if (missing > BAR_MAXIMUM - BAR_MINIMUM)
        missing = BAR_MAXIMUM - BAR_MINIMUM;
    if (missing > 0)
        layout.bar += missing;
    return layout;
}

static void draw_row(const struct layout *layout, const struct status_row *row,
                     const struct watch_rate *rate, enum pool_state state) {
    char bar[BAR_MAXIMUM + 1], number[24];
    put_cell(row->tier, layout->tier, A_NORMAL);
    put_cell(row->name, layout->name, A_NORMAL);
    watch_bar(rate->share, (size_t)-layout->bar, bar);
    put_cell(bar, layout->bar, attributes_of(state));
    snprintf(number, sizeof number, rate->per_second < 99.95 ? "%.1f" : "%.0f", rate->per_second);
    if (layout->rate)
        put_cell(number, layout->rate, A_NORMAL);
    put_cell(row->state, layout->state, attributes_of(state));
    for (size_t c = 0; c < STATUS_CELLS; c++)
        put_cell(row->cells[c], cell_widths[c], A_NORMAL);
    put_cell(row->latency, layout->latency, A_NORMAL);
}

static void draw_header(const struct layout *layout) {
    put_cell(NAME_HEADING, layout->name - layout->tier - 1, A_BOLD);
    put_cell("", layout->bar, A_BOLD);
    if (layout->rate)
        put_cell("REQ/S", layout->rate, A_BOLD);
    put_cell("STATE", layout->state, A_BOLD);
    for (size_t c = 0; c < STATUS_CELLS; c++)
        put_cell(status_headings[c], cell_widths[c], A_BOLD);
    put_cell(LATENCY_HEADING, layout->latency, A_BOLD);
}

static int draw_endpoint(const struct screen *screen, size_t place, int line, uint64_t elapsed) {
    const struct endpoint *endpoint = &screen->live->settings->endpoints[place];
    struct pool_view views[BACKENDS_MAX];
    struct status_row rows[BACKENDS_MAX];
    for (size_t i = 0; i < endpoint->backend_count; i++)
        views[i] = watch_later(&screen->live->views[place][i], elapsed);
    const struct layout layout = lay_out(endpoint, views, rows);
    if (begin_line(screen, line++)) {
        put("endpoint ", A_NORMAL);
        put(endpoint->name, A_BOLD);
    }
    if (begin_line(screen, line++))
        draw_header(&layout);
    for (size_t i = 0; i < endpoint->backend_count; i++)
        if (begin_line(screen, line++))
            draw_row(&layout, &rows[i], &screen->traces[place].rates[rows[i].backend],
                     views[rows[i].backend].state);
    return line + 1;
}

static int measure_height(const struct settings *settings) {
    int height = -1; /* nothing behind the last endpoint */
    for (size_t i = 0; i < settings->endpoint_count; i++)
        height += 3 + (int)settings->endpoints[i].backend_count;
    return height;
}

static int room(void) {
    return LINES > 2 ? LINES - 2 : 1;
}

static void scroll_to(struct screen *screen, int top) {
    int last = screen->height - room();
    top = top > last ? last : top;
    screen->top = top > 0 ? top : 0;
}

static void draw(const struct screen *screen) {
    char text[96], clock[16] = "";
    time_t now = (time_t)screen->live->time;
    struct tm parts;
    uint64_t elapsed = ledger_now() - screen->live->now;
    int line = 0, last = screen->top + room();
    erase();
    if (localtime_r(&now, &parts))
        strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    snprintf(text, sizeof text, "spillway status  %s  every %g s", clock,
             (double)screen->interval / 1e9);
    move(0, 0);
    put(text, A_BOLD);
    for (size_t i = 0; i < screen->live->settings->endpoint_count; i++)
        line = draw_endpoint(screen, i, line, elapsed);
    move(LINES - 1, 0);
    snprintf(text, sizeof text, "q: quit%s  lines %d-%d of %d",
             screen->height > room() ? "  arrows: scroll" : "", screen->top + 1,
             last < screen->height ? last : screen->height, screen->height);
    put(text, A_DIM);
    refresh();
}

static void take_key(struct screen *screen, int key) {
    switch (key) {
    case 'q':
    case 'Q':
    case 3: /* Ctrl-C, where a terminal sends no signal for it */
        screen->over = true;
        break;
    case KEY_UP:
        scroll_to(screen, screen->top - 1);
        break;
    case KEY_DOWN:
        scroll_to(screen, screen->top + 1);
        break;
    case KEY_PPAGE:
        scroll_to(screen, screen->top - room());
        break;
    case KEY_NPAGE:
        scroll_to(screen, screen->top + room());
        break;
    case KEY_HOME:
        scroll_to(screen, 0);
        break;
    case KEY_END:
        scroll_to(screen, screen->height);
        break;
    default: /* KEY_RESIZE: LINES and COLS are right by now */
        scroll_to(screen, screen->top);
        break;
    }
}

/* Until there are keys, a signal came, or LEFT ns are over: signals are let in here alone. */
static void wait_for(struct screen *screen, uint64_t left, const sigset_t *let_in) {
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct timespec timeout = {(time_t)(left / SECOND), (long)(left % SECOND)};
    int ready = ppoll(&keys, 1, &timeout, let_in);
    int key;
    if (ready > 0 && !(keys.revents & POLLIN))
        screen->over = true; /* the terminal is gone */
    while ((key = getch()) != ERR)
        take_key(screen, key);
}

static void watch(struct screen *screen, const sigset_t *let_in) {
    while (!screen->over && !caught) {
        uint64_t now = ledger_now(), due = screen->live->now + screen->interval;
        if (now >= due) {
            look(screen);
            now = screen->live->now;
            due = now + screen->interval;
        }
        draw(screen);
        /* cooldowns count down, however long the interval is */
        wait_for(screen, due - now < SECOND ? due - now : SECOND, let_in);
    }
}

static void set_colours(void) {
    static const short colours[] = {COLOR_GREEN, COLOR_RED, COLOR_YELLOW, COLOR_MAGENTA};
    if (getenv("NO_COLOR") || !has_colors())
        return;
    start_color();
    use_default_colors();
    for (short i = 0; i < 4; i++)
        init_pair((short)(i + 1), colours[i], -1);
}

static bool can_watch(void) {
    int error;
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
           setupterm(NULL, STDOUT_FILENO, &error) == OK && cursor_address && clear_screen;
}

/* The signals that end it wait for ppoll; ncurses takes those alone that are left at their
 * defaults, and SIGWINCH. */
static void take_signals(struct sigaction *before, sigset_t *let_in) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = catch_signal};
    sigset_t mask;
    sigemptyset(&mask);
    for (int i = 0; i < 3; i++) {
        sigaction(numbers[i], &action, &before[i]);
        sigaddset(&mask, numbers[i]);
    }
    sigaddset(&mask, SIGWINCH);
    sigprocmask(SIG_BLOCK, &mask, let_in);
}

static void give_signals_back(const struct sigaction *before, const sigset_t *let_in) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++)
        sigaction(numbers[i], &before[i], NULL);
    sigprocmask(SIG_SETMASK, let_in, NULL);
}

static bool show(struct screen *screen) {
    struct sigaction before[3];
    sigset_t let_in;
    take_signals(before, &let_in);
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (terminal) {
        set_colours();
        cbreak();
        noecho();
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        curs_set(0);
        screen->height = measure_height(screen->live->settings);
        watch(screen, &let_in);
        endwin();
        delscreen(terminal);
    }
    give_signals_back(before, &let_in);
    return terminal != NULL;
}

int status_watch(struct live *live, double interval) {
    struct screen screen = {.live = live, .interval = (uint64_t)(interval * 1e9)};
    screen.traces = calloc(live->settings->endpoint_count, sizeof *screen.traces);
    if (!screen.traces) {
        fputs("spillway status: out of memory\n", stderr);
        return 1;
    }
    caught = 0;
    bool shown = can_watch() && show(&screen);
    free(screen.traces);
    if (!shown) {
        fputs("spillway status: --watch needs a terminal with a movable cursor, as stdin and "
              "stdout\n",
              stderr);
        return 2;
    }
    if (caught == SIGTERM || caught == SIGHUP)
        raise(caught);
    if (screen.problem)
        fprintf(stderr, "spillway status: %s: %s\n", live->directory, screen.problem);
    return screen.problem ? 1 : 0;
}
