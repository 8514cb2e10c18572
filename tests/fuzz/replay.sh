# Replays the corpus of each target and continues from it for a fixed number of executions: sh replay.sh PROGRAM...
# The environment has FOUND, the folder for crashing inputs, and NEW, a folder for new inputs, which is emptied first.
set -eu
. tests/fuzz/limits.sh

rm -rf "$NEW"
mkdir -p "$FOUND"
for program; do
    name=${program##*/}
    case $name in
        match) runs=20000 ;;
        memory) runs=2000 ;;
        heaps) runs=1000 ;;
        *) runs=4000 ;;
    esac
    echo "fuzz: $name, $runs executions"
    mkdir -p "$NEW/$name"
    # libFuzzer measures by the clock, and another program may have the processor: a guard against hanging only.
    "$program" $limits -timeout=600 -seed=1 -runs=$runs -artifact_prefix="$FOUND/$name-" \
        "$NEW/$name" "tests/fuzz/corpus/$name" >"$NEW/$name.log" 2>&1 || {
        cat "$NEW/$name.log"
        exit 1
    }
done
