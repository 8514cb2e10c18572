# Installs the engine and the package: sh install.sh ENGINE TRACER MODULE...
# The environment has DESTDIR, LIB, SITE, SHARE, GDB_HOOK, INSTALL and PYTHON; see install.mk.
set -eu

engine=$1
shift
site=$DESTDIR$SITE

$INSTALL -d "$DESTDIR$LIB" "$DESTDIR$SHARE" "$DESTDIR$(dirname "$GDB_HOOK")"
$INSTALL -m 644 "$engine" "$DESTDIR$LIB/"
for file; do
    $INSTALL -D -m 644 "$file" "$site/${file#*/python/}"
done
$INSTALL -m 644 gdb/*.py lldb/*.py "$DESTDIR$SHARE/"
ln -sfnr "$site/tracemortem" "$DESTDIR$SHARE/tracemortem"

echo "$LIB/$(basename "$engine")" >"$site/tracemortem/engine_path.txt"
echo 'import os; "TRACEMORTEM" in os.environ and __import__("tracemortem._startup")' >"$site/tracemortem.pth"
printf '%s\n' 'import sys' '' "sys.path.insert(0, \"$SHARE\")" 'import tm_gdb  # noqa: F401' >"$DESTDIR$GDB_HOOK"
chmod 644 "$site/tracemortem/engine_path.txt" "$site/tracemortem.pth" "$DESTDIR$GDB_HOOK"

"$PYTHON" -c 'import site, sys; sys.exit(sys.argv[1] not in site.getsitepackages())' "$SITE" || cat >&2 <<END
Note: $PYTHON does not look for packages in $SITE. Set PYTHONPATH to it and use python3 -m tracemortem,
or install again with another PREFIX or PYTHON_SITE.
END
