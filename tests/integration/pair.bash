# shellcheck shell=bash
# What the tests with two backends share, one behind the other. Read it after lib.sh.

export CLIENT=$ROOT/build/programs/client
export CANNED=$ROOT/build/programs/canned
export REFUSED=http://127.0.0.1:9 # where nobody listens

# settings_with URL_OF_FIRST URL_OF_SECOND [LINE OF THE ENDPOINT]: an endpoint that is asked for by
# http and by https
settings_with() {
    export SINCE=$SECONDS # no cooldown can have begun before
    write_settings <<END
endpoints:
  - name: llm
    urls: [$LOGICAL/v1, ${LOGICAL/http:/https:}/v1]
    ${3:-strategy: first}
    backends:
      - {name: first, url: $1/v1, priority: 1}
      - {name: second, url: $2/v1, priority: 2}
END
}

# field NAME: a line of what the client printed last into $T/out
field() {
    sed -n "s/^$1=//p" out | tail -1
}

# forget: nothing is known of any backend any more
forget() {
    rm -rf "$SPILLWAY_STATE_DIR"
}
