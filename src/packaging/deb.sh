# Packs what `make install` places below /usr into build/deb/tracemortem_*.deb; packaging.mk gives the variables.
set -eu

root=$BUILD/deb/root
control=src/packaging/debian/control
architecture=$(dpkg --print-architecture)

rm -rf "$BUILD/deb"
$MAKE install DESTDIR="$PWD/$root" PREFIX=/usr LIBDIR="/usr/lib/$MULTIARCH" INCLUDEDIR=/usr/include \
    MANDIR=/usr/share/man GDB_AUTO_LOAD=/usr/share/gdb/auto-load PYTHON=/usr/bin/python3 \
    PYTHON_SITE=/usr/lib/python3/dist-packages
find "$root" -name '*.1' -exec gzip -9n {} +
libraries="$root/usr/lib/$MULTIARCH/libtracemortem.so.$VERSION
$root/usr/lib/python3/dist-packages/tracemortem/_tracer.abi3.so"
command=$root/usr/bin/tracemortem
if [ -e "$command" ]; then needs=", libdw1, libelf1, zlib1g"; else command= needs=", zlib1g"; fi
"$STRIP" --strip-debug $libraries $command
install -D -m 644 src/packaging/debian/copyright "$root/usr/share/doc/tracemortem/copyright"
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/tracemortem/changelog.gz"

glibc=$(/usr/bin/python3 src/packaging/glibc_needs.py $libraries $command)
mkdir "$root/DEBIAN"
{
    sed -n '/^Package:/,/^Architecture:/p' "$control" | sed "s/^Architecture:.*/Architecture: $architecture/"
    echo "Version: $VERSION"
    sed -n 's/^\(Section\|Priority\|Maintainer\):/&/p' "$control"
    echo "Installed-Size: $(du -sk --apparent-size "$root" | cut -f1)"
    sed -n '/^Depends:/,$p' "$control" | sed "s/\${shlibs:Depends}, \${misc:Depends}/libc6 (>= $glibc)$needs/"
} >"$root/DEBIAN/control"
echo activate-noawait ldconfig >"$root/DEBIAN/triggers"
# Python's own files of the modules, which dpkg does not know.
cat >"$root/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
for folder in /usr/lib/python3/dist-packages/tracemortem /usr/share/tracemortem; do
    find "$folder/" -name __pycache__ -prune -exec rm -r {} +
done
END
chmod 755 "$root/DEBIAN/prerm"
chmod -R go=rX "$root"
dpkg-deb --root-owner-group --build "$root" "$BUILD/deb" >/dev/null
rm -r "$root"
echo "$BUILD"/deb/*.deb
