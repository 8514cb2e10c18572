"""Prints the directory for packages below PREFIX/lib: the first that this Python looks into, or else the usual one.

    python3 find_site.py PREFIX
"""

import os
import site
import sys

lib = os.path.join(os.path.abspath(sys.argv[1]), "lib", "")
default = "%spython%d.%d/site-packages" % ((lib,) + sys.version_info[:2])
print(next((folder for folder in site.getsitepackages() if folder.startswith(lib)), default))
