# Removes what install.sh placed; the variables are the same.
set -eu

package=$SITE/tracemortem
share=$PREFIX/share/tracemortem
hook=$GDB_AUTO_LOAD$package/_tracer.abi3.so-gdb.py
. src/packaging/completion_folders.sh

made=$(cat "$share/made_folders.txt" 2>/dev/null || :)

rm -f "$DESTDIR$LIBDIR"/libtracemortem.so* "$DESTDIR$LIBDIR/pkgconfig/tracemortem.pc" \
    "$DESTDIR$INCLUDEDIR/tracemortem.h" "$DESTDIR$SITE/tracemortem.pth" "$DESTDIR$hook" \
    "$DESTDIR$BINDIR/tracemortem" "$DESTDIR$bash_folder/tracemortem" "$DESTDIR$zsh_folder/_tracemortem" \
    "$DESTDIR$fish_folder/tracemortem.fish"
for page in "$DESTDIR$MANDIR"/man1/tm-*.1 "$DESTDIR$MANDIR"/man1/tracemortem*.1; do
    if grep -qs '^\.TH .* "tracemortem"$' "$page"; then rm "$page"; fi
done
rm -rf "${DESTDIR}${SITE:?}/tracemortem" "$DESTDIR$SITE"/tracemortem-*.dist-info "${DESTDIR}${share:?}"
[ -z "$DESTDIR" ] || made=
printf '%s\n' "$made" | sort -ru | while read -r folder; do
    [ -z "$folder" ] || [ ! -d "$folder" ] || rmdir --ignore-fail-on-non-empty "$folder"
done
