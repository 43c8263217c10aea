# Compiled where a compiler is.

from .headroom cimport weigh
