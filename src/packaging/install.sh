# Installs what build/ has; packaging.mk lists the files and gives the variables.
set -eu

place() { # place SOURCE TARGET [MODE]
    $INSTALL -D -m "${3:-644}" "$1" "$DESTDIR$2"
}
note() { # note TEXT TARGET
    printf '%s\n' "$1" >"$DESTDIR$2"
    chmod 644 "$DESTDIR$2"
}

share=$PREFIX/share/tracemortem
package=$SITE/tracemortem
hook=$GDB_AUTO_LOAD$package/_tracer.abi3.so-gdb.py # gdb goes by the real path of the library
library=libtracemortem.so
command=$BUILD/bin/tracemortem
. src/packaging/completion_folders.sh

# The folders that this makes, for uninstall.sh. Without DESTDIR, which only packagers set.
made=$(cat "$share/made_folders.txt" 2>/dev/null || :)
for folder in "$LIBDIR/pkgconfig" "$INCLUDEDIR" ${MANDIR:+"$MANDIR/man1"} "$SITE" "$share" "$(dirname "$hook")" \
    "$BINDIR" "$bash_folder" "$zsh_folder" "$fish_folder"; do
    while [ -z "$DESTDIR" ] && [ ! -d "$folder" ]; do
        made="$made
$folder"
        folder=$(dirname "$folder")
    done
done

# What an earlier version has, and this one does not.
rm -rf "${DESTDIR}${SITE:?}/tracemortem" "$DESTDIR$SITE"/tracemortem-*.dist-info "${DESTDIR}${share:?}"

place "$BUILD/lib/$library" "$LIBDIR/$library.$VERSION"
ln -sf "$library.$VERSION" "$DESTDIR$LIBDIR/$SONAME"
ln -sf "$SONAME" "$DESTDIR$LIBDIR/$library"
place src/engine/tracemortem.h "$INCLUDEDIR/tracemortem.h"
$INSTALL -d "$DESTDIR$LIBDIR/pkgconfig"
note "$(sed -e "s|@PREFIX@|$PREFIX|; s|@LIBDIR@|$LIBDIR|; s|@INCLUDEDIR@|$INCLUDEDIR|; s|@VERSION@|$VERSION|" \
    src/packaging/tracemortem.pc.in)" "$LIBDIR/pkgconfig/tracemortem.pc"
if [ -n "$MANDIR" ]; then
    for page in "$BUILD"/man/*.1; do
        place "$page" "$MANDIR/man1/${page##*/}"
    done
fi

for file in $(cd "$BUILD/python" && find tracemortem -name __pycache__ -prune -o -type f -print); do
    place "$BUILD/python/$file" "$SITE/$file"
done
note "$LIBDIR/$SONAME" "$package/engine_path.txt"
note "$share" "$package/front_ends_path.txt"
place src/packaging/tracemortem.pth "$SITE/tracemortem.pth"
place /dev/null "$SITE/tracemortem-$VERSION.dist-info/INSTALLER"
note make "$SITE/tracemortem-$VERSION.dist-info/INSTALLER"
note "$(sh src/packaging/metadata.sh "$VERSION")" "$SITE/tracemortem-$VERSION.dist-info/METADATA"

for script in gdb/*.py lldb/*.py; do
    place "$script" "$share/${script##*/}"
done
ln -sfnr "$DESTDIR$package" "$DESTDIR$share/tracemortem"
$INSTALL -d "$DESTDIR$(dirname "$hook")"
note "import sys

sys.path.insert(0, \"$share\")
import tm_gdb  # noqa: F401" "$hook"

if [ -e "$command" ]; then
    place "$command" "$BINDIR/tracemortem" 755
    $INSTALL -d "$DESTDIR$bash_folder" "$DESTDIR$zsh_folder" "$DESTDIR$fish_folder"
    note "$("$command" completion bash)" "$bash_folder/tracemortem"
    note "$("$command" completion zsh)" "$zsh_folder/_tracemortem"
    note "$("$command" completion fish)" "$fish_folder/tracemortem.fish"
fi

# The rest is for this system, and not for a package.
[ -z "$DESTDIR" ] || exit 0

note "$made" "$share/made_folders.txt"

"$PYTHON" -c 'import site, sys; sys.exit(sys.argv[1] not in site.getsitepackages())' "$SITE" || cat >&2 <<END
Note: $PYTHON does not look for packages in $SITE. Set PYTHONPATH to it and use python3 -m tracemortem,
or install again with another PREFIX or PYTHON_SITE.
END
GDB_AUTO_LOAD=$GDB_AUTO_LOAD SHARE=$share sh src/packaging/say_next.sh
