"""Draw every picture of docs/concepts.md again.

python -m docs.pictures
"""

from __future__ import annotations

import sys

from docs.pictures.gallery import FOLDER, pictures

for picture in pictures():
    path = FOLDER / f"{picture.name}.svg"
    path.write_text(picture.svg, encoding="utf-8", newline="\n")
    sys.stdout.write(f"{path.name}\n  {picture.caption}\n")
