"""zipfile, tarfile, zlib and hashlib: large buffers."""

import hashlib
import io
import tarfile
import zipfile


def run():
    contents = [bytes(i * k % 251 for k in range(3000)) * 40 for i in range(40)]
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, content in enumerate(contents):
            archive.writestr("file %d" % number, content)
    with tarfile.open(fileobj=tarred, mode="w:gz", compresslevel=1) as archive:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo("file %d" % number)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with zipfile.ZipFile(zipped) as archive:
        [hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()]
    tarred.seek(0)
    with tarfile.open(fileobj=tarred) as archive:
        [archive.extractfile(member).read() for member in archive]
