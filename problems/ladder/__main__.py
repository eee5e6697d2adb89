"""Writes the ladder's data files again, byte for byte the same: python -m problems.ladder"""

from problems.ladder import FOLDER, write

write(FOLDER)
