from setuptools import setup

setup(name="helpers", version="1.0", py_modules=["helpers"])
