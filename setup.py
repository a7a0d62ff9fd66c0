"""Packaging of rtsep; tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="rtsep",
    version="0.1.0",
    description="The open live stem host: sound in, stems out while it plays",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["rtsep", "rtsep.*"]),
    package_data={"rtsep": ["py.typed", "model/embedded/*/*", "demo/*.ogg", "host/*.json"]},
    install_requires=[
        "numpy>=2.0,<2.6",
        "numba>=0.61",
        "rocket-fft>=0.4.1",
        "onnxruntime>=1.20",
        "onnx>=1.18",
        "safetensors>=0.5",
        "sounddevice>=0.5",
        "soundfile>=0.13",
        "soxr>=0.5",
        "platformdirs>=4",
        "pooch>=1.8",
        "requests>=2.32",
        "urllib3>=2.2",
        "crc32c>=2.7",
        "typer>=0.15",
        "rich>=13",
    ],
    extras_require={
        "openvino": ["openvino>=2026.0"],
        "train": ["torch==2.13.0", "matplotlib>=3.9", "scipy>=1.14"],
        "evaluate": ["museval>=0.4.1", "matplotlib>=3.9"],
        # and tinysoundfont, by `pip install --no-deps tinysoundfont`: it asks for a PyAudio that it does not need
        "corpus": ["pedalboard>=0.9.26", "pyworld>=0.3.5", "python-debian>=1"],
        "bench": ["matplotlib>=3.9", "psutil>=6", "JACK-Client>=0.5.5"],
        "test": ["pytest>=8", "pytest-timeout>=2", "jsonschema>=4", "mypy>=1.15", "ruff>=0.11"],
    },
    entry_points={"console_scripts": ["rtsep = rtsep.cli.app:main"]},
)
