"""PIL: pictures of some MiB each, and many small ones."""

import os

from PIL import Image

large = [Image.new("RGB", (1600, 1200), (i, 2, 3)) for i in range(6)]
small = [Image.new("L", (64, 64), i % 256) for i in range(2000)]
turned = [picture.rotate(30) for picture in large[:3]]
os.write(int(os.environ["TM_READY"]), b"ready\n")
input()
