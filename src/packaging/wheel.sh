# Packs what build/ has into one wheel, build/wheel/tracemortem-*.whl; packaging.mk gives the variables.
#
#   tracemortem/                        the package with the tracer, and the engine in it
#   tracemortem/front_ends/             the debuggers' scripts; tracemortem/ in it leads them to the package
#   tracemortem/engine_path.txt         where both are, from the package; as `make install` writes these files
#   tracemortem/front_ends_path.txt
#   tracemortem.pth                     the start-up hook
#   tracemortem-VERSION.dist-info/
set -eu

stage=$BUILD/wheel/tracemortem-$VERSION
package=$stage/tracemortem
info=$stage/tracemortem-$VERSION.dist-info

"$PYTHON" -c 'import wheel' 2>/dev/null || {
    echo "$PYTHON has no module wheel. Run: make deps wheel" >&2
    exit 1
}

rm -rf "$BUILD/wheel"
mkdir -p "$stage" "$info"
cp -r "$BUILD/python/tracemortem" "$stage/"
find "$stage" -name __pycache__ -prune -exec rm -r {} +
install -m 755 "$BUILD/lib/libtracemortem.so" "$package/$SONAME"
mkdir -p "$package/front_ends/tracemortem"
cp gdb/*.py lldb/*.py "$package/front_ends/"
cp src/packaging/front_ends_package.py "$package/front_ends/tracemortem/__init__.py"
echo "$SONAME" >"$package/engine_path.txt"
echo front_ends >"$package/front_ends_path.txt"
cp src/packaging/tracemortem.pth "$stage/"
"$STRIP" --strip-debug "$package/$SONAME" "$package/_tracer.abi3.so"

# The newest glibc that any part needs; pip knows the names from 2.17 on.
glibc=$("$PYTHON" src/packaging/glibc_needs.py --at-least 2.17 "$package/$SONAME" "$package/_tracer.abi3.so")
sh src/packaging/metadata.sh "$VERSION" >"$info/METADATA"
cp LICENSE "$info/"
cat >"$info/WHEEL" <<END
Wheel-Version: 1.0
Generator: tracemortem ($VERSION)
Root-Is-Purelib: false
Tag: py3-none-manylinux_$(echo "$glibc" | tr . _)_$MACHINE
END

find "$stage" -type d -exec chmod 755 {} +
find "$stage" -type f -exec chmod 644 {} +
"$PYTHON" -m wheel pack --dest-dir "$BUILD/wheel" "$stage" >/dev/null
rm -r "$stage"
echo "$BUILD"/wheel/*.whl
