# Unpacks Debian's packages for aarch64 into a folder: sh make_root.sh FOLDER
# They are not installed: qemu-user runs single programs out of the folder.
set -eu

root=$1
packages=libcmocka-dev,zlib1g-dev,libpython3.11-dev,python3.11,libpython3.11-stdlib,python3
debootstrap --foreign --arch=arm64 --variant=minbase --include=$packages bookworm "$root"
cd "$root"
for deb in var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink
done
ln -s libcmocka.so.0 libcmocka.so
cp -L usr/lib/aarch64-linux-gnu/libcmocka.so.0 .
cp -L "$(find lib usr/lib -name libz.so.1 | head -n 1)" libz.so
