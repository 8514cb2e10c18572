# Says what makes the installed commands known to gdb and lldb. SHARE has the scripts; GDB_AUTO_LOAD has gdb's hook.
set -eu

# The directories in which the installed gdb looks for scripts, each on a line; none if there is no gdb with Python.
gdb_looks_in() {
    gdb -nh -batch -ex 'python
def tm_folders(name):
    text = gdb.parameter("auto-load " + name)
    for word, name in (("$debugdir", "debug-file-directory"), ("$datadir", "data-directory")):
        text = text.replace(word, gdb.parameter(name))
    return set(text.split(":"))
print(*sorted(tm_folders("scripts-directory") & tm_folders("safe-path")), sep="\n")' 2>/dev/null </dev/null || :
}

folders=$(gdb_looks_in)
if printf '%s\n' "$folders" | grep -qxF "$GDB_AUTO_LOAD"; then
    echo "gdb loads the commands when it meets a traced process. For other processes and cores, add to ~/.gdbinit:"
else
    for folder in $folders; do
        case $folder in */auto-load) found=$folder ;; esac
    done
    cat <<END
gdb does not look for scripts in $GDB_AUTO_LOAD. To have it load the commands when it meets a traced
process, add to ~/.gdbinit:
    add-auto-load-scripts-directory $GDB_AUTO_LOAD
    add-auto-load-safe-path $GDB_AUTO_LOAD
END
    [ -z "${found-}" ] || echo "or install again with GDB_AUTO_LOAD=$found, where it looks."
    echo "To have the commands always, add to ~/.gdbinit:"
fi
cat <<END
    source $SHARE/tm_gdb.py
To have the commands in lldb, add to ~/.lldbinit:
    command script import $SHARE/tm_lldb.py
END
