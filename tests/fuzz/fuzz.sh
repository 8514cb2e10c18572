# Fuzzes the targets: sh fuzz.sh PROGRAM...
# The environment has FOUND, the folder for what is found; SECONDS_EACH, or 0 to continue until interrupted; ARGS.
set -eu
. tests/fuzz/limits.sh

# Turns of a minute, so that every target gets its share before somebody interrupts.
turn=$SECONDS_EACH
[ "$turn" != 0 ] || turn=60
while :; do
    for program; do
        name=${program##*/}
        mkdir -p "$FOUND/$name"
        echo "fuzz: $name, $turn s"
        "$program" $limits -timeout=10 -max_total_time="$turn" $ARGS -artifact_prefix="$FOUND/$name-" \
            "$FOUND/$name" "tests/fuzz/corpus/$name"
    done
    [ "$SECONDS_EACH" = 0 ] || exit 0
done
