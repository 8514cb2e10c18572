"""Strings that a frozen module of the standard library makes. Says how large they are, and where the
module's source is."""

import os
import sys
import sysconfig

kept = [os.path.join("a" * 400, "b%050d" % n) for n in range(45)]
assert os.path.join.__code__.co_filename == "<frozen posixpath>", os.path.join.__code__.co_filename
os.write(int(os.environ["TM_READY"]), b"%d %s\n" % (sys.getsizeof(kept[0]), os.fsencode(sysconfig.get_path("stdlib"))))
sys.stdin.readline()
