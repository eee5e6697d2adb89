"""Writes the data files of the starter set again, byte for byte the same: python -m problems.starter"""

from problems.starter import FOLDER, write

write(FOLDER)
