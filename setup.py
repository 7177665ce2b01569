"""All settings are in pyproject.toml; here is what it cannot say: a wheel carries `results` too."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithResults(build_py):
    """Copy the recorded results into the package, where `mechanism.places` looks for them."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install reads those of the checkout
            packed = Path(self.build_lib, "mechanism", "results")
            shutil.copytree("results", packed, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithResults})
