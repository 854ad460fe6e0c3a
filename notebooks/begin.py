# %%
# Run this first: it finds the lab. In Colab, say where your copy of it is, and what it requires is
# installed: the address of a git repository, or the name of a zip that you have uploaded.
COPY = ""  # @param {type:"string"}

import os
import shutil
import subprocess
import sys
from pathlib import Path

if COPY and not Path("lab").exists():
    if COPY.endswith(".zip"):
        shutil.unpack_archive(COPY, "lab")
    else:
        subprocess.run(["git", "clone", "--depth", "1", COPY, "lab"], check=True)
folders = [Path(), Path(".."), *sorted(file.parent for file in Path("lab").rglob("lab.py"))]
lab = next((folder for folder in folders if (folder / "lab.py").is_file()), None)
if lab is None:
    raise SystemExit("The lab is not here: say in COPY, above, where it is, and run this again.")
os.chdir(lab)
sys.path.insert(0, os.getcwd())
if COPY:
    pip = [sys.executable, "-m", "pip", "install", "-q", "-r", "requirements.txt"]
    subprocess.run(pip, check=True)

from support.notebook import begin

begin()
