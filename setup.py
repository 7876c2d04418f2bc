"""Maps the top-level folders onto the package `penstock`, and builds the optional C kernels.

A folder called `io` at the top cannot be imported as `io` (the standard library wins), so
`package_dir` puts it, and its neighbours, under `penstock`. Never put this folder on `sys.path`.
Beam reads this file too: `--setup_file ./setup.py` carries the package to a worker.

The README's links are relative, and the package index shows it elsewhere, so they become absolute here. The licence is said
here too: pyproject.toml knows two ways, of which each is an error for some of the setuptools that we build with.

Each `_native_NAME.c` is an extension module of its own, and optional: where there is no compiler the
installation goes on without it, and a twin in Python does its work (see transforms/kernels/native.py).
"""

import re
from pathlib import Path

import setuptools
from setuptools import Extension, find_packages, setup

FOLDERS = ("io", "transforms", "pipelines")
FILES = "https://github.com/penstock-beam/penstock/blob/main/"


def kernels() -> list[Extension]:
    """One optional extension for each `_native_NAME.c`, named after its place."""
    found = []
    headers = sorted(str(path) for folder in FOLDERS for path in Path(folder).rglob("_native_*.h"))
    for folder in FOLDERS:
        for source in sorted(Path(folder).rglob("_native_*.c")):
            found.append(
                Extension(
                    ".".join(("penstock", *source.with_suffix("").parts)),
                    sources=[source.as_posix()],
                    depends=headers,
                    extra_compile_args=["-O3"],
                    optional=True,
                )
            )
    return found


def readme() -> str:
    """The README with absolute links."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r' (src|srcset)="(?![a-z]+:)', rf' \1="{FILES.replace("/blob/", "/raw/")}', text)
    return re.sub(r"\]\((?![a-z]+:|#)", f"]({FILES}", text)


def licence() -> dict[str, str]:
    """The licence as an SPDX expression, which metadata has had since setuptools 77."""
    key = "license_expression" if int(setuptools.__version__.partition(".")[0]) >= 77 else "license"
    return {key: "Apache-2.0"}


setup(
    **licence(),
    long_description=readme(),
    long_description_content_type="text/markdown",
    packages=["penstock", "penstock.testing"]
    + [
        f"penstock.{name}"
        for folder in FOLDERS
        for name in (folder, *(f"{folder}.{sub}" for sub in find_packages(folder)))
    ],
    package_dir={"penstock": "penstock", **{f"penstock.{folder}": folder for folder in FOLDERS}},
    package_data={
        **{name: ["py.typed"] for name in ("penstock", *(f"penstock.{folder}" for folder in FOLDERS))},
        "penstock.pipelines.status.page": ["page.*"],
        "penstock.transforms.logstash.filters.patterns": ["legacy/*", "ecs/*"],
    },
    include_package_data=False,  # MANIFEST.in names sources of kernels, which no wheel needs
    ext_modules=kernels(),
)
