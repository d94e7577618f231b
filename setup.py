from setuptools import find_packages, setup

# The folder path with `pmrun.` in front is the import path; new sub-packages are picked up by themselves.
FOLDERS = ("conf", "runner", "plugins", "strategies")
PACKAGES = [f"pmrun.{folder}" for folder in FOLDERS]
INNER = [f"pmrun.{folder}.{inner}" for folder in FOLDERS for inner in find_packages(folder)]

setup(
    package_dir={"pmrun": "."},
    packages=["pmrun", *PACKAGES, *INNER],
    package_data={
        "pmrun": ["py.typed"],
        "pmrun.conf": ["**/*.yaml"],
        "pmrun.plugins": ["**/*.html", "**/*.yaml", "**/*.css", "**/*.js", "**/*.json"],  # reports, statistics
        "pmrun.strategies": ["**/*.yaml", "tapes/**/*"],
    },
    include_package_data=False,
    py_modules=[],
)
