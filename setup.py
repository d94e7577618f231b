from setuptools import find_packages, setup

# The folder path with `pmrun.` in front is the import path; new sub-packages are picked up by themselves.
FOLDERS = ("conf", "runner", "plugins", "strategies")
DATA = {"pmrun": ["py.typed"], "pmrun.conf": ["**/*.yaml"], "pmrun.plugins.reports": ["*.html", "*.css", "*.js"], "pmrun.strategies": ["**/*.yaml", "tapes/**/*"]}

setup(
    package_dir={"pmrun": "."},
    packages=["pmrun"]
    + [name for folder in FOLDERS for name in (f"pmrun.{folder}", *(f"pmrun.{folder}.{sub}" for sub in find_packages(folder)))],
    package_data=DATA,
    include_package_data=False,
    py_modules=[],
)
