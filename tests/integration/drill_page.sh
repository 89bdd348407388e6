#!/usr/bin/env bash
# The page that `spillway drill --html` writes, in a browser: no error, nothing wider than the screen,
# marks for what happened. Skipped where there is no Chromium (scripts/install-dependencies
# --browser).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

TIME_LIMIT=90
BROWSER=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)

browser() {
    timeout 60 "$BROWSER" --headless=new --no-sandbox --disable-gpu --hide-scrollbars \
        --allow-file-access-from-files --user-data-dir="$T/profile" --enable-logging=stderr \
        --virtual-time-budget=5000 "$@"
}

# The page in frames of several widths. What came of it becomes an attribute: WIDTH:SCROLLWIDTH:MARKS
write_frames() {
    cat >frames.html <<'END'
<!doctype html><body><script>
const widths = [1280, 400], seen = [];
let left = widths.length;
for (const width of widths) {
    const frame = document.createElement('iframe');
    frame.style = 'border: 0; height: 900px; width: ' + width + 'px';
    frame.src = 'page.html';
    frame.onload = () => {
        const page = frame.contentDocument;
        seen.push(width + ':' + page.documentElement.scrollWidth + ':' +
                  page.querySelectorAll('use title').length);
        if (--left === 0) document.body.dataset.seen = seen.sort().join(' ');
    };
    document.body.append(frame);
}
</script>
END
}

test_the_page_in_a_browser() {
    local seen mode
    [ -n "$BROWSER" ] || skip "no Chromium"
    write_settings <<END
endpoints:
  - name: llm
    url: $LOGICAL/v1
    backends:
      - {name: a-backend-with-quite-a-long-name-in-it, url: "http://127.0.0.1:9", priority: 1}
      - {name: other, url: "http://127.0.0.1:9", priority: 2}
END
    # shellcheck disable=SC2016  # for the inner shell
    assert_status 0 "$SPILLWAY" drill -c settings.yaml -m --html page.html --expect 'transfers >= 8' \
        --fault 'a-backend-with-quite-a-long-name-in-it: 429 retry-after=1 for 2s' --fault 'other: reset 10%' -- \
        sh -c 'for i in 1 2 3 4 5 6 7 8; do curl -sS -o body --retry 3 "$LOGICAL/v1/models"; sleep 0.1; done'
    write_frames
    browser --dump-dom "file://$T/frames.html" >dom 2>messages || fail "the browser ends with $?: $(tail -5 messages)"
    assert_equal "" "$(grep -E 'CONSOLE|Uncaught' messages)" "messages of the page"
    seen=$(sed -nE 's/.*data-seen="([^"]*)".*/\1/p' dom)
    assert_match '^1280:1280:[0-9]{2,} 400:400:[0-9]{2,}$' "$seen" "width, width of what is shown, marks"
    for mode in 0 1; do
        browser "--blink-settings=preferredColorScheme=$mode" --window-size=400,1600 "--screenshot=$T/$mode.png" \
            "file://$T/page.html" >/dev/null 2>&1 || fail "no screenshot"
    done
    ! cmp -s 0.png 1.png || fail "light and dark are the same"
}

run_tests
