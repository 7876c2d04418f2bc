"""Maps the top-level folders onto the package `penstock`.

A folder called `io` at the top cannot be imported as `io` (the standard library wins), so
`package_dir` puts it, and its neighbours, under `penstock`. Never put this folder on `sys.path`.
Beam reads this file too: `--setup_file ./setup.py` carries the package to a worker.
"""

from setuptools import find_packages, setup

FOLDERS = ("io", "transforms", "pipelines")

setup(
    packages=[
        f"penstock.{name}"
        for folder in FOLDERS
        for name in (folder, *(f"{folder}.{sub}" for sub in find_packages(folder)))
    ],
    package_dir={f"penstock.{folder}": folder for folder in FOLDERS},
    package_data={f"penstock.{folder}": ["py.typed"] for folder in FOLDERS},
)
