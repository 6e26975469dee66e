# SPDX-License-Identifier: MIT
"""Where things lie."""

from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = TOP / "build"
DEMO = BUILD / "demo"
LLAMA = BUILD / "llama"
PROGRAMS = BUILD / "release" / "bench"

MAKE_MODEL = PROGRAMS / "gguf" / "make-model"
MAP_BENCH = PROGRAMS / "mapping" / "map-bench"
LLAMA_LOAD = PROGRAMS / "llama" / "llama-load"
TOOLS = BUILD / "release" / "tools" / "morsel"

VOCABULARY = LLAMA / "src" / "models" / "ggml-vocab-llama-spm.gguf"
